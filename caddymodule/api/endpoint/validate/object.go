package validate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"

	"mana.how/edge/caddymodule/api/endpoint/decode"
)

// MaxObject bounds an object that is stored as it came, in bytes.
const MaxObject = 64 << 10

// fillObject takes an object as it came, without the blanks.
func (f Field) fillObject(into reflect.Value, v decode.Value) []FieldError {
	if v.Kind != decode.Compound || v.JSON[0] != '{' {
		return f.refuse("object", "must be an object")
	}
	if len(v.JSON) > MaxObject {
		return f.refuse("size", fmt.Sprintf("must not be larger than %d kB", MaxObject>>10))
	}
	if reason := unstorable(v.JSON); reason != "" {
		return f.refuse("text", reason)
	}
	f.put(into, compact(v.JSON))
	return nil
}

// fillObjects takes an array of objects as they came: what is wrong with one is its own
// matter.
func (f Field) fillObjects(into reflect.Value, v decode.Value) []FieldError {
	var list []json.RawMessage
	if v.Kind != decode.Compound || v.JSON[0] != '[' || json.Unmarshal(v.JSON, &list) != nil {
		return f.refuse("array", "must be an array")
	}
	if len(list) == 0 || len(list) > MostObjects {
		return f.refuse("size", fmt.Sprintf("must have 1 to %d items", MostObjects))
	}
	f.put(into, list)
	return nil
}

// fillTexts takes an array of texts.
func (f Field) fillTexts(into reflect.Value, v decode.Value) []FieldError {
	if v.Kind != decode.Compound || v.JSON[0] != '[' {
		return f.refuse("array", "must be an array")
	}
	if len(v.JSON) > MaxObject {
		return f.refuse("size", fmt.Sprintf("must not be larger than %d kB", MaxObject>>10))
	}
	if reason := decode.InvalidEscape(v.JSON); reason != "" {
		return f.refuse("text", reason)
	}
	var items []any
	list := []string{}
	if json.Unmarshal(v.JSON, &items) != nil {
		return f.refuse("array", "must be an array")
	}
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return []FieldError{{f.Name, "string", "each value in " + f.Name + " must be a string"}}
		}
		list = append(list, text)
	}
	f.put(into, list)
	return nil
}

// unstorable is why valid JSON cannot be stored, empty where it can: PostgreSQL's jsonb takes
// neither NUL nor half a surrogate, and writes numbers out in full, so that one
// of a few bytes could become one of thousands.
func unstorable(raw []byte) string {
	if reason := decode.InvalidEscape(raw); reason != "" {
		return reason
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil { // the end
			return ""
		}
		if n, ok := token.(json.Number); ok {
			if x, err := n.Float64(); err != nil || x != 0 && (math.Abs(x) > 1e21 || math.Abs(x) < 1e-21) {
				return "must hold numbers between 1e-21 and 1e21 only"
			}
		}
	}
}

// compact is a JSON value without insignificant blanks.
func compact(raw []byte) json.RawMessage {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return raw
	}
	return out.Bytes()
}
