package stripetest

// Card is how a saved card behaves.
type Card string

// The cards.
const (
	// Works is charged at once.
	Works Card = "works"
	// Declined is not.
	Declined Card = "declined"
	// Authenticates wants its owner to confirm each payment: one that is made
	// while they are not there fails, one that is made with them waits for
	// [Server.Authenticate].
	Authenticates Card = "authenticates"
)

func (s *Server) methodRoutes() {
	s.retrieve("/v1/payment_methods", "payment_method")
	s.retrieve("/v1/setup_intents", "setup_intent")
	s.route("POST /v1/payment_methods/{id}/detach", "payment_method", "", func(c *call) (object, *refusal) {
		if c.target["customer"] == nil {
			return nil, invalid("", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
		}
		s.change("payment_method.detached", c.target, func() { c.target["customer"] = nil })
		return c.target, nil
	})
}

// CardIs makes a saved card behave in another way.
func (s *Server) CardIs(method string, behaves Card) {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		s.find(method, "payment_method")["_card"] = string(behaves)
	})
}

// CardOf has a customer pay with the card of a fingerprint from now on, which others may
// pay with, too. Without it each has a card of their own.
func (s *Server) CardOf(customer, fingerprint string) {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		s.find(customer, "customer")["_fingerprint"] = fingerprint
	})
}

// fingerprintOf is that of the card a customer pays with.
func (s *Server) fingerprintOf(customer string) string {
	if own := s.objects[customer].str("_fingerprint"); own != "" {
		return own
	}
	return "fingerprint_" + customer
}

// newMethod saves a card for a customer.
func (s *Server) newMethod(customer string) object {
	return s.add("payment_method", object{
		"allow_redisplay": "limited", "billing_details": object{"address": nil, "email": nil, "name": nil, "phone": nil},
		"customer": customer, "type": "card", "_card": string(Works),
		"card": object{
			"brand": "visa", "checks": object{"cvc_check": "pass"}, "country": "DE", "display_brand": "visa", "exp_month": int64(12),
			"exp_year": int64(s.now.Year() + 3), "fingerprint": s.fingerprintOf(customer), "funding": "credit", "last4": "4242", "wallet": nil,
		},
	})
}

// createSetup makes a session that saves a card.
func (s *Server) createSetup(c *call, expires int64) (object, *refusal) {
	switch {
	case c.under("line_items"):
		return nil, invalid("", "line_items", "`line_items` can not be passed in `setup` mode.")
	case len(c.list("payment_method_types")) == 0:
		return nil, invalid("parameter_missing", "currency", "Missing required param: currency.")
	}
	setup := s.add("setup_intent", object{
		"application": nil, "cancellation_reason": nil, "customer": text(c.str("customer")), "description": nil, "last_setup_error": nil,
		"latest_attempt": nil, "mandate": nil, "metadata": c.metadata("setup_intent_data.metadata"), "next_action": nil, "payment_method": nil,
		"payment_method_types": anys(c.list("payment_method_types")), "single_use_mandate": nil, "status": "requires_payment_method", "usage": "off_session",
	})
	setup["client_secret"] = setup.id() + "_secret_stripetest"
	s.emit("setup_intent.created", setup)
	return s.addSession(c, expires, object{
		"payment_method_types": anys(c.list("payment_method_types")), "payment_status": "no_payment_required", "setup_intent": setup.id(),
	}), nil
}

// setUp ends a try to save a card.
func (s *Server) setUp(session object, outcome string) {
	s.t.Helper()
	setup := s.objects[session.str("setup_intent")]
	if session.str("status") != "open" {
		s.t.Fatalf("stripetest: session %s is %s", session.id(), session.str("status"))
	}
	if outcome != "succeeded" {
		setup["last_setup_error"] = object{"type": "card_error", "code": "card_declined", "decline_code": "generic_decline", "message": declined}
		s.emit("setup_intent.setup_failed", setup)
		return
	}
	if session["customer"] == nil {
		customer, _ := s.createCustomer(&call{form: form{"email": {session.str("customer_email")}}})
		session["customer"], setup["customer"] = customer.id(), customer.id()
	}
	saved := s.newMethod(session.str("customer"))
	s.emit("payment_method.attached", saved)
	setup["payment_method"], setup["status"] = saved.id(), "succeeded"
	s.emit("setup_intent.succeeded", setup)
	s.completeSession(session, "no_payment_required")
}
