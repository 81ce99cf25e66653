package api

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxFaults bounds how many faults one answer lists.
const maxFaults = 50

// plan is how a request type is filled. Its fields are declared with tags:
//
//	json:"name"            a field of the body
//	path:"name"            the next parameter of the path
//	rule:"optional,max=8"  what its value must be, in the order of the texts
//
// A field is a string, or a *string or *bool that stays nil where the client
// sent nothing or null. Numbers and booleans sent for a string are converted.
type plan struct {
	readsBody bool
	fields    []planField
}

type planField struct {
	name     string
	index    int
	fromPath bool
	optional bool
	boolean  bool
	pointer  bool
	rules    []check
}

// check is one rule: its name in the tag, the text of its violation without
// the field's name, and what the OpenAPI schema says of it.
type check struct {
	name   string
	text   string
	ok     func(string) bool
	schema map[string]any
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
		sf := t.Field(i)
		f := planField{name: sf.Tag.Get("json"), index: i}
		if f.name == "" {
			f.name, f.fromPath = sf.Tag.Get("path"), true
		}
		if f.name == "" {
			panic(fmt.Sprintf("api: %s.%s has neither a json nor a path tag", t, sf.Name))
		}
		elem := sf.Type
		if elem.Kind() == reflect.Pointer {
			f.pointer, elem = true, elem.Elem()
		}
		f.boolean = elem.Kind() == reflect.Bool
		if !f.boolean && elem.Kind() != reflect.String {
			panic(fmt.Sprintf("api: %s.%s is neither text nor boolean", t, sf.Name))
		}
		for name := range strings.SplitSeq(sf.Tag.Get("rule"), ",") {
			switch name {
			case "":
			case "optional":
				f.optional = true
			default:
				f.rules = append(f.rules, checkNamed(name))
			}
		}
		p.readsBody = p.readsBody || !f.fromPath
		p.fields = append(p.fields, f)
	}
	return p
}

// checkNamed finds a rule of the tag's vocabulary. The texts are those of
// class-validator, which clients show.
func checkNamed(tag string) check {
	name, arg, _ := strings.Cut(tag, "=")
	n, err := strconv.Atoi(arg)
	if (err != nil) != (arg == "") {
		panic("api: rule " + tag + " needs a number")
	}
	switch name {
	case "string":
		return check{name, "must be a string", func(string) bool { return true }, nil}
	case "email":
		return check{name, "must be an email", isEmail, map[string]any{"format": "email"}}
	case "url": // of a site, which may be a host without a dot
		return check{name, "must be a URL address", func(s string) bool { return isURL(s, false) }, nil}
	case "weburl":
		return check{name, "must be a URL address", func(s string) bool { return isURL(s, true) }, nil}
	case "min":
		return check{name, fmt.Sprintf("must be longer than or equal to %d characters", n),
			func(s string) bool { return characters(s) >= n }, map[string]any{"minLength": n}}
	case "max":
		return check{name, fmt.Sprintf("must be shorter than or equal to %d characters", n),
			func(s string) bool { return characters(s) <= n }, map[string]any{"maxLength": n}}
	}
	panic("api: unknown rule " + tag)
}

// fill sets the fields of a request and returns every fault: unknown fields
// where they are refused, repeated ones, then each violated rule in order.
func (p *plan) fill(into reflect.Value, params []string, b body, refuseUnknown bool) []bodyFault {
	var faults []bodyFault
	if refuseUnknown {
		for _, name := range b.names {
			if !p.knows(name) {
				faults = append(faults, bodyFault{name, "unknown", "property " + shown(name) + " should not exist"})
			}
		}
	}
	for _, name := range b.repeated {
		if refuseUnknown || p.knows(name) {
			faults = append(faults, bodyFault{name, "repeated", "property " + shown(name) + " must not be repeated"})
		}
	}
	for _, f := range p.fields {
		v := b.values[f.name]
		if f.fromPath {
			v, params = textValue(params[0]), params[1:]
		}
		faults = append(faults, f.fill(into.Field(f.index), v)...)
	}
	return faults[:min(len(faults), maxFaults)]
}

func (p *plan) knows(name string) bool {
	return slices.ContainsFunc(p.fields, func(f planField) bool { return !f.fromPath && f.name == name })
}

// shown keeps an echoed name short.
func shown(name string) string { return printable(name, 64) }

func (f planField) fill(into reflect.Value, v value) []bodyFault {
	if f.optional && (v.kind == absent || v.kind == null) {
		return nil
	}
	fault := func(c check) bodyFault { return bodyFault{f.name, c.name, f.name + " " + c.text} }
	if v.fault != "" {
		return []bodyFault{{f.name, "text", f.name + " " + v.fault}}
	}
	if f.boolean {
		if !slices.Contains([]string{"true", "false", "on"}, v.text) {
			return []bodyFault{{f.name, "boolean", f.name + " must be a boolean value"}}
		}
		yes := v.text != "false"
		into.Set(reflect.ValueOf(&yes))
		return nil
	}
	isText := v.kind == text || v.kind == number || v.kind == boolean
	if isText && f.pointer {
		into.Set(reflect.ValueOf(&v.text))
	} else if isText {
		into.SetString(v.text)
	}
	var faults []bodyFault
	for _, c := range f.rules {
		if !isText || !c.ok(v.text) {
			faults = append(faults, fault(c))
		}
	}
	return faults
}
