package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"mana.how/edge/creditcore"
)

// maxFaults bounds how many faults one answer lists.
const maxFaults = 50

// maxObject bounds an object that is stored as it came, in bytes.
const maxObject = 64 << 10

// plan is how a request type is filled. Its fields are declared with tags:
//
//	json:"name"            a field of the body
//	path:"name"            the next parameter of the path
//	query:"name"           a parameter of the query; unknown ones are ignored
//	rule:"optional,max=8"  what its value must be, in the order of the texts
//	doc:"A sentence."      what the OpenAPI document says of it
//
// A field is one of
//
//	string            a number or boolean sent for it is converted
//	creditcore.Amount a JSON number; nothing else is converted
//	int               a JSON number without fraction
//	bool              by pointer only
//	json.RawMessage   an object, as it came
//
// or a pointer to one of the first four, which stays nil where an optional
// field is missing or null. Text of a form or a query may stand for a number.
//
// The rule "service" keeps a field to callers with the service key: from
// anybody else it is an unknown one.
type plan struct {
	readsBody  bool
	readsQuery bool
	fields     []planField
}

type planField struct {
	name     string
	index    int
	doc      string // a sentence for the document
	source   source
	kind     fieldKind
	optional bool
	service  bool
	pointer  bool
	rules    []check
}

// source is where a field comes from.
type source int

const (
	fromBody source = iota
	fromPath
	fromQuery
)

type fieldKind int

const (
	textField fieldKind = iota
	booleanField
	amountField
	integerField
	objectField
)

// String is the kind's type in JSON.
func (k fieldKind) String() string {
	return [...]string{
		textField: "string", booleanField: "boolean", amountField: "number", integerField: "integer", objectField: "object",
	}[k]
}

// received is what a request brought for a plan.
type received struct {
	params  []string
	body    body
	query   body
	service bool // the caller has the service key
}

// bodyFault is one violation.
type bodyFault struct {
	field string
	check string
	text  string
}

// planFor compiles the tags of a request type. A faulty tag is a programming
// error and panics.
func planFor(t reflect.Type) *plan {
	p := &plan{}
	for i := range t.NumField() {
		f := planFieldFor(t, t.Field(i))
		f.index = i
		p.readsBody = p.readsBody || f.source == fromBody
		p.readsQuery = p.readsQuery || f.source == fromQuery
		p.fields = append(p.fields, f)
	}
	return p
}

func planFieldFor(t reflect.Type, sf reflect.StructField) planField {
	var f planField
	for i, tag := range []string{fromBody: "json", fromPath: "path", fromQuery: "query"} {
		if name := sf.Tag.Get(tag); name != "" {
			f.name, f.source = name, source(i)
		}
	}
	if f.name == "" {
		panic(fmt.Sprintf("api: %s.%s has no json, path or query tag", t, sf.Name))
	}
	f.doc = sf.Tag.Get("doc")
	elem := sf.Type
	if elem.Kind() == reflect.Pointer {
		f.pointer, elem = true, elem.Elem()
	}
	switch {
	case elem == reflect.TypeFor[creditcore.Amount]():
		f.kind = amountField
	case elem == reflect.TypeFor[json.RawMessage]() && !f.pointer:
		f.kind = objectField
	case elem.Kind() == reflect.String:
		f.kind = textField
	case elem.Kind() == reflect.Int:
		f.kind = integerField
	case elem.Kind() == reflect.Bool && f.pointer:
		f.kind = booleanField
	default:
		panic(fmt.Sprintf("api: %s.%s is of a type that no field is filled with", t, sf.Name))
	}
	for name := range strings.SplitSeq(sf.Tag.Get("rule"), ",") {
		switch name {
		case "", "object": // what a json.RawMessage is anyway
		case "optional":
			f.optional = true
		case "service":
			f.service = true
		default:
			f.rules = append(f.rules, checkNamed(name))
		}
	}
	return f
}

