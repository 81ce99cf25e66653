package openapi

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// someValues are what fields of a name hold in examples, where their schema takes it.
var someValues = []any{
	"ada@example.com", "Ada Lovelace", "https://chat.example.com/", "2026-01-02", "2026-01-02T15:04:05Z", "00000000-0000-4000-8000-000000000000",
	"192.0.2.1", "123456", "0x0a", "@ada:matrix.example.com", "mana-gift", "ada",
}

// namedValues are the values of fields that people look for in an example.
var namedValues = map[string]any{
	"email": "ada@example.com", "newEmail": "ada@example.com", "name": "Ada Lovelace", "password": "correct horse battery", "newPassword": "another horse battery",
	"currentPassword": "correct horse battery", "role": "user", "userId": "Jf8MH61R0TsrAObvP5Eskq1WwYQ5LImt", "id": "Jf8MH61R0TsrAObvP5Eskq1WwYQ5LImt",
	"accessToken": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJKZjhNSCJ9.c2lnbmF0dXJl", "token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJKZjhNSCJ9.c2lnbmF0dXJl",
	"refreshToken": "V1StGXR8Z5jdHi6BmyTxq0aFfK2uN7wLcEoP3sRvYbQ4hIkM9gDjUnAeZtCxW1pO", "tokenType": "Bearer", "expiresIn": 900, "appId": "chat", "amount": 5,
	"balance": 42.5, "description": "An answer of the assistant", "idempotencyKey": "7f9c2ba4-e88f-4d3a-9f0e-1c5d2b6a8f10", "success": true, "statusCode": 200,
	"url": "wss://chat.example.com/socket", "ticket": "mt_q0aFfK2uN7wLcEoP3sRvYbQ4hIkM9gDjUnAeZtCxW1p", "code": "123456", "message": "Done", "ids": []any{"Jf8MH61R0TsrAObvP5Eskq1WwYQ5LImt"},
	"reason": "A goodwill gift", "timestamp": "2026-01-02T15:04:05.000Z", "path": "/api/v1/credits/use", "slug": "acme", "day": "2026-11-29",
}

// example is a value that the schema of a field takes, and ok is false where none is
// known.
func (s schemas) example(name string, schema object) (value any, ok bool) {
	return s.exampleIn(name, schema, 0)
}

// maxExampleDepth ends the examples of types that hold themselves.
const maxExampleDepth = 8

func (s schemas) exampleIn(name string, schema object, depth int) (any, bool) {
	if depth > maxExampleDepth {
		return nil, false
	}
	if ref, is := schema["$ref"].(string); is {
		named, _ := s.byName[strings.TrimPrefix(ref, "#/components/schemas/")].(object)
		return s.exampleIn(name, named, depth+1)
	}
	if all, is := schema["allOf"].([]any); is {
		whole := object{}
		for _, part := range all {
			if value, ok := s.exampleIn(name, part.(object), depth+1); ok {
				maps.Copy(whole, value.(object))
			}
		}
		return whole, true
	}
	if either, is := schema["anyOf"].([]any); is && schema["properties"] == nil {
		return s.exampleIn(name, either[0].(object), depth+1)
	}
	switch enum := schema["enum"].(type) {
	case []any:
		return enum[0], true
	case []string:
		return enum[0], true
	}
	switch kindOf(schema) {
	case "object":
		return s.objectExample(schema, depth)
	case "array":
		if value, known := namedValues[name].([]any); known {
			return value, true
		}
		items, _ := schema["items"].(object)
		if one, ok := s.exampleIn(strings.TrimSuffix(name, "s"), items, depth+1); ok {
			return []any{one}, true
		}
		return []any{}, schema["minItems"] == nil
	case "boolean":
		return true, true
	case "number", "integer":
		return numberExample(name, schema), true
	case "string":
		return textExample(name, schema)
	}
	return nil, false
}

// kindOf is the type of a schema that is not null.
func kindOf(schema object) string {
	if several, is := schema["type"].([]any); is {
		for _, kind := range several {
			if kind != "null" {
				text, _ := kind.(string)
				return text
			}
		}
	}
	text, _ := schema["type"].(string)
	return text
}

func (s schemas) objectExample(schema object, depth int) (any, bool) {
	properties, _ := schema["properties"].(object)
	required, _ := schema["required"].([]string)
	out := object{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, ok := s.exampleIn(name, properties[name].(object), depth+1)
		switch {
		case ok:
			out[name] = value
		case slices.Contains(required, name):
			return nil, false
		}
	}
	return out, true
}

func numberExample(name string, schema object) any {
	if value, known := namedValues[name]; known {
		if _, text := value.(string); !text && fits(value, schema) {
			return value
		}
	}
	for _, value := range []any{1, 5, 10, 60, 1000, 0} {
		if fits(value, schema) {
			return value
		}
	}
	return schema["minimum"]
}

// fits reports whether the number is within the bounds of a schema.
func fits(value any, schema object) bool {
	n := floatOf(value)
	if least, is := schema["minimum"]; is && n < floatOf(least) {
		return false
	}
	if least, is := schema["exclusiveMinimum"]; is && n <= floatOf(least) {
		return false
	}
	if most, is := schema["maximum"]; is && n > floatOf(most) {
		return false
	}
	return kindOf(schema) != "integer" || n == float64(int64(n))
}

func floatOf(value any) float64 {
	switch n := value.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

func textExample(name string, schema object) (any, bool) {
	candidates := someValues
	if value, known := namedValues[name].(string); known {
		candidates = append([]any{value}, candidates...)
	} else if schema["pattern"] == nil && schema["format"] == nil {
		candidates = append([]any{strings.ToLower(name)}, candidates...)
	}
	switch schema["format"] {
	case "date-time":
		return "2026-01-02T15:04:05.000Z", true
	case "uuid":
		return "00000000-0000-4000-8000-000000000000", true
	}
	for _, candidate := range candidates {
		text := candidate.(string)
		if pattern, is := schema["pattern"].(string); is {
			if match, err := regexp.MatchString(pattern, text); err != nil || !match {
				continue
			}
		}
		if least, is := schema["minLength"]; is && len(text) < int(floatOf(least)) {
			continue
		}
		if most, is := schema["maxLength"]; is && len(text) > int(floatOf(most)) {
			continue
		}
		return text, true
	}
	return nil, false
}
