package stripetest

import "strings"

// minimum is the least amount in cents that Stripe charges in euro.
const minimum = 50

func (s *Server) intentRoutes() {
	s.retrieve("/v1/payment_intents", "payment_intent")
	s.lists("/v1/payment_intents", "payment_intent", "customer", nil)
	s.route("POST /v1/payment_intents", "", `amount:int! currency! customer:customer description receipt_email
		metadata.* automatic_payment_methods.enabled:bool automatic_payment_methods.allow_redirects
		payment_method_types.* statement_descriptor_suffix setup_future_usage `+usageOptions[card]+" "+usageOptions[sepa], s.createIntent)
	s.route("POST /v1/payment_intents/{id}", "payment_intent", "amount:int description receipt_email metadata.*", s.updateIntent)
	s.route("POST /v1/payment_intents/{id}/confirm", "payment_intent",
		"payment_method:payment_method off_session:bool return_url use_stripe_sdk:bool", s.confirmIntent)
	s.route("POST /v1/payment_intents/{id}/cancel", "payment_intent", "cancellation_reason", s.cancelIntent)
}

func (s *Server) createIntent(c *call) (object, *refusal) {
	if refused := checkAmount(c.int("amount"), "amount"); refused != nil {
		return nil, refused
	}
	if refused := checkCurrency(c.str("currency"), "currency"); refused != nil {
		return nil, refused
	}
	options, refused := usageOptionsOf(c.form, "setup_future_usage")
	if refused != nil {
		return nil, refused
	}
	intent := s.newIntent(object{
		"setup_future_usage": text(c.str("setup_future_usage")), "payment_method_options": options,
		"amount": c.int("amount"), "currency": strings.ToLower(c.str("currency")), "customer": text(c.str("customer")),
		"description": text(c.str("description")), "receipt_email": text(c.str("receipt_email")),
		"statement_descriptor_suffix": text(c.str("statement_descriptor_suffix")), "metadata": c.metadata("metadata"),
	})
	if types := c.list("payment_method_types"); len(types) > 0 {
		intent["payment_method_types"] = anys(types)
	} else {
		intent["automatic_payment_methods"] = object{"allow_redirects": "always", "enabled": true}
		intent["payment_method_types"] = anys([]string{"card", "sepa_debit"})
	}
	s.emit("payment_intent.created", intent)
	return intent, nil
}

// newIntent makes an intent without an event of it.
func (s *Server) newIntent(own object) object {
	fields := object{
		"amount_capturable": int64(0), "amount_details": object{"tip": object{}}, "amount_received": int64(0),
		"application": nil, "application_fee_amount": nil, "automatic_payment_methods": nil, "canceled_at": nil,
		"cancellation_reason": nil, "capture_method": "automatic_async", "confirmation_method": "automatic",
		"customer": nil, "description": nil, "last_payment_error": nil, "latest_charge": nil, "next_action": nil,
		"on_behalf_of": nil, "payment_method": nil, "payment_method_options": object{},
		"payment_method_types": anys([]string{"card"}), "processing": nil, "receipt_email": nil, "review": nil,
		"setup_future_usage": nil, "shipping": nil, "source": nil, "statement_descriptor": nil,
		"statement_descriptor_suffix": nil, "status": "requires_payment_method", "transfer_data": nil, "transfer_group": nil,
	}
	for name, value := range own {
		fields[name] = value
	}
	intent := s.add("payment_intent", fields)
	intent["client_secret"] = intent.id() + "_secret_stripetest"
	return intent
}

func (s *Server) updateIntent(c *call) (object, *refusal) {
	if c.has("amount") {
		if refused := checkAmount(c.int("amount"), "amount"); refused != nil {
			return nil, refused
		}
		if c.target.str("status") != "requires_payment_method" {
			return nil, unexpectedState(c.target, "update")
		}
		c.target["amount"] = c.int("amount")
	}
	for _, field := range []string{"description", "receipt_email"} {
		if c.has(field) {
			c.target[field] = text(c.str(field))
		}
	}
	c.merge("metadata", c.target.metadata())
	return c.target, nil
}

func (s *Server) cancelIntent(c *call) (object, *refusal) {
	if status := c.target.str("status"); status != "requires_payment_method" && status != "requires_action" {
		return nil, unexpectedState(c.target, "cancel")
	}
	if c.target.str("_invoice") != "" {
		return nil, invalid("payment_intent_invalid_parameter", "",
			"You cannot cancel this PaymentIntent because it is associated with an invoice.")
	}
	s.cancel(c.target, c.str("cancellation_reason"))
	return c.target, nil
}

func (s *Server) cancel(intent object, reason string) {
	intent["status"] = "canceled"
	intent["next_action"] = nil
	intent["canceled_at"] = s.now.Unix()
	intent["cancellation_reason"] = text(reason)
	s.emit("payment_intent.canceled", intent)
}

func unexpectedState(intent object, verb string) *refusal {
	return invalid("payment_intent_unexpected_state", "",
		"You cannot %s this PaymentIntent because it has a status of %s.", verb, intent.str("status"))
}

func checkAmount(cents int64, param string) *refusal {
	switch {
	case cents < 1:
		return invalid("parameter_invalid_integer", param, "This value must be greater than or equal to 1.")
	case cents < minimum:
		return invalid("amount_too_small", param, "Amount must be at least €0.50 eur")
	case cents > 99_999_999:
		return invalid("amount_too_large", param, "Amount must be no more than €999,999.99")
	}
	return nil
}

func checkCurrency(currency, param string) *refusal {
	switch strings.ToLower(currency) {
	case "eur", "usd", "gbp", "chf":
		return nil
	}
	return invalid("", param, "Invalid currency: %s.", currency)
}

func anys(items []string) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = item
	}
	return out
}
