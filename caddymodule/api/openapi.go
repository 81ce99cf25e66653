package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// object is a JSON object of the document.
type object = map[string]any

// openAPI makes the OpenAPI 3.1 document of the table.
func openAPI(table []*route, cfg Config) ([]byte, error) {
	s := schemas{}
	contractRef := s.of(reflect.TypeFor[contractError]())
	nativeRef := s.of(reflect.TypeFor[nativeError]())
	paths := object{}
	for _, rt := range table {
		item, ok := paths[rt.path].(object)
		if !ok {
			item = object{}
			paths[rt.path] = item
		}
		failure := contractRef
		if rt.shape == native {
			failure = nativeRef
		}
		item[strings.ToLower(rt.method)] = operation(rt, s, failure)
	}
	cookieName := "mana.session_token"
	if cfg.BaseURL.Scheme == "https" {
		cookieName = "__Secure-" + cookieName
	}
	version := cfg.Version
	if version == "" {
		version = "0"
	}
	out, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info":    object{"title": "Mana Edge", "version": version, "summary": "Identity and credits of a family of sites"},
		"servers": []any{object{"url": cfg.BaseURL.String()}},
		"paths":   paths,
		"components": object{
			"schemas": s,
			"securitySchemes": object{
				"bearer":  object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
				"cookie":  object{"type": "apiKey", "in": "cookie", "name": cookieName},
				"service": object{"type": "apiKey", "in": "header", "name": serviceKeyHeader},
			},
		},
	}, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return out, nil
}

func openAPIDocument(_ context.Context, c *call, _ none) (document, error) {
	return document{"application/json; charset=utf-8", "public, max-age=300", c.api.openapi}, nil
}

func operation(rt *route, s schemas, failure object) object {
	op := object{
		"operationId": operationID(rt),
		"summary":     rt.summary,
		"tags":        []any{tag(rt)},
		"responses":   responses(rt, s, failure),
	}
	switch rt.access {
	case user:
		op["security"] = []any{object{"bearer": []any{}}}
	case cookie:
		op["security"] = []any{object{"cookie": []any{}}}
	case service:
		op["security"] = []any{object{"service": []any{}}}
	case userOrService:
		op["security"] = []any{object{"bearer": []any{}}, object{"service": []any{}}}
	}
	if rt.access == open || rt.access == anyone {
		op["security"] = []any{}
	}
	if params := rt.parameters(); params != nil {
		op["parameters"] = params
	}
	switch {
	case rt.body == raw:
		op["requestBody"] = object{"required": true, "content": object{
			"application/json": object{"schema": object{"type": "object", "additionalProperties": true}},
		}}
	case rt.handler.plan.readsBody:
		body := rt.requestSchema()
		schema := object{"schema": body}
		op["requestBody"] = object{"required": body["required"] != nil, "content": object{
			"application/json":                  schema,
			"application/x-www-form-urlencoded": schema,
		}}
	}
	return op
}

// headerParam is a header that a route reads.
type headerParam struct {
	name, text string
	required   bool
}

// parameters are those of the path, of the query and of the header.
func (rt *route) parameters() []any {
	var params []any
	for _, f := range rt.handler.plan.fields {
		switch f.source {
		case fromPath:
			params = append(params, object{"name": f.name, "in": "path", "required": true, "schema": f.schema()})
		case fromQuery:
			params = append(params, object{"name": f.name, "in": "query", "required": !f.optional, "schema": f.schema()})
		}
	}
	if rt.keyed() {
		params = append(params, object{
			"name": "Idempotency-Key", "in": "header", "required": false,
			"description": "The same as the field idempotencyKey: with it, a repeated request takes effect once.",
			"schema":      object{"type": "string", "minLength": 1, "maxLength": maxKey},
		})
	}
	for _, h := range rt.headers {
		params = append(params, object{"name": h.name, "in": "header", "required": h.required,
			"description": h.text, "schema": object{"type": "string"}})
	}
	return params
}

func operationID(rt *route) string {
	id := strings.ToLower(rt.method) + rt.path
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

func tag(rt *route) string {
	switch {
	case rt.shape == page:
		return "pages"
	case strings.Contains(rt.path, "/health"):
		return "health"
	case strings.Contains(rt.path, "api-docs"), strings.HasSuffix(rt.path, "openapi.json"):
		return "documentation"
	case strings.HasSuffix(rt.path, "/jwks"):
		return "keys"
	case rt.shape == native:
		return "single sign-on"
	}
	for _, resource := range []string{"credits", "gifts", "subscriptions", "webhooks"} {
		if strings.HasPrefix(rt.path, "/api/v1/"+resource) || strings.HasPrefix(rt.path, "/"+resource) {
			return resource
		}
	}
	return "auth"
}

// requestSchema is the body a plan reads.
func (rt *route) requestSchema() object {
	properties, required := object{}, []string{}
	for _, f := range rt.handler.plan.fields {
		if f.source != fromBody {
			continue
		}
		properties[f.name] = f.schema()
		if !f.optional && (!f.service || rt.access == service) && (rt.body == strict || rt.shape == native) {
			required = append(required, f.name)
		}
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": rt.body == lenient}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

func (f planField) schema() object {
	var base any = f.kind.String()
	if f.optional && f.source == fromBody {
		base = []any{base, "null"}
	}
	schema := object{"type": base}
	switch f.kind {
	case amountField:
		schema["format"], schema["description"] = "double", amountText
		schema["maximum"], schema["minimum"] = maxAmount, -maxAmount
	case objectField:
		schema["additionalProperties"], schema["description"] = true, fmt.Sprintf("An object of at most %d kB.", maxObject>>10)
	}
	for _, c := range f.rules {
		maps.Copy(schema, c.schema)
	}
	if f.kind == amountField && schema["exclusiveMinimum"] != nil {
		delete(schema, "exclusiveMinimum")
		schema["minimum"] = 0.0005 // which is rounded to the unit
	}
	if f.doc != "" {
		schema["description"] = f.doc
	}
	if f.service {
		schema["description"] = "Who it is about: required with the service key, refused without."
	}
	return schema
}

// tags lists the tags of the table in order.
func tags(table []*route) []string {
	var found []string
	for _, rt := range table {
		if t := tag(rt); !slices.Contains(found, t) {
			found = append(found, t)
		}
	}
	return found
}
