package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"strings"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/request"
)

// object is a JSON object of the document.
type object = map[string]any

// Document makes the OpenAPI 3.1 document of a table: of the service at the
// base URL, in a version of the program.
func Document(table []endpoint.Route, baseURL *url.URL, version string) ([]byte, error) {
	s := schemas{make(object), make(map[string]reflect.Type)}
	// Generated clients know the two error bodies by these names.
	legacy := s.named("ContractError", reflect.TypeFor[answer.Body]())
	betterAuth := s.named("NativeError", reflect.TypeFor[endpoint.BetterAuthError]())
	oauth := s.named("OAuthError", reflect.TypeFor[endpoint.OAuthError]())
	paths := object{}
	for i := range table {
		rt := &table[i]
		item, ok := paths[rt.Path].(object)
		if !ok {
			item = object{}
			paths[rt.Path] = item
		}
		failure := legacy
		switch rt.Format {
		case endpoint.BetterAuth:
			failure = betterAuth
		case endpoint.OAuth:
			failure = oauth
		}
		item[strings.ToLower(rt.Method)] = operation(rt, s, failure)
	}
	cookieName := "mana.session_token"
	if baseURL.Scheme == "https" {
		cookieName = "__Secure-" + cookieName
	}
	if version == "" {
		version = "0"
	}
	out, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info":    object{"title": "Mana Edge", "version": version, "summary": "Identity and credits of a family of sites", "license": object{"name": "Proprietary", "identifier": "LicenseRef-Proprietary"}},
		"servers": []any{object{"url": baseURL.String()}},
		"tags":    tags(table),
		"paths":   paths,
		"components": object{
			"schemas": s.byName,
			"securitySchemes": object{
				"bearer":  object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"cookie":  object{"type": "apiKey", "in": "cookie", "name": cookieName},
				"service": object{"type": "apiKey", "in": "header", "name": endpoint.ServiceKeyHeader},
			},
		},
	}, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return out, nil
}

func operation(rt *endpoint.Route, s schemas, failure object) object {
	id := OperationID(rt)
	op := object{
		"operationId": id,
		"summary":     rt.Summary,
		"description": sentences(rt),
		"tags":        []any{Tag(rt)},
		"responses":   responses(rt, s, failure),
	}
	if isAlias(id) {
		op["deprecated"] = true
	}
	switch rt.Access {
	case endpoint.User:
		op["security"] = []any{object{"bearer": []any{}}}
	case endpoint.Cookie:
		op["security"] = []any{object{"cookie": []any{}}}
	case endpoint.Service:
		op["security"] = []any{object{"service": []any{}}}
	case endpoint.UserOrService:
		op["security"] = []any{object{"bearer": []any{}}, object{"service": []any{}}}
	}
	if rt.Access == endpoint.Open || rt.Access == endpoint.Anyone {
		op["security"] = []any{}
	}
	if params := parameters(rt, s); params != nil {
		op["parameters"] = params
	}
	switch {
	case rt.Body == endpoint.Raw:
		op["requestBody"] = object{"required": true, "content": object{
			"application/json": object{"schema": object{"type": "object", "additionalProperties": true}},
		}}
	case rt.Reads != nil:
		op["requestBody"] = object{"required": true, "content": object{"application/json": s.media(rt.Reads)}}
	case rt.Body == endpoint.Stream && (rt.Format == endpoint.OAuth || rt.Found):
		schema := object{"schema": object{"type": "object", "additionalProperties": object{"type": "string"}}}
		op["requestBody"] = object{"required": false, "content": object{"application/x-www-form-urlencoded": schema, "application/json": schema}}
	case rt.Body == endpoint.Stream:
		op["requestBody"] = object{"required": true, "content": object{
			"*/*": object{"schema": object{"type": "string", "format": "binary"}},
		}}
	case rt.Handler.Plan.ReadsBody:
		body := requestSchema(rt)
		schema := object{"schema": s.request(id, body)}
		if example, ok := s.example("", body); ok {
			schema["example"] = example
		}
		op["requestBody"] = object{"required": body["required"] != nil, "content": object{
			"application/json":                  schema,
			"application/x-www-form-urlencoded": schema,
		}}
	}
	return op
}

// media is content of a type, with an example.
func (s schemas) media(t reflect.Type) object {
	media := object{"schema": s.of(t)}
	if example, ok := s.example("", media["schema"].(object)); ok {
		media["example"] = example
	}
	return media
}

