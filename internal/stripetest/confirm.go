package stripetest

import "net/http"

// unauthenticated is the text of a card whose owner was not there to confirm.
const unauthenticated = "Your card was declined. This transaction requires authentication."

// confirmIntent charges an intent with a saved card.
func (s *Server) confirmIntent(c *call) (object, *refusal) {
	intent := c.target
	if intent.str("status") != "requires_payment_method" {
		return nil, unexpectedState(intent, "confirm")
	}
	used := s.objects[c.str("payment_method")]
	switch {
	case used == nil:
		return nil, invalid("payment_intent_unexpected_state", "", "You cannot confirm this PaymentIntent because it's missing a payment method.")
	case used["customer"] == nil || used["customer"] != intent["customer"]:
		return nil, invalid("", "", "The provided PaymentMethod was used without a Customer, was detached from one, or is another Customer's, and may not be used.")
	case c.bool("off_session") && c.bool("use_stripe_sdk"):
		return nil, invalid("", "use_stripe_sdk", "You cannot set `use_stripe_sdk` to true when `off_session` is true.")
	}
	intent["_method"] = used.id()
	switch Card(used.str("_card")) {
	case Declined:
		return nil, s.refuseCard(intent)
	case Authenticates:
		if c.bool("off_session") {
			intent["_unauthenticated"] = true
			refused := s.refuseCard(intent)
			delete(intent, "_unauthenticated")
			return nil, refused
		}
		s.askOwner(intent, used, c.str("return_url"))
		return intent, nil
	}
	s.settle(intent, card, "succeeded")
	return intent, nil
}

// refuseCard ends a try to charge a saved card.
func (s *Server) refuseCard(intent object) *refusal {
	s.settle(intent, card, "failed")
	why := intent.at("last_payment_error").(object)
	return &refusal{
		status: http.StatusPaymentRequired, kind: "card_error", code: why.str("code"), decline: why.str("decline_code"),
		message: why.str("message"), intent: intent,
	}
}

// askOwner has an intent wait for its owner: on a page of their bank where the caller
// says where that leads back to, else in a client's library.
func (s *Server) askOwner(intent, used object, back string) {
	intent["status"], intent["payment_method"], intent["last_payment_error"] = "requires_action", used.id(), nil
	intent["next_action"] = object{"type": "use_stripe_sdk", "use_stripe_sdk": object{"type": "three_d_secure_redirect"}}
	if back != "" {
		intent["next_action"] = object{"type": "redirect_to_url", "redirect_to_url": object{
			"return_url": back, "url": s.hosted("hooks", "3d_secure/"+intent.id()),
		}}
	}
	s.emit("payment_intent.requires_action", intent)
}

// Challenge tries to pay with a card whose bank wants to ask its owner, who is there:
// the payment waits for [Server.Authenticate] or [Server.FailAuthentication]. The id is
// that of a payment intent or a checkout session.
func (s *Server) Challenge(id string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		if session := s.sessionOf(id); session != nil && session.str("status") == "open" {
			s.confirm(session)
		}
		intent := s.intentOf(id)
		if intent == nil || intent.str("status") != "requires_payment_method" {
			s.t.Fatalf("stripetest: %q has no payment that can be paid", id)
		}
		used := s.newMethod(intent.str("customer"), card)
		intent["_method"] = used.id()
		s.askOwner(intent, used, "")
	})
}

// Authenticate lets the owner of a card confirm a payment that waits for them.
func (s *Server) Authenticate(id string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		intent := s.waiting(id)
		s.settle(intent, card, "succeeded")
		if session := s.objects[intent.str("_session")]; session != nil {
			s.sessionTried(session, "succeeded")
		}
	})
}

// FailAuthentication lets them fail to. The payment can be tried again.
func (s *Server) FailAuthentication(id string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		waits := s.waiting(id)
		waits["status"], waits["payment_method"] = "requires_payment_method", nil
		waits["last_payment_error"] = object{
			"type": "invalid_request_error", "code": "payment_intent_authentication_failure",
			"message": "The provided PaymentMethod has failed authentication.",
		}
		s.emit("payment_intent.payment_failed", waits)
	})
}

// waiting is an intent that waits for its owner, and now no more.
func (s *Server) waiting(id string) object {
	s.t.Helper()
	intent := s.intentOf(id)
	if intent.str("status") != "requires_action" {
		s.t.Fatalf("stripetest: %s is %s and waits for nobody", id, intent.str("status"))
	}
	intent["next_action"] = nil
	return intent
}
