package stripetest

import "strings"

// maxExpand is how deep Stripe expands.
const maxExpand = 4

// expanded is an object as it is answered, with the fields of the paths filled
// in. It may be a list, whose paths begin with "data.".
func (s *Server) expanded(o object, paths []string) (object, *refusal) {
	out := s.show(o)
	for _, path := range paths {
		steps := strings.Split(path, ".")
		depth := len(steps)
		for _, step := range steps {
			if step == "data" {
				depth--
			}
		}
		if depth > maxExpand {
			return nil, invalid("", "expand", "You cannot expand more than %d levels of a property (%s).", maxExpand, path)
		}
		if !s.expand(out, steps) {
			return nil, invalid("", "expand", "This property cannot be expanded (%s).", path)
		}
	}
	return out, nil
}

// expand fills in one path and reports whether it could.
func (s *Server) expand(value any, steps []string) bool {
	if len(steps) == 0 || value == nil {
		return true
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if !s.expand(item, steps) {
				return false
			}
		}
		return true
	case object:
		field, shown := v[steps[0]]
		if !shown {
			if field = s.included(v, steps[0]); field == nil {
				return false
			}
		}
		if id, reference := field.(string); reference {
			target, ok := s.objects[id]
			if !ok {
				return false
			}
			field = s.show(target)
		}
		v[steps[0]] = field
		return s.expand(field, steps[1:])
	default:
		return false
	}
}

// included is a field that is only there when it is asked for.
func (s *Server) included(o object, field string) any {
	of := func(kind, reference, path string) object {
		var items []any
		for _, other := range s.all(kind) {
			if other.str(reference) == o.id() {
				items = append([]any{s.show(other)}, items...)
			}
		}
		return envelope(path, items, false)
	}
	switch o.kind() + "." + field {
	case "charge.refunds":
		return of("refund", "charge", "/v1/charges/"+o.id()+"/refunds")
	case "invoice.payments":
		return of("invoice_payment", "invoice", "/v1/invoice_payments")
	case "customer.subscriptions":
		list := of("subscription", "customer", "/v1/customers/"+o.id()+"/subscriptions")
		var running []any
		for _, sub := range list.each("data") {
			if !over(sub) {
				running = append(running, sub)
			}
		}
		return envelope(list.str("url"), running, false)
	case "checkout.session.line_items":
		items, _ := s.objects[o.id()]["_items"].([]any)
		return envelope("/v1/checkout/sessions/"+o.id()+"/line_items", copied(items).([]any), false)
	}
	return nil
}
