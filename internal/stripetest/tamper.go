package stripetest

import "strings"

// Set overwrites a field of an object, which may lie deeper, such as
// "payment.payment_intent", behind the back of the API: there is no event, and
// events made before keep what they show. Numbers may be of type int.
func (s *Server) Set(id, field string, value any) {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		s.set(id, field, value)
	})
}

// SetAmountReceived lets an intent have received another amount than it was
// made for.
func (s *Server) SetAmountReceived(intent string, cents int64) {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		s.set(s.find(intent, "payment_intent").id(), "amount_received", cents)
	})
}

// SetCurrency gives an intent, a session, an invoice or a price another
// currency, and an intent's charge with it.
func (s *Server) SetCurrency(id, currency string) {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		s.set(id, "currency", currency)
		if charge := s.objects[s.find(id).str("latest_charge")]; charge != nil {
			charge["currency"] = currency
		}
	})
}

// Decline makes the card declined, or accepted again, with which Stripe itself
// collects a customer's changes of plan.
func (s *Server) Decline(customer string, declined bool) {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		s.find(customer, "customer")["_declined"] = declined
	})
}

// cardOf is how charging a subscription's customer ends.
func (s *Server) cardOf(sub object) string {
	if s.objects[sub.str("customer")].bool("_declined") {
		return "failed"
	}
	return "succeeded"
}

func (s *Server) set(id, field string, value any) {
	s.t.Helper()
	o := s.find(id)
	if dot := strings.LastIndexByte(field, '.'); dot >= 0 {
		inner, ok := o.at(field[:dot]).(object)
		if !ok {
			s.t.Fatalf("stripetest: %s has no object at %q", id, field[:dot])
		}
		o, field = inner, field[dot+1:]
	}
	if n, ok := value.(int); ok {
		value = int64(n)
	}
	o[field] = value
}
