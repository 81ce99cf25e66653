package stripetest

import (
	"slices"
	"strings"
)

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
	// [Server.Authenticate], as does one by [Server.Challenge].
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

// newMethod is what a customer pays with. It is not theirs, so that it pays once, until
// it is attached.
func (s *Server) newMethod(customer string, by method) object {
	fields := object{
		"allow_redisplay": "limited", "billing_details": object{"address": nil, "email": nil, "name": nil, "phone": nil},
		"customer": nil, "type": string(by), "_card": string(Works),
	}
	if by == card {
		fields["card"] = object{
			"brand": "visa", "checks": object{"cvc_check": "pass"}, "country": "DE", "display_brand": "visa", "exp_month": int64(12),
			"exp_year": int64(s.now.Year() + 3), "fingerprint": s.fingerprintOf(customer), "funding": "credit", "last4": "4242", "wallet": nil,
		}
	} else {
		fields[string(by)] = object{"bank_code": "37040044", "branch_code": "", "country": "DE", "fingerprint": s.fingerprintOf(customer), "last4": "3000"}
	}
	return s.add("payment_method", fields)
}

// attach gives a customer what they may pay with again.
func (s *Server) attach(used object, customer string) {
	used["customer"] = customer
	s.emit("payment_method.attached", used)
}

// usageOptions are the parameters that say of one way to pay whether it is kept.
var usageOptions = map[method]string{
	card: "payment_method_options.card.setup_future_usage",
	sepa: "payment_method_options.sepa_debit.setup_future_usage",
}

// usageOptionsOf reads them as the payment_method_options of an intent. The path is that
// of the parameter that says it of the payment as a whole.
func usageOptionsOf(f form, path string) (options object, refused *refusal) {
	if refused := checkUsage(f, path, "off_session", "on_session"); refused != nil {
		return nil, refused
	}
	options = object{}
	for by, at := range usageOptions {
		if refused := checkUsage(f, at, "none", "off_session", "on_session"); refused != nil {
			return nil, refused
		}
		if f.has(at) {
			options[string(by)] = object{"setup_future_usage": f.str(at)}
		}
	}
	return options, nil
}

func checkUsage(f form, path string, known ...string) *refusal {
	if !f.has(path) || slices.Contains(known, f.str(path)) {
		return nil
	}
	return invalid("", wire(path), "Invalid %s: must be one of %s", wire(path), strings.Join(known, ", "))
}

// keep attaches what pays an intent to its customer, where the intent says so: for the
// way it is paid, or else as a whole.
func (s *Server) keep(intent, used object, by method) {
	usage := intent.str("payment_method_options." + string(by) + ".setup_future_usage")
	if usage == "" {
		usage = intent.str("setup_future_usage")
	}
	if customer := intent.str("customer"); customer != "" && used["customer"] == nil && strings.HasSuffix(usage, "_session") {
		s.attach(used, customer)
	}
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
	saved := s.newMethod(session.str("customer"), card)
	s.attach(saved, session.str("customer"))
	setup["payment_method"], setup["status"] = saved.id(), "succeeded"
	s.emit("setup_intent.succeeded", setup)
	s.completeSession(session, "no_payment_required")
}
