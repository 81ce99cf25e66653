package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
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
	paths := object{}
	for i := range table {
		rt := &table[i]
		item, ok := paths[rt.Path].(object)
		if !ok {
			item = object{}
			paths[rt.Path] = item
		}
		failure := legacy
		if rt.Format == endpoint.BetterAuth {
			failure = betterAuth
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
		"info":    object{"title": "Mana Edge", "version": version, "summary": "Identity and credits of a family of sites"},
		"servers": []any{object{"url": baseURL.String()}},
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
	op := object{
		"operationId": operationID(rt),
		"summary":     rt.Summary,
		"tags":        []any{Tag(rt)},
		"responses":   responses(rt, s, failure),
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
	if params := parameters(rt); params != nil {
		op["parameters"] = params
	}
	switch {
	case rt.Body == endpoint.Raw:
		op["requestBody"] = object{"required": true, "content": object{
			"application/json": object{"schema": object{"type": "object", "additionalProperties": true}},
		}}
	case rt.Body == endpoint.Stream:
		op["requestBody"] = object{"required": true, "content": object{
			"*/*": object{"schema": object{"type": "string", "format": "binary"}},
		}}
	case rt.Handler.Plan.ReadsBody:
		body := requestSchema(rt)
		schema := object{"schema": body}
		op["requestBody"] = object{"required": body["required"] != nil, "content": object{
			"application/json":                  schema,
			"application/x-www-form-urlencoded": schema,
		}}
	}
	return op
}

// parameters are those of the path, of the query and of the header.
func parameters(rt *endpoint.Route) []any {
	var params []any
	for _, f := range rt.Handler.Plan.Fields {
		switch f.Source {
		case validate.FromPath:
			params = append(params, object{"name": f.Name, "in": "path", "required": true, "schema": schemaOf(f)})
		case validate.FromQuery:
			params = append(params, object{"name": f.Name, "in": "query", "required": !f.Optional, "schema": schemaOf(f)})
		}
	}
	if rt.Keyed() {
		params = append(params, object{
			"name": "Idempotency-Key", "in": "header", "required": false,
			"description": "The same as the field idempotencyKey: with it, a repeated request takes effect once.",
			"schema":      object{"type": "string", "minLength": 1, "maxLength": request.MaxIdempotencyKey},
		})
	}
	for _, h := range rt.Headers {
		params = append(params, object{"name": h.Name, "in": "header", "required": h.Required,
			"description": h.Text, "schema": object{"type": "string"}})
	}
	return params
}

func operationID(rt *endpoint.Route) string {
	id := strings.ToLower(rt.Method) + rt.Path
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r == '{' || r == '}':
			return -1
		}
		return '_'
	}, id), "_")
}

// Tag is the group of the document that a route belongs to.
func Tag(rt *endpoint.Route) string {
	switch {
	case rt.Format == endpoint.Page:
		return "pages"
	case strings.Contains(rt.Path, "/health"):
		return "health"
	case strings.Contains(rt.Path, "api-docs"), strings.HasSuffix(rt.Path, "openapi.json"):
		return "documentation"
	case strings.HasSuffix(rt.Path, "/jwks"):
		return "keys"
	case rt.Format == endpoint.BetterAuth:
		return "single sign-on"
	}
	resource, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(rt.Path, "/api/v1"), "/"), "/")
	return resource
}

// requestSchema is the body that a route reads.
func requestSchema(rt *endpoint.Route) object {
	properties, required := object{}, []string{}
	for _, f := range rt.Handler.Plan.Fields {
		if f.Source != validate.FromBody {
			continue
		}
		properties[f.Name] = schemaOf(f)
		if !f.Optional && (!f.Service || rt.Access == endpoint.Service) && (rt.Body == endpoint.Strict || rt.Format == endpoint.BetterAuth) {
			required = append(required, f.Name)
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": rt.Body == endpoint.Lenient}
	if len(required) > 0 {
		schema["required"] = required
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

// Tags lists the tags of the table in order.
func Tags(table []endpoint.Route) []string {
	var found []string
	for i := range table {
		if t := Tag(&table[i]); !slices.Contains(found, t) {
			found = append(found, t)
		}
	}
	return found
}
