package decode

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a JSON body.
const maxDepth = 32

// MalformedError is why a body cannot be read at all. It is told to the client.
type MalformedError string

func (e MalformedError) Error() string { return "Malformed body: " + string(e) }

// Body is a decoded request body: the fields of one object, in their order.
type Body struct {
	Names  []string
	Values map[string]Value
	// Repeated names the fields that came more than once.
	Repeated []string
}

// Value is one field of a body, of a query or of a path.
type Value struct {
	Kind Kind
	// Text is a string's value, a number or boolean as JavaScript would print
	// it. It is empty for the rest.
	Text string
	// Invalid is why the text cannot be stored, empty where it can: words that
	// follow the name of the field.
	Invalid string
	// JSON is that of a number, an object or an array.
	JSON []byte
	// Untyped text, of a form or a query, may stand for a number.
	Untyped bool
}

// Kind is what JSON type a field is of.
type Kind int

// The kinds of fields. Absent is that of a field which was not sent.
const (
	Absent Kind = iota
	Null
	Text
	Number
	Boolean
	Compound // an object or an array
)

// Why a text cannot be stored.
const (
	hasNUL     = "must not contain NUL characters"
	notUnicode = "must be valid Unicode text"
)

// JSON reads one object (RFC 8259). Of a field that came twice the first value
// counts, and the name is reported. It fails with a [MalformedError].
func JSON(raw []byte) (Body, error) {
	if !utf8.Valid(raw) {
		return Body{}, MalformedError("not valid UTF-8")
	}
	if depth(raw) > maxDepth {
		return Body{}, MalformedError("nested too deeply")
	}
	if !json.Valid(raw) {
		var v any
		return Body{}, MalformedError(json.Unmarshal(raw, &v).Error())
	}
	if raw = bytes.TrimLeft(raw, " \t\r\n"); raw[0] != '{' {
		return Body{}, MalformedError("the body must be an object")
	}
	b := Body{Values: make(map[string]Value)}
	dec := json.NewDecoder(bytes.NewReader(raw))
	_, err := dec.Token()
	for err == nil && dec.More() {
		var name json.Token
		var field json.RawMessage
		if name, err = dec.Token(); err != nil {
			break
		}
		if err = dec.Decode(&field); err == nil {
			b.add(name.(string), jsonValue(field))
		}
	}
	if err != nil {
		return Body{}, MalformedError(err.Error())
	}
	return b, nil
}

func (b *Body) add(name string, v Value) {
	if _, twice := b.Values[name]; twice {
		b.Repeated = append(b.Repeated, name)
		return
	}
	b.Names = append(b.Names, name)
	b.Values[name] = v
}

// jsonValue reads one valid JSON value.
func jsonValue(raw json.RawMessage) Value {
	switch raw[0] {
	case 'n':
		return Value{Kind: Null}
	case 't', 'f':
		return Value{Kind: Boolean, Text: string(raw)}
	case '{', '[':
		return Value{Kind: Compound, JSON: raw}
	case '"':
		if reason := InvalidEscape(raw); reason != "" {
			return Value{Kind: Text, Invalid: reason}
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return Value{Kind: Text, Invalid: notUnicode}
		}
		return TextValue(s)
	}
	return Value{Kind: Number, Text: numberText(string(raw)), JSON: raw}
}

// TextValue is a text that came without quotes: in a path, a query or a form.
func TextValue(s string) Value {
	switch {
	case !utf8.ValidString(s):
		return Value{Kind: Text, Invalid: notUnicode}
	case strings.ContainsRune(s, 0):
		return Value{Kind: Text, Invalid: hasNUL}
	}
	return Value{Kind: Text, Text: s}
}

// numberText prints a number as JavaScript does, short of its exponents.
func numberText(raw string) string {
	f, err := strconv.ParseFloat(raw, 64)
	if err != nil || f >= 1e21 || f <= -1e21 {
		return raw
	}
	if f == 0 {
		return "0"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// InvalidEscape is why the strings of valid JSON cannot be stored, empty where
// they can: an escaped NUL, which PostgreSQL cannot store, or an escaped half of a surrogate
// pair without the other, which the standard decoder would replace silently.
func InvalidEscape(raw []byte) string {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		switch unit := hex4(raw[i+1:]); {
		case unit == 0:
			return hasNUL
		case unit>>10 == 0xDC00>>10:
			return notUnicode
		case unit>>10 == 0xD800>>10:
			if len(raw) < i+11 || raw[i+5] != '\\' || raw[i+6] != 'u' || hex4(raw[i+7:])>>10 != 0xDC00>>10 {
				return notUnicode
			}
			i += 10
		default:
			i += 4
		}
	}
	return ""
}

func hex4(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b[:4]), 16, 16)
	return n
}

// depth is how deep brackets nest outside of strings.
func depth(raw []byte) int {
	var now, deepest int
	inString := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// Form reads an urlencoded form, or a query. It fails with a [MalformedError].
func Form(raw string) (Body, error) {
	b := Body{Values: make(map[string]Value)}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		key, val, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil || !utf8.ValidString(name) {
			return Body{}, MalformedError("a field name is not urlencoded text")
		}
		decoded, err := url.QueryUnescape(val)
		if err != nil {
			return Body{}, MalformedError("a field is not urlencoded text")
		}
		v := TextValue(decoded)
		v.Untyped = true
		b.add(name, v)
	}
	return b, nil
}