// fill sets the fields of a request and returns every fault: unknown fields
// where they are refused, repeated ones, then each violated rule in order.
func (p *plan) fill(into reflect.Value, r received, refuseUnknown bool) []bodyFault {
	var faults []bodyFault
	if refuseUnknown {
		for _, name := range r.body.names {
			if !p.knows(name, r.service) {
				faults = append(faults, bodyFault{name, "unknown", "property " + shown(name) + " should not exist"})
			}
		}
	}
	for _, name := range r.body.repeated {
		if refuseUnknown || p.knows(name, r.service) {
			faults = append(faults, repeated(name))
		}
	}
	for _, f := range p.fields {
		if f.service && !r.service {
			continue
		}
		v := r.body.values[f.name]
		switch f.source {
		case fromPath:
			v, r.params = textValue(r.params[0]), r.params[1:]
		case fromQuery:
			v = r.query.values[f.name]
			if slices.Contains(r.query.repeated, f.name) {
				faults = append(faults, repeated(f.name))
			}
		}
		faults = append(faults, f.fill(into.Field(f.index), v)...)
	}
	return faults[:min(len(faults), maxFaults)]
}

func (p *plan) knows(name string, service bool) bool {
	return slices.ContainsFunc(p.fields, func(f planField) bool {
		return f.source == fromBody && f.name == name && (service || !f.service)
	})
}

func repeated(name string) bodyFault {
	return bodyFault{name, "repeated", "property " + shown(name) + " must not be repeated"}
}

// shown keeps an echoed name short.
func shown(name string) string { return printable(name, 64) }

func (f planField) fill(into reflect.Value, v value) []bodyFault {
	if f.optional && (v.kind == absent || v.kind == null) {
		return nil
	}
	if v.fault != "" {
		return f.fault("text", v.fault)
	}
	switch f.kind {
	case booleanField:
		return f.fillBoolean(into, v)
	case amountField, integerField:
		return f.fillNumber(into, v)
	case objectField:
		return f.fillObject(into, v)
	default:
		return f.fillText(into, v)
	}
}

func (f planField) fault(check, text string) []bodyFault {
	return []bodyFault{{f.name, check, f.name + " " + text}}
}

// violated lists the rules that do not hold.
func (f planField) violated(holds func(check) bool) []bodyFault {
	var faults []bodyFault
	for _, c := range f.rules {
		if !holds(c) {
			faults = append(faults, bodyFault{f.name, c.name, c.of(f.name)})
		}
	}
	return faults
}

// put sets a field or what it points to.
func (f planField) put(into reflect.Value, v any) {
	if f.pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	into.Set(reflect.ValueOf(v).Convert(into.Type()))
}

func (f planField) fillText(into reflect.Value, v value) []bodyFault {
	isText := v.kind == text || v.kind == number || v.kind == boolean
	if isText {
		f.put(into, v.text)
	}
	faults := f.violated(func(c check) bool {
		if !isText {
			return c.lax
		}
		return c.text == nil || c.text(v.text)
	})
	for i, fault := range faults {
		for _, c := range f.rules {
			if isText && c.name == fault.check && c.worded != nil {
				faults[i].text = f.name + " " + c.worded(v.text)
			}
		}
	}
	return faults
}

func (f planField) fillBoolean(into reflect.Value, v value) []bodyFault {
	if !slices.Contains([]string{"true", "false", "on"}, v.text) {
		return f.fault("boolean", "must be a boolean value")
	}
	f.put(into, v.text != "false")
	return nil
}

// fillObject takes an object as it came, without the blanks.
func (f planField) fillObject(into reflect.Value, v value) []bodyFault {
	if v.kind != compound || v.raw[0] != '{' {
		return f.fault("object", "must be an object")
	}
	if len(v.raw) > maxObject {
		return f.fault("size", fmt.Sprintf("must not be larger than %d kB", maxObject>>10))
	}
	if fault := documentFault(v.raw); fault != "" {
		return f.fault("text", fault)
	}
	f.put(into, compact(v.raw))
	return nil
}
