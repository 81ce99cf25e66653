package openapi

import (
	"encoding/json"
	"reflect"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

// schemas are the named schemas of the document (JSON Schema 2020-12), made of
// the types of answers.
type schemas struct {
	byName object
	types  map[string]reflect.Type
}

// of returns a schema of the type, or a reference to it.
func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[endpoint.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[principal.Role]():
		return object{"type": "string", "enum": []any{principal.RoleUser, principal.RoleSupport, principal.RoleAdmin, principal.RoleService}}
	case reflect.TypeFor[organization.Role]():
		return object{"type": "string", "enum": []any{organization.RoleOwner, organization.RoleAdmin, organization.RoleMember}}
	case reflect.TypeFor[organization.Status]():
		return object{"type": "string", "enum": []any{organization.StatusPending, organization.StatusAccepted, organization.StatusRejected, organization.StatusCanceled}}
	case reflect.TypeFor[authcore.SessionKind]():
		return object{"type": "string", "enum": []any{authcore.AppSession, authcore.WebSession}}
	case reflect.TypeFor[endpoint.Document]():
		return object{"type": "object", "additionalProperties": true}
	case reflect.TypeFor[creditcore.Amount]():
		return object{"type": "number", "format": "double", "description": amountText}
	case reflect.TypeFor[json.RawMessage]():
		return object{"type": []any{"object", "null"}, "additionalProperties": true}
	case reflect.TypeFor[answer.Messages]():
		return object{"anyOf": []any{object{"type": "string"}, object{"type": "array", "items": object{"type": "string"}}}}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Pointer:
		return object{"anyOf": []any{s.of(t.Elem()), object{"type": "null"}}}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": true}
	case reflect.Interface: // the details of an error
		return object{"type": "object", "additionalProperties": true}
	case reflect.Struct:
		return s.named(strings.ToUpper(t.Name()[:1])+t.Name()[1:], t)
	}
	panic("openapi: no schema for " + t.String())
}

// named keeps the schema of a struct under a name, and refers to it. Two types
// of one name, of two packages, are a programming error.
func (s schemas) named(name string, t reflect.Type) object {
	switch s.types[name] {
	case nil:
		s.types[name] = t // also ends the recursion of a type that holds itself
		s.byName[name] = s.structure(t)
	case t:
	default:
		panic("openapi: " + t.String() + " and " + s.types[name].String() + " are both " + name)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// amountText says of amounts what no keyword does: a multipleOf of 0.001
// refuses right values in binary floating point.
const amountText = "In credits, with up to three decimals."

// maxAmount is the greatest amount, in credits.
var maxAmount = float64(creditcore.MaxAmount) / float64(creditcore.Credit)

func (s schemas) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	var collect func(reflect.Type)
	collect = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous {
				collect(f.Type)
				continue
			}
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			ft := f.Type
			if options == "omitempty" || options == "omitzero" {
				if ft.Kind() == reflect.Pointer {
					ft = ft.Elem()
				}
			} else {
				required = append(required, name)
			}
			properties[name] = s.of(ft)
		}
	}
	collect(t)
	return object{"type": "object", "properties": properties, "required": required}
}
