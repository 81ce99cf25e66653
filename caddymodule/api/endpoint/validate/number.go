package validate

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/creditcore"
)

// defaultNumber and defaultInteger word what no rule of a field words.
const (
	defaultNumber  = "must be a number conforming to the specified constraints"
	defaultInteger = "must be an integer number"
)

// fillNumber sets an amount or an integer. A number that does not fit violates
// the bounds it lies outside of.
func (f Field) fillNumber(into reflect.Value, v decode.Value) []FieldError {
	literal := ""
	switch {
	case v.Kind == decode.Number:
		literal = string(v.JSON)
	case v.Untyped && v.Text == "" && f.Optional:
		return nil
	case v.Untyped && isNumber(v.Text):
		literal = v.Text
	}
	x, err := math.NaN(), error(nil)
	if literal != "" {
		x, err = f.parseNumber(into, literal)
	}
	errs := f.violated(func(c Rule) bool { return c.number == nil || c.number(x) })
	switch {
	case len(errs) > 0 || err == nil && !math.IsNaN(x):
		return errs
	case f.Kind == Integer:
		return f.refuse("integer", defaultInteger)
	case math.IsInf(x, 1):
		return f.refuse("most", "must not be greater than "+creditcore.MaxAmount.String())
	case math.IsInf(x, -1):
		return f.refuse("least", "must not be less than -"+creditcore.MaxAmount.String())
	}
	return f.refuse("number", defaultNumber)
}

// parseNumber sets the field where the literal, which is a JSON number, fits,
// and returns the number for the rules: an infinite one beyond every bound.
func (f Field) parseNumber(into reflect.Value, literal string) (float64, error) {
	beyond := math.Inf(1)
	if strings.HasPrefix(literal, "-") {
		beyond = math.Inf(-1)
	}
	if f.Kind == Amount {
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
	case math.Abs(x) > math.MaxInt32 && f.Source == FromQuery: // of a page: as good as any great number
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
