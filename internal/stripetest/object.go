package stripetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// object is an object of Stripe as it is on the wire. Numbers are int64, lists
// []any, metadata map[string]string, references the id of their object. Fields
// that begin with "_" are the server's own and never shown.
type object map[string]any

// prefixes are those of the ids, by kind.
var prefixes = map[string]string{
	"billing_portal.session": "bps",
	"charge":                 "ch",
	"checkout.session":       "cs_test",
	"customer":               "cus",
	"dispute":                "du",
	"event":                  "evt",
	"invoice":                "in",
	"invoice_payment":        "inpay",
	"invoiceitem":            "ii",
	"item":                   "li",
	"line_item":              "il",
	"payment_intent":         "pi",
	"payment_method":         "pm",
	"price":                  "price",
	"product":                "prod",
	"refund":                 "re",
	"request":                "req",
	"setup_intent":           "seti",
	"subscription":           "sub",
	"subscription_item":      "si",
}

func (o object) id() string   { return o.str("id") }
func (o object) kind() string { return o.str("object") }

// at is the value of a field, which may lie deeper: "payment.payment_intent".
func (o object) at(field string) any {
	var value any = o
	for name := range strings.SplitSeq(field, ".") {
		inner, _ := value.(object)
		value = inner[name]
	}
	return value
}

func (o object) str(field string) string {
	text, _ := o.at(field).(string)
	return text
}

func (o object) int(field string) int64 {
	n, _ := o.at(field).(int64)
	return n
}

func (o object) bool(field string) bool {
	b, _ := o.at(field).(bool)
	return b
}

func (o object) metadata() map[string]string {
	m, _ := o["metadata"].(map[string]string)
	return m
}

// each are the objects of a list field, be it a plain list or an envelope.
func (o object) each(field string) []object {
	items, ok := o.at(field).([]any)
	if !ok {
		items, _ = o.at(field + ".data").([]any)
	}
	out := make([]object, 0, len(items))
	for _, item := range items {
		if inner, ok := item.(object); ok {
			out = append(out, inner)
		}
	}
	return out
}

// text is a string or, where it is empty, null.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// envelope is a list as it lies inside an object.
func envelope(url string, items []any, more bool) object {
	if items == nil {
		items = []any{}
	}
	return object{"object": "list", "url": url, "data": items, "has_more": more}
}

// copied is a deep copy without the server's own fields.
func copied(value any) any {
	switch v := value.(type) {
	case object:
		out := make(object, len(v))
		for name, field := range v {
			if !strings.HasPrefix(name, "_") {
				out[name] = copied(field)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = copied(item)
		}
		return out
	case map[string]string:
		return maps.Clone(v)
	default:
		return v
	}
}

func encode(value any) []byte {
	out, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("stripetest: encode: %v", err)) // only values of our own making
	}
	return out
}

// name counts a new id of a kind.
func (s *Server) name(kind string) string {
	s.numbers[kind]++
	return fmt.Sprintf("%s_%06d", prefixes[kind], s.numbers[kind])
}

// add stores a new object. An id given in fields is kept.
func (s *Server) add(kind string, fields object) object {
	if fields.id() == "" {
		fields["id"] = s.name(kind)
	}
	if _, taken := s.objects[fields.id()]; taken {
		s.t.Fatalf("stripetest: there is an object %q already", fields.id())
	}
	fields["object"] = kind
	fields["created"] = s.now.Unix()
	fields["livemode"] = false
	if fields["metadata"] == nil && kind != "invoice_payment" {
		fields["metadata"] = map[string]string{}
	}
	s.objects[fields.id()] = fields
	s.order = append(s.order, fields.id())
	return fields
}

// find is the object with this id, for a verb.
func (s *Server) find(id string, kinds ...string) object {
	s.t.Helper()
	found, ok := s.objects[id]
	if !ok {
		s.t.Fatalf("stripetest: no object %q", id)
	}
	for _, kind := range kinds {
		if found.kind() == kind {
			return found
		}
	}
	if len(kinds) > 0 {
		s.t.Fatalf("stripetest: %q is a %s, not a %s", id, found.kind(), strings.Join(kinds, " or "))
	}
	return found
}

// all are the objects of a kind, oldest first.
func (s *Server) all(kind string) []object {
	var out []object
	for _, id := range s.order {
		if o := s.objects[id]; o.kind() == kind {
			out = append(out, o)
		}
	}
	return out
}

// show is an object as Stripe answers with it, nothing expanded.
func (s *Server) show(o object) object {
	if o.bool("deleted") {
		return object{"id": o.id(), "object": o.kind(), "deleted": true}
	}
	out := copied(o).(object)
	if o.kind() == "invoice" {
		out["lines"] = shownLines(o)
	}
	return out
}
