package stripetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// spec are the parameters of a route, parsed from words such as
//
//	amount:int! customer:customer metadata.* line_items.*.price
//
// "*" stands for any index or key, "!" for required. The type is int, bool or
// the kind of object that the parameter must name; without one it is a text.
type spec []parameter

type parameter struct {
	path     []string
	kind     string
	required bool
}

func parseSpec(words string) spec {
	var out spec
	for word := range strings.FieldsSeq(words + " expand.*") {
		var p parameter
		word, p.required = strings.CutSuffix(word, "!")
		word, p.kind, _ = strings.Cut(word, ":")
		p.path = strings.Split(word, ".")
		out = append(out, p)
	}
	return out
}

func (p parameter) matches(parts []string) bool {
	if len(p.path) > 1 && p.path[len(p.path)-1] == "*" && slices.Equal(parts, p.path[:len(p.path)-1]) {
		return true // the whole of it, set to nothing
	}
	return slices.EqualFunc(p.path, parts, func(want, got string) bool { return want == "*" || want == got })
}

// check refuses what the route does not know, what is malformed and what names
// nothing.
func (s *Server) check(known spec, f form) *refusal {
	for _, p := range known {
		if path := strings.Join(p.path, "."); p.required && f.str(path) == "" {
			return invalid("parameter_missing", wire(path), "Missing required param: %s.", wire(path))
		}
	}
	for name, values := range f {
		i := slices.IndexFunc(known, func(p parameter) bool { return p.matches(segments(name)) })
		if i < 0 {
			return invalid("parameter_unknown", name, "Received unknown parameter: %s", name)
		}
		if refusal := s.checkValue(known[i].kind, name, values[0]); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (s *Server) checkValue(kind, name, value string) *refusal {
	switch {
	case kind == "":
	case value == "" && kind != "int":
	case kind == "int":
		if _, err := strconv.ParseInt(value, 10, 64); err != nil && value != "" {
			return invalid("parameter_invalid_integer", name, "Invalid integer: %s", value)
		}
	case kind == "bool":
		if value != "true" && value != "false" {
			return invalid("", name, "Invalid boolean: %s", value)
		}
	default:
		if o, ok := s.objects[value]; !ok || o.kind() != kind || o.bool("deleted") {
			return missing(http.StatusBadRequest, kind, value, name)
		}
	}
	return nil
}
