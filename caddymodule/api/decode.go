package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxBody bounds a request body, in bytes.
	maxBody = 100 << 10
	// maxRaw bounds the body of a route that takes it as it is, in bytes.
	maxRaw = 1 << 20
	// maxDepth bounds the nesting of a JSON body.
	maxDepth = 32
)

// body is a decoded request body: the fields of one object, in their order.
type body struct {
	names  []string
	values map[string]value
	// repeated names the fields that came more than once.
	repeated []string
}

// value is one field of a body.
type value struct {
	kind kind
	// text is a string's value, a number or boolean as JavaScript would print
	// it. It is empty for the rest.
	text string
	// fault tells why the text can be no string of ours.
	fault string
	// raw is the JSON of a number, an object or an array.
	raw []byte
	// untyped text, of a form or a query, may stand for a number.
	untyped bool
}

type kind int

const (
	absent kind = iota
	null
	text
	number
	boolean
	compound
)

const (
	faultNUL     = "must not contain NUL characters"
	faultUnicode = "must be valid Unicode text"
)

// readBody reads a JSON object (RFC 8259) or a form. A body without a single
// byte is an object without fields, whatever it says of its type. It fails
// with a [*problem] of status 400, 413 or 415.
func readBody(w http.ResponseWriter, r *http.Request) (body, error) {
	raw, err := readAll(w, r, maxBody)
	if err != nil || len(raw) == 0 {
		return body{}, err
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return body{}, unsupported("Content-Encoding must be identity")
	}
	contentType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		contentType = ""
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return body{}, unsupported("charset must be utf-8")
	}
	switch contentType {
	case "application/json":
		return parseJSON(raw)
	case "application/x-www-form-urlencoded":
		return parseForm(string(raw))
	}
	return body{}, unsupported("Content-Type must be application/json or application/x-www-form-urlencoded")
}

// readAll reads a body of at most limit bytes as it is. It fails with a
// [*problem] of status 400 or 413.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge(limit)
	case err != nil:
		return nil, malformed("the request body ended early")
	}
	return raw, nil
}

// parseJSON reads one object. Of a field that came twice the first value
// counts, and the name is reported.
func parseJSON(raw []byte) (body, error) {
	if !utf8.Valid(raw) {
		return body{}, malformed("not valid UTF-8")
	}
	if depth(raw) > maxDepth {
		return body{}, malformed("nested too deeply")
	}
	if !json.Valid(raw) {
		var v any
		return body{}, malformed(json.Unmarshal(raw, &v).Error())
	}
	if raw = bytes.TrimLeft(raw, " \t\r\n"); raw[0] != '{' {
		return body{}, malformed("the body must be an object")
	}
	b := body{values: make(map[string]value)}
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
		return body{}, malformed(err.Error())
	}
	return b, nil
}

func (b *body) add(name string, v value) {
	if _, twice := b.values[name]; twice {
		b.repeated = append(b.repeated, name)
		return
	}
	b.names = append(b.names, name)
	b.values[name] = v
}

// jsonValue reads one valid JSON value.
func jsonValue(raw json.RawMessage) value {
	switch raw[0] {
	case 'n':
		return value{kind: null}
	case 't', 'f':
		return value{kind: boolean, text: string(raw)}
	case '{', '[':
		return value{kind: compound, raw: raw}
	case '"':
		if fault := escapeFault(raw); fault != "" {
			return value{kind: text, fault: fault}
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return value{kind: text, fault: faultUnicode}
		}
		return textValue(s)
	}
	return value{kind: number, text: numberText(string(raw)), raw: raw}
}

func textValue(s string) value {
	switch {
	case !utf8.ValidString(s):
		return value{kind: text, fault: faultUnicode}
	case strings.ContainsRune(s, 0):
		return value{kind: text, fault: faultNUL}
	}
	return value{kind: text, text: s}
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

// escapeFault tells why the strings of valid JSON are no text of ours: an
// escaped NUL, which PostgreSQL cannot store, or an escaped half of a surrogate
// pair without the other, which the standard decoder would replace silently.
func escapeFault(raw []byte) string {
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
			return faultNUL
		case unit>>10 == 0xDC00>>10:
			return faultUnicode
		case unit>>10 == 0xD800>>10:
			if len(raw) < i+11 || raw[i+5] != '\\' || raw[i+6] != 'u' || hex4(raw[i+7:])>>10 != 0xDC00>>10 {
				return faultUnicode
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

// parseForm reads an urlencoded form.
func parseForm(raw string) (body, error) {
	b := body{values: make(map[string]value)}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		key, val, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil || !utf8.ValidString(name) {
			return body{}, malformed("a field name is not urlencoded text")
		}
		decoded, err := url.QueryUnescape(val)
		if err != nil {
			return body{}, malformed("a field is not urlencoded text")
		}
		v := textValue(decoded)
		v.untyped = true
		b.add(name, v)
	}
	return b, nil
}
