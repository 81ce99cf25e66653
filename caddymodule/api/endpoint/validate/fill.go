package validate

import (
	"reflect"
	"slices"

	"mana.how/edge/caddymodule/api/endpoint/decode"
)

// fill sets one field and returns what is wrong with it.
func (f Field) fill(into reflect.Value, v decode.Value) []FieldError {
	if f.Optional && (v.Kind == decode.Absent || v.Kind == decode.Null) {
		return nil
	}
	if v.Invalid != "" {
		return f.refuse("text", v.Invalid)
	}
	switch f.Kind {
	case Boolean:
		return f.fillBoolean(into, v)
	case Amount, Integer:
		return f.fillNumber(into, v)
	case Object:
		return f.fillObject(into, v)
	case Texts:
		return f.fillTexts(into, v)
	case Objects:
		return f.fillObjects(into, v)
	default:
		return f.fillText(into, v)
	}
}

// refuse is one error of the field, under the name of a rule.
func (f Field) refuse(rule, text string) []FieldError {
	return []FieldError{{f.Name, rule, f.Name + " " + text}}
}

// violated lists the rules that do not hold.
func (f Field) violated(holds func(Rule) bool) []FieldError {
	var errs []FieldError
	for _, c := range f.Rules {
		if !holds(c) {
			errs = append(errs, FieldError{f.Name, c.Name, c.of(f.Name)})
		}
	}
	return errs
}

// put sets a field or what it points to.
func (f Field) put(into reflect.Value, v any) {
	if f.pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	into.Set(reflect.ValueOf(v).Convert(into.Type()))
}

func (f Field) fillText(into reflect.Value, v decode.Value) []FieldError {
	isText := v.Kind == decode.Text || v.Kind == decode.Number || v.Kind == decode.Boolean
	if isText {
		f.put(into, v.Text)
	}
	errs := f.violated(func(c Rule) bool {
		if !isText {
			return c.lax
		}
		return c.text == nil || c.text(v.Text)
	})
	for i, e := range errs {
		for _, c := range f.Rules {
			if isText && c.Name == e.Rule && c.worded != nil {
				errs[i].Text = f.Name + " " + c.worded(v.Text)
			}
		}
	}
	return errs
}

func (f Field) fillBoolean(into reflect.Value, v decode.Value) []FieldError {
	if !slices.Contains([]string{"true", "false", "on"}, v.Text) {
		return f.refuse("boolean", "must be a boolean value")
	}
	f.put(into, v.Text != "false")
	return nil
}
