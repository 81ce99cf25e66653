package stripetest

import "net/http"

func (s *Server) refundRoutes() {
	s.retrieve("/v1/refunds", "refund")
	s.lists("/v1/refunds", "refund", "charge payment_intent", nil)
	s.route("POST /v1/refunds", "", "charge:charge payment_intent:payment_intent amount:int reason metadata.*", s.createRefund)
}

func (s *Server) createRefund(c *call) (object, *refusal) {
	id := c.str("charge")
	if id == "" {
		id = s.objects[c.str("payment_intent")].str("latest_charge")
	}
	charge, ok := s.objects[id]
	if !ok {
		return nil, invalid("parameter_missing", "charge", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	if c.has("amount") && c.int("amount") < 1 {
		return nil, invalid("parameter_invalid_integer", "amount", "This value must be greater than or equal to 1.")
	}
	return s.refund(charge, c.int("amount"), c.str("reason"), c.metadata("metadata"))
}

// Refund gives cents of a payment back, or with 0 all that is left of it, as
// the dashboard does. The id is that of a charge or of what leads to one.
func (s *Server) Refund(id string, cents int64) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		if _, refused := s.refund(s.chargeOf(id), cents, "requested_by_customer", map[string]string{}); refused != nil {
			s.t.Fatalf("stripetest: refund %d of %s: %s", cents, id, refused.message)
		}
	})
}

func (s *Server) refund(charge object, cents int64, reason string, metadata map[string]string) (object, *refusal) {
	left := charge.int("amount_captured") - charge.int("amount_refunded")
	if cents == 0 {
		cents = left
	}
	switch {
	case charge.str("status") != "succeeded":
		return nil, invalid("", "", "Charge %s cannot be refunded because it has a status of %s.", charge.id(), charge.str("status"))
	case s.withdrawn(charge):
		return nil, invalid("charge_disputed", "", "Charge %s has been charged back; cannot issue a refund.", charge.id())
	case left == 0:
		return nil, invalid("charge_already_refunded", "", "Charge %s has already been refunded.", charge.id())
	case cents > left:
		return nil, &refusal{
			status: http.StatusBadRequest, kind: "invalid_request_error", param: "amount",
			message: "Refund amount (" + euro(cents) + ") is greater than unrefunded amount on charge (" + euro(left) + ")",
		}
	}
	refund := s.add("refund", object{
		"amount": cents, "balance_transaction": nil, "charge": charge.id(), "currency": charge.str("currency"),
		"metadata": metadata, "payment_intent": charge["payment_intent"], "reason": text(reason), "receipt_number": nil,
		"source_transfer_reversal": nil, "status": "succeeded", "transfer_reversal": nil,
	})
	s.emit("refund.created", refund)
	s.change("charge.refunded", charge, func() { refunded(charge, cents) })
	return refund, nil
}

func refunded(charge object, cents int64) {
	charge["amount_refunded"] = charge.int("amount_refunded") + cents
	charge["refunded"] = charge.int("amount_refunded") == charge.int("amount_captured")
}

// FailRefund lets a refund fail late: the bank gives the money back to us.
func (s *Server) FailRefund(refund string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		o := s.find(refund, "refund")
		if o.str("status") != "succeeded" {
			s.t.Fatalf("stripetest: refund %s is %s", refund, o.str("status"))
		}
		charge := s.objects[o.str("charge")]
		s.change("charge.updated", charge, func() { refunded(charge, -o.int("amount")) })
		s.change("refund.updated", o, func() {
			o["status"] = "failed"
			o["failure_reason"] = "expired_or_canceled_card"
		})
		s.emit("charge.refund.updated", o)
		s.emit("refund.failed", o)
	})
}
