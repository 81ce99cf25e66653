package authcore

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// object is a JSON object whose members are not read yet. Their names are
// exact: no other case stands for them.
type object []member

type member struct {
	name  string
	value []byte
}

// maxMembers is more than any header or payload has.
const maxMembers = 64

var errNotStrict = errors.New("not a plain JSON object")

// strictObject reads one JSON object in UTF-8 and nothing after it. A name
// that stands twice is an error, for parsers differ in which one they take.
func strictObject(doc []byte) (object, error) {
	if !utf8.Valid(doc) || !json.Valid(doc) {
		return nil, errNotStrict
	}
	rest := skipBlank(doc)
	if rest[0] != '{' {
		return nil, errNotStrict
	}
	o := make(object, 0, 12)
	// The syntax is right, so what follows is known up to its kind.
	for rest = skipBlank(rest[1:]); rest[0] != '}'; {
		end := valueEnd(rest)
		name, err := unquote(rest[:end])
		if err != nil || o.has(name) || len(o) == maxMembers {
			return nil, errNotStrict
		}
		rest = skipBlank(skipBlank(rest[end:])[1:])
		end = valueEnd(rest)
		o = append(o, member{name, rest[:end]})
		if rest = skipBlank(rest[end:]); rest[0] == ',' {
			rest = skipBlank(rest[1:])
		}
	}
	return o, nil
}

func skipBlank(doc []byte) []byte { return bytes.TrimLeft(doc, " \t\r\n") }

// valueEnd is the length of the value at the start of valid JSON.
func valueEnd(doc []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return i
		}
	}
	return len(doc)
}

// unquote reads a JSON string out of valid JSON.
func unquote(value []byte) (string, error) {
	if len(value) < 2 || value[0] != '"' {
		return "", errNotStrict
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", errNotStrict
	}
	return s, nil
}

func (o object) lookup(name string) ([]byte, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

func (o object) has(name string) bool { _, ok := o.lookup(name); return ok }

// text reads a string. It is empty where there is none; null is no string.
func (o object) text(name string) (string, error) {
	value, ok := o.lookup(name)
	if !ok {
		return "", nil
	}
	return unquote(value)
}

// texts reads a string or a list of strings.
func (o object) texts(name string) ([]string, error) {
	value, _ := o.lookup(name)
	if len(value) == 0 || value[0] != '[' {
		s, err := o.text(name)
		return []string{s}, err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, errNotStrict
	}
	list := make([]string, len(items))
	for i, item := range items {
		s, err := unquote(item)
		if err != nil {
			return nil, err
		}
		list[i] = s
	}
	return list, nil
}

// boolean is false where there is none; null is none of both.
func (o object) boolean(name string) (bool, error) {
	value, ok := o.lookup(name)
	switch {
	case !ok, string(value) == "false":
		return false, nil
	case string(value) == "true":
		return true, nil
	}
	return false, errNotStrict
}

// integer reads a whole number of 31 bits, zero where there is none.
func (o object) integer(name string) (int32, error) {
	value, ok := o.lookup(name)
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(string(value), 10, 31)
	if err != nil {
		return 0, errNotStrict
	}
	return int32(n), nil
}

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// date reads a NumericDate (RFC 7519, section 2); its fraction counts. It is
// zero where there is none.
func (o object) date(name string) (time.Time, error) {
	value, ok := o.lookup(name)
	if !ok {
		return time.Time{}, nil
	}
	if value[0] < '0' || value[0] > '9' {
		return time.Time{}, errNotStrict
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f > lastSecond {
		return time.Time{}, errNotStrict
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)), nil
}
