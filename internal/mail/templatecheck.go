package mail

import (
	"fmt"
	htmltemplate "html/template"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
)

var (
	viewFields   = fields(view{})
	layoutFields = fields(layout{}, block{})
)

// fields are the names of the exported fields of structs.
func fields(structs ...any) map[string]bool {
	names := map[string]bool{}
	for _, s := range structs {
		t := reflect.TypeOf(s)
		for i := range t.NumField() {
			names[t.Field(i).Name] = true
		}
	}
	return names
}

// parseText parses a text template, over the definitions of another one if not
// nil.
func parseText(name, source string, over *template.Template) (*template.Template, error) {
	t := template.New(name)
	if over != nil {
		copied, err := over.Clone()
		if err != nil {
			return nil, fmt.Errorf("mail template %s: %w", name, err)
		}
		t = copied.New(name)
	}
	t, err := t.Option("missingkey=error").Parse(unixLines(source))
	if err != nil {
		return nil, fmt.Errorf("mail template: %w", err)
	}
	for _, part := range t.Templates() {
		if err := checkFields(part.Tree, viewFields); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// parsePage parses an HTML template.
func parsePage(name, source string, known map[string]bool) (*htmltemplate.Template, error) {
	t, err := htmltemplate.New(name).Parse(unixLines(source))
	if err != nil {
		return nil, fmt.Errorf("mail template: %w", err)
	}
	for _, part := range t.Templates() {
		if err := checkFields(part.Tree, known); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func unixLines(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
}

// checkFields finds a field that does not exist, in branches too that the
// samples do not run through.
func checkFields(tree *parse.Tree, known map[string]bool) error {
	if tree == nil || tree.Root == nil {
		return nil
	}
	var fault error
	walk(reflect.ValueOf(tree.Root), func(n parse.Node, names []string) {
		for i, name := range names {
			if fault == nil && (i > 0 || !known[name]) {
				location, _ := tree.ErrorContext(n)
				fault = fmt.Errorf("mail template %s: there is no field .%s", location, strings.Join(names, "."))
			}
		}
	})
	return fault
}

// walk visits every field that a tree names.
func walk(v reflect.Value, visit func(parse.Node, []string)) {
	if !v.IsValid() || (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && v.IsNil() {
		return
	}
	switch n := v.Interface().(type) {
	case *parse.FieldNode:
		visit(n, n.Ident)
		return
	case *parse.VariableNode:
		visit(n, n.Ident[1:])
		return
	case *parse.ChainNode:
		visit(n, n.Field)
		walk(reflect.ValueOf(n.Node), visit)
		return
	case *parse.Tree:
		return // the way back up
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		walk(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i), visit)
			}
		}
	}
}