// sentences say what the summary of a route leaves open.
func sentences(rt *endpoint.Route) string {
	text := rt.Summary + "."
	switch rt.Access {
	case endpoint.User:
		text += " Needs an access token."
	case endpoint.Cookie:
		text += " The sign-on cookie of the browser tells who asks."
	case endpoint.Service, endpoint.UserOrService:
		text += " Needs a service key"
		if rt.Access == endpoint.UserOrService {
			text = strings.TrimSuffix(text, "a service key") + "an access token, or a service key"
		}
		if rt.ServiceScope != "" {
			text += ", of which one with a name must have the scope " + string(rt.ServiceScope)
		}
		text += "."
	}
	if rt.Keyed() {
		text += " With an idempotency key, a repeated request takes effect once."
	}
	if rt.ProofOfWork {
		text += " Where many ask, it wants a proof of work."
	}
	if rt.Limit.Count > 0 {
		text += fmt.Sprintf(" One address may ask %d times in %v.", rt.Limit.Count, rt.Limit.Period)
	}
	return text
}

// parameters are those of the path, of the query and of the header.
func parameters(rt *endpoint.Route, s schemas) []any {
	var params []any
	for _, f := range rt.Handler.Plan.Fields {
		switch f.Source {
		case validate.FromPath:
			params = append(params, s.parameter(f, "path", true))
		case validate.FromQuery:
			params = append(params, s.parameter(f, "query", !f.Optional))
		}
	}
	if rt.Keyed() {
		params = append(params, object{
			"name": "Idempotency-Key", "in": "header", "required": false,
			"description": "The same as the field idempotencyKey: with it, a repeated request takes effect once.",
			"schema":      object{"type": "string", "minLength": 1, "maxLength": request.MaxIdempotencyKey},
			"example":     namedValues["idempotencyKey"],
		})
	}
	for _, h := range rt.Headers {
		params = append(params, object{"name": h.Name, "in": "header", "required": h.Required,
			"description": h.Text, "schema": object{"type": "string"}})
	}
	return params
}

// parameter is one of the path or of the query.
func (s schemas) parameter(f validate.Field, in string, required bool) object {
	schema := schemaOf(f)
	p := object{"name": f.Name, "in": in, "required": required, "schema": schema}
	if f.Doc != "" {
		p["description"] = f.Doc
	}
	if example, ok := s.example(f.Name, schema); ok {
		p["example"] = example
	}
	return p
}

// request keeps the schema of a body under the name of its operation, and refers to
// it.
func (s schemas) request(id string, body object) object {
	name := strings.ToUpper(id[:1]) + id[1:] + "Request"
	if _, taken := s.byName[name]; taken {
		panic("openapi: two schemas are " + name)
	}
	s.byName[name] = body
	return object{"$ref": "#/components/schemas/" + name}
}

// requestSchema is the body that a route reads.
func requestSchema(rt *endpoint.Route) object {
	return planSchema(rt.Handler.Plan, rt)
}

// planSchema is an object as a plan fills it, of the body of a route.
func planSchema(plan *validate.Plan, rt *endpoint.Route) object {
	properties, required := object{}, []string{}
	var either []any
	for _, f := range plan.Fields {
		if f.Source != validate.FromBody {
			continue
		}
		properties[f.Name] = schemaOf(f)
		if f.Kind == validate.Objects {
			properties[f.Name].(object)["items"] = planSchema(f.Items, rt)
		}
		if !f.Optional && f.Unless == "" && (!f.Service || rt.Access == endpoint.Service) && (rt.Body == endpoint.Strict || rt.Format == endpoint.BetterAuth) {
			required = append(required, f.Name)
		}
		if f.Unless != "" && rt.Body == endpoint.Strict {
			either = []any{object{"required": []string{f.Name}}, object{"required": []string{f.Unless}, "properties": object{f.Unless: object{"not": object{"type": "null"}}}}}
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": rt.Body == endpoint.Lenient}
	if len(required) > 0 {
		schema["required"] = required
	}
	if either != nil {
		schema["anyOf"] = either
	}
	return schema
}

func schemaOf(f validate.Field) object {
	var base any = f.Kind.String()
	if f.Optional && f.Source == validate.FromBody {
		base = []any{base, "null"}
	}
	schema := object{"type": base}
	switch f.Kind {
	case validate.Amount:
		schema["format"], schema["description"] = "double", amountText
		schema["maximum"], schema["minimum"] = maxAmount, -maxAmount
	case validate.Object:
		schema["additionalProperties"], schema["description"] = true, fmt.Sprintf("An object of at most %d kB.", validate.MaxObject>>10)
		maps.Copy(schema, f.Schema)
	case validate.Texts:
		schema["items"] = object{"type": "string"}
		maps.Copy(schema, f.Schema)
	}
	if f.Kind == validate.Objects {
		schema["minItems"], schema["maxItems"] = 1, validate.MostObjects
	}
	for _, c := range f.Rules {
		maps.Copy(schema, c.Schema)
	}
	if f.Kind == validate.Amount && schema["exclusiveMinimum"] != nil {
		delete(schema, "exclusiveMinimum")
		schema["minimum"] = 0.0005 // which is rounded to the unit
	}
	if f.Doc != "" {
		schema["description"] = f.Doc
	}
	if f.Service {
		schema["description"] = "Who it is about: required with the service key, refused without."
	}
	return schema
}
