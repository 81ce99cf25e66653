package validate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// maxErrors bounds how many errors one answer lists.
const maxErrors = 50

// Plan is how a request type is filled. Its fields are declared with tags:
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
//	json.RawMessage   an object, as it came; or a type of that, which says by
//	                  a method Schema what it takes
//	[]json.RawMessage an array of objects, of a type that says by a method Item of what
//	                  type each of them is; they are read one by one with a plan of it
//	[]string          an array of texts; or a type of that, which says by a method
//	                  Schema what it takes
//
// or a pointer to one of the first four, which stays nil where an optional
// field is missing or null. Text of a form or a query may stand for a number.
//
// The rule "unless=other" lets a field of the body be missing or null where another
// is there.
//
// The rule "service" keeps a field to callers with the service key: from
// anybody else it is an unknown one.
type Plan struct {
	Fields []Field
	// ReadsBody and ReadsQuery report whether any field comes from there.
	ReadsBody, ReadsQuery bool
}

// described is a type of objects or arrays that says what it takes, as JSON Schema. What
// else is to be checked is for the handler.
type described interface{ Schema() map[string]any }

// itemized is a type of arrays that says of what type each object is.
type itemized interface{ Item() reflect.Type }

// Field is how one field of a request type is filled.
type Field struct {
	Name   string
	Doc    string // a sentence for the OpenAPI document
	Source Source
	Kind   Kind
	// Optional fields may be missing or null.
	Optional bool
	// Unless names another field of the body: where that is there, this one may be
	// missing or null.
	Unless string
	// Service fields exist for callers with the service key only.
	Service bool
	Rules   []Rule
	// Schema is what the document says of an object or array; nil where it may be
	// any.
	Schema map[string]any
	// Items is how each object of an array is filled.
	Items *Plan

	index   int // in the struct
	pointer bool
}

// Source is where a field comes from.
type Source int

// The sources of fields.
const (
	FromBody Source = iota
	FromPath
	FromQuery
)

// Kind is what a field takes.
type Kind int

// The kinds of fields.
const (
	Text Kind = iota
	Boolean
	Amount
	Integer
	Object
	Texts
	Objects
)

// MostObjects bounds an array of objects.
const MostObjects = 500

// String is the kind's type in JSON.
func (k Kind) String() string {
	return [...]string{
		Text: "string", Boolean: "boolean", Amount: "number", Integer: "integer", Object: "object", Texts: "array", Objects: "array",
	}[k]
}

// Input is what a request brought for a plan.
type Input struct {
	// Params are the parameters of the path, in its order.
	Params      []string
	Body, Query decode.Body
	// Service says that the caller has the service key.
	Service bool
}

// FieldError is one violation of one field.
type FieldError struct {
	Field string
	Rule  string // its name, or what else is wrong: unknown, repeated, text
	Text  string // for the client
}

// For compiles the tags of a request type. A faulty tag is a programming
// error and panics.
func For(t reflect.Type) *Plan {
	p := &Plan{}
	for i := range t.NumField() {
		f := fieldFor(t, t.Field(i))
		f.index = i
		p.ReadsBody = p.ReadsBody || f.Source == FromBody
		p.ReadsQuery = p.ReadsQuery || f.Source == FromQuery
		p.Fields = append(p.Fields, f)
	}
	return p
}

func fieldFor(t reflect.Type, sf reflect.StructField) Field {
	var f Field
	for i, tag := range []string{FromBody: "json", FromPath: "path", FromQuery: "query"} {
		if name := sf.Tag.Get(tag); name != "" {
			f.Name, f.Source = name, Source(i)
		}
	}
	if f.Name == "" {
		panic(fmt.Sprintf("validate: %s.%s has no json, path or query tag", t, sf.Name))
	}
	f.Doc = sf.Tag.Get("doc")
	elem := sf.Type
	if elem.Kind() == reflect.Pointer {
		f.pointer, elem = true, elem.Elem()
	}
	switch {
	case elem == reflect.TypeFor[creditcore.Amount]():
		f.Kind = Amount
	case elem == reflect.TypeFor[json.RawMessage]() && !f.pointer:
		f.Kind = Object
	case elem.ConvertibleTo(reflect.TypeFor[json.RawMessage]()) && elem.Implements(reflect.TypeFor[described]()):
		f.Kind, f.Schema = Object, reflect.Zero(elem).Interface().(described).Schema()
	case elem.Kind() == reflect.Slice && elem.Elem() == reflect.TypeFor[json.RawMessage]() && elem.Implements(reflect.TypeFor[itemized]()):
		f.Kind, f.Items = Objects, For(reflect.Zero(elem).Interface().(itemized).Item())
	case elem.Kind() == reflect.Slice && elem.Elem().Kind() == reflect.String && !f.pointer:
		f.Kind = Texts
		if d, ok := reflect.Zero(elem).Interface().(described); ok {
			f.Schema = d.Schema()
		}
	case elem.Kind() == reflect.String:
		f.Kind = Text
	case elem.Kind() == reflect.Int:
		f.Kind = Integer
	case elem.Kind() == reflect.Bool && f.pointer:
		f.Kind = Boolean
	default:
		panic(fmt.Sprintf("validate: %s.%s is of a type that no field is filled with", t, sf.Name))
	}
	for name := range strings.SplitSeq(sf.Tag.Get("rule"), ",") {
		if other, ok := strings.CutPrefix(name, "unless="); ok {
			f.Unless = other
			continue
		}
		switch name {
		case "", "object": // what a json.RawMessage is anyway
		case "optional":
			f.Optional = true
		case "service":
			f.Service = true
		default:
			f.Rules = append(f.Rules, ruleNamed(name))
		}
	}
	return f
}

// Fill sets the fields of a request and returns every error: unknown fields
// where they are refused, repeated ones, then each violated rule in order.
func (p *Plan) Fill(into reflect.Value, in Input, refuseUnknown bool) []FieldError {
	var errs []FieldError
	if refuseUnknown {
		for _, name := range in.Body.Names {
			if !p.knows(name, in.Service) {
				errs = append(errs, FieldError{name, "unknown", "property " + shown(name) + " should not exist"})
			}
		}
	}
	for _, name := range in.Body.Repeated {
		if refuseUnknown || p.knows(name, in.Service) {
			errs = append(errs, repeated(name))
		}
	}
	for _, f := range p.Fields {
		if f.Service && !in.Service {
			continue
		}
		v := in.Body.Values[f.Name]
		switch f.Source {
		case FromPath:
			v, in.Params = decode.TextValue(in.Params[0]), in.Params[1:]
		case FromQuery:
			v = in.Query.Values[f.Name]
			if slices.Contains(in.Query.Repeated, f.Name) {
				errs = append(errs, repeated(f.Name))
			}
		}
		if other := in.Body.Values[f.Unless].Kind; f.Unless != "" && other != decode.Absent && other != decode.Null {
			f.Optional = true
		}
		errs = append(errs, f.fill(into.Field(f.index), v)...)
	}
	return errs[:min(len(errs), maxErrors)]
}

func (p *Plan) knows(name string, service bool) bool {
	return slices.ContainsFunc(p.Fields, func(f Field) bool {
		return f.Source == FromBody && f.Name == name && (service || !f.Service)
	})
}

func repeated(name string) FieldError {
	return FieldError{name, "repeated", "property " + shown(name) + " must not be repeated"}
}

// shown keeps an echoed name short.
func shown(name string) string { return request.Printable(name, 64) }
