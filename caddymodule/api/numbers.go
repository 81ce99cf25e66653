package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"

	"mana.how/edge/creditcore"
)

// defaultNumber and defaultInteger word what no rule of a field words.
const (
	defaultNumber  = "must be a number conforming to the specified constraints"
	defaultInteger = "must be an integer number"
)

// fillNumber sets an amount or an integer. A number that does not fit violates
// the bounds it lies outside of.
func (f planField) fillNumber(into reflect.Value, v value) []bodyFault {
	literal := ""
	switch {
	case v.kind == number:
		literal = string(v.raw)
	case v.untyped && v.text == "" && f.optional:
		return nil
	case v.untyped && isNumber(v.text):
		literal = v.text
	}
	x, err := math.NaN(), error(nil)
	if literal != "" {
		x, err = f.parseNumber(into, literal)
	}
	faults := f.violated(func(c check) bool { return c.number == nil || c.number(x) })
	switch {
	case len(faults) > 0 || err == nil && !math.IsNaN(x):
		return faults
	case f.kind == integerField:
		return f.fault("integer", defaultInteger)
	case math.IsInf(x, 1):
		return f.fault("most", "must not be greater than "+creditcore.MaxAmount.String())
	case math.IsInf(x, -1):
		return f.fault("least", "must not be less than -"+creditcore.MaxAmount.String())
	}
	return f.fault("number", defaultNumber)
}

// parseNumber sets the field where the literal, which is a JSON number, fits,
// and returns the number for the rules: an infinite one beyond every bound.
func (f planField) parseNumber(into reflect.Value, literal string) (float64, error) {
	beyond := math.Inf(1)
	if strings.HasPrefix(literal, "-") {
		beyond = math.Inf(-1)
	}
	if f.kind == amountField {
		amount, err := creditcore.ParseAmount(literal)
		if err != nil {
			return beyond, err
		}
		f.put(into, amount)
		return float64(amount) / float64(creditcore.Credit), nil
	}
	x, err := strconv.ParseFloat(literal, 64)
	switch {
	case err != nil:
		return beyond, err
	case x != math.Trunc(x):
		return x, errFraction
	case math.Abs(x) > math.MaxInt32 && f.source == fromQuery: // of a page: as good as any great number
		x = math.Copysign(math.MaxInt32, x)
	case math.Abs(x) > 1<<53:
		return beyond, errFraction
	}
	f.put(into, int(x))
	return x, nil
}

var errFraction = errors.New("no integer")

// isNumber reports whether a text is a JSON number.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') && json.Valid([]byte(s)) && strings.TrimSpace(s) == s
}

// documentFault tells why valid JSON cannot be stored: PostgreSQL's jsonb takes
// neither NUL nor half a surrogate, and writes numbers out in full, so that one
// of a few bytes could become one of thousands.
func documentFault(raw []byte) string {
	if fault := escapeFault(raw); fault != "" {
		return fault
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
