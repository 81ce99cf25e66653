package stripetest

func (s *Server) chargeRoutes() {
	s.retrieve("/v1/charges", "charge")
	s.lists("/v1/charges", "charge", "customer payment_intent", nil)
}

// method is how a payment is made.
type method string

const (
	card method = "card"
	sepa method = "sepa_debit"
)

// newCharge makes the charge of a try to pay an intent, without an event of
// it. The intent's metadata is copied once, as Stripe does.
func (s *Server) newCharge(intent object, by method) object {
	used := intent.str("_method")
	if used == "" {
		used = s.newMethod(intent.str("customer"), by).id()
	}
	charge := s.add("charge", object{
		"amount": intent.int("amount"), "amount_captured": int64(0), "amount_refunded": int64(0), "application": nil,
		"application_fee": nil, "application_fee_amount": nil, "balance_transaction": nil,
		"billing_details": object{"address": nil, "email": nil, "name": nil, "phone": nil}, "captured": false,
		"calculated_statement_descriptor": "STRIPETEST", "currency": intent.str("currency"), "customer": intent["customer"],
		"description": intent["description"], "disputed": false, "failure_balance_transaction": nil, "failure_code": nil,
		"failure_message": nil, "fraud_details": object{}, "metadata": copied(intent["metadata"]), "on_behalf_of": nil,
		"outcome": nil, "paid": false, "payment_intent": intent.id(), "payment_method": used,
		"payment_method_details": object{"type": string(by), string(by): s.detailsOf(used, by)}, "receipt_email": nil,
		"receipt_number": nil, "receipt_url": nil, "refunded": false, "review": nil, "shipping": nil, "source": nil,
		"source_transfer": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil, "status": "pending",
		"transfer_data": nil, "transfer_group": nil,
	})
	intent["latest_charge"] = charge.id()
	intent["payment_method"] = charge["payment_method"]
	return charge
}

// detailsOf are those of the method that pays, in a charge.
func (s *Server) detailsOf(used string, by method) object {
	if by != card {
		return object{}
	}
	return object{
		"brand": "visa", "country": "DE", "exp_month": int64(12), "exp_year": int64(s.now.Year() + 3),
		"fingerprint": s.objects[used].str("card.fingerprint"),
		"funding":     "credit", "last4": "4242", "network": "visa", "wallet": nil,
	}
}

// settle ends a try to pay an intent, begun now or earlier, and tells so by
// the charge's and the intent's events.
func (s *Server) settle(intent object, by method, outcome string) {
	charge := s.objects[intent.str("latest_charge")]
	if intent.str("status") != "processing" {
		charge = s.newCharge(intent, by)
	}
	charge["status"] = outcome
	if outcome != "failed" {
		s.keep(intent, s.objects[charge.str("payment_method")], by)
	}
	intent["processing"] = nil
	intent["last_payment_error"] = nil
	switch outcome {
	case "pending":
		charge["paid"] = true
		charge["captured"] = true
		intent["status"] = "processing"
		s.emit("charge.pending", charge)
		s.emit("payment_intent.processing", intent)
	case "succeeded":
		charge["paid"] = true
		charge["captured"] = true
		charge["amount_captured"] = charge["amount"]
		charge["receipt_url"] = s.hosted("pay", "receipts/"+charge.id())
		charge["outcome"] = object{"network_status": "approved_by_network", "type": "authorized", "risk_level": "normal",
			"seller_message": "Payment complete.", "reason": nil}
		intent["status"] = "succeeded"
		intent["amount_received"] = charge["amount"]
		s.emit("charge.succeeded", charge)
		s.emit("payment_intent.succeeded", intent)
	case "failed":
		code, decline, message := "card_declined", "generic_decline", declined
		switch {
		case by == sepa:
			code, decline, message = "payment_intent_payment_attempt_failed", "", "The payment failed."
		case intent.bool("_unauthenticated"):
			code, decline, message = "authentication_required", "authentication_required", unauthenticated
		}
		charge["paid"] = false
		charge["captured"] = false
		charge["failure_code"] = code
		charge["failure_message"] = message
		intent["status"] = "requires_payment_method"
		intent["payment_method"] = nil
		intent["last_payment_error"] = object{
			"type": "card_error", "code": code, "decline_code": text(decline), "message": message, "charge": charge.id(),
		}
		s.emit("charge.failed", charge)
		s.emit("payment_intent.payment_failed", intent)
	}
}

// methodOf is how the intent's last try was made.
func (s *Server) methodOf(intent object) method {
	return method(s.objects[intent.str("latest_charge")].str("payment_method_details.type"))
}
