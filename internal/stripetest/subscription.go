package stripetest

import "net/http"

func (s *Server) subscriptionRoutes() {
	const path, kind = "/v1/subscriptions", "subscription"
	s.retrieve(path, kind)
	s.lists(path, kind, "customer price status", matchers{
		"status": func(c *call, sub object) bool {
			switch status := c.str("status"); status {
			case "all":
				return true
			case "":
				return sub.str("status") != "canceled"
			case "ended":
				return over(sub)
			default:
				return sub.str("status") == status
			}
		},
		"price": func(c *call, sub object) bool {
			return !c.has("price") || firstItem(sub).str("price.id") == c.str("price")
		},
	})
	s.route("POST "+path+"/{id}", kind, `cancel_at_period_end:bool cancel_at:int metadata.* description proration_behavior payment_behavior
		items.*.id items.*.price:price items.*.quantity:int cancellation_details.comment cancellation_details.feedback`, s.updateSubscription)
	s.route("DELETE "+path+"/{id}", kind, "invoice_now:bool prorate:bool cancellation_details.comment cancellation_details.feedback",
		func(c *call) (object, *refusal) {
			if over(c.target) {
				return nil, missing(http.StatusNotFound, kind, c.target.id(), "id")
			}
			if c.bool("invoice_now") || c.bool("prorate") {
				return nil, invalid("parameter_unknown", "invoice_now", "stripetest: a cancellation makes no invoice.")
			}
			s.endSubscription(c.target)
			return c.target, nil
		})
}

// over reports whether a subscription has ended for good.
func over(sub object) bool {
	return sub.str("status") == "canceled" || sub.str("status") == "incomplete_expired"
}

// newItem is an item that begins now; its subscription is not known yet.
func (s *Server) newItem(price object, quantity int64) object {
	return object{
		"id": s.name("subscription_item"), "object": "subscription_item", "billing_thresholds": nil, "created": s.now.Unix(),
		"current_period_start": s.now.Unix(), "discounts": []any{}, "metadata": map[string]string{}, "plan": nil,
		"price": copied(price), "quantity": max(quantity, 1), "tax_rates": []any{},
	}
}

// newSubscription makes one that waits for its first payment.
func (s *Server) newSubscription(customer string, items []any, metadata map[string]string) object {
	now := s.now.Unix()
	sub := s.add("subscription", object{
		"application": nil, "application_fee_percent": nil, "automatic_tax": object{"enabled": false, "liability": nil},
		"billing_cycle_anchor": now, "billing_cycle_anchor_config": nil, "billing_mode": object{"type": "flexible", "flexible": nil},
		"billing_thresholds": nil, "cancel_at": nil, "cancel_at_period_end": false, "canceled_at": nil,
		"cancellation_details": object{"comment": nil, "feedback": nil, "reason": nil},
		"collection_method":    "charge_automatically", "currency": items[0].(object).at("price.currency"), "customer": customer,
		"customer_account": nil, "days_until_due": nil, "default_payment_method": nil, "default_source": nil, "description": nil,
		"discounts": []any{}, "ended_at": nil, "invoice_settings": object{"account_tax_ids": nil, "issuer": object{"type": "self"}},
		"latest_invoice": nil, "metadata": metadata, "next_pending_invoice_item_invoice": nil, "on_behalf_of": nil,
		"pause_collection": nil, "payment_settings": object{"payment_method_options": nil, "payment_method_types": nil,
			"save_default_payment_method": "off"}, "pending_invoice_item_interval": nil, "pending_setup_intent": nil,
		"pending_update": nil, "schedule": nil, "start_date": now, "status": "incomplete", "test_clock": nil,
		"transfer_data": nil, "trial_end": nil, "trial_settings": object{"end_behavior": object{"missing_payment_method": "create_invoice"}},
		"trial_start": nil,
	})
	for _, item := range items {
		o := item.(object)
		o["subscription"] = sub.id()
		o["current_period_end"] = nextPeriod(sub, o.at("price").(object), now)
	}
	sub["items"] = envelope("/v1/subscription_items?subscription="+sub.id(), items, false)
	return sub
}

// firstInvoice bills the first period and leaves the invoice open, or paid if
// it costs nothing. The session, if any, is the checkout it belongs to.
func (s *Server) firstInvoice(sub object, session string) object {
	s.emit("customer.subscription.created", sub)
	invoice := s.draftPeriod(sub, "subscription_create", s.now.Unix(), s.now.Unix())
	invoice["_session"] = session
	s.finalize(invoice)
	return invoice
}

// firstItem is the one that plans are about.
func firstItem(sub object) object { return sub.each("items")[0] }

// setStatus tells of a change; none is no event.
func (s *Server) setStatus(sub object, status string) {
	s.change("customer.subscription.updated", sub, func() { sub["status"] = status })
}

// SetSubscriptionStatus gives a subscription any status, such as unpaid,
// paused or trialing.
func (s *Server) SetSubscriptionStatus(sub, status string) Events {
	s.t.Helper()
	return s.verb(func() { s.setStatus(s.find(sub, "subscription"), status) })
}

// Subscribe makes a paid subscription without a checkout, as in the dashboard.
func (s *Server) Subscribe(customer, price string, metadata map[string]string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		items := []any{s.newItem(s.find(price, "price"), 1)}
		own := make(map[string]string)
		for key, value := range metadata {
			own[key] = value
		}
		sub := s.newSubscription(s.find(customer, "customer").id(), items, own)
		s.collect(s.firstInvoice(sub, ""), "succeeded")
	})
}

// EndSubscription ends one for good, now or at the time its cancellation was
// set for; the clock moves there.
func (s *Server) EndSubscription(sub string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		o := s.find(sub, "subscription")
		if over(o) {
			s.t.Fatalf("stripetest: subscription %s is %s", sub, o.str("status"))
		}
		s.moveTo(o.int("cancel_at"))
		s.endSubscription(o)
	})
}

func (s *Server) endSubscription(sub object) {
	sub["status"] = "canceled"
	sub["ended_at"] = s.now.Unix()
	if sub["canceled_at"] == nil {
		sub["canceled_at"] = s.now.Unix()
	}
	if sub.at("cancellation_details.reason") == nil {
		sub.at("cancellation_details").(object)["reason"] = "cancellation_requested"
	}
	delete(s.pending, sub.id())
	s.emit("customer.subscription.deleted", sub)
}

// moveTo turns the clock forward.
func (s *Server) moveTo(at int64) {
	if at > s.now.Unix() {
		s.now = unix(at)
		s.expireSessions()
	}
}
