package stripetest

import (
	"net/http"
)

// ChangePlan gives a subscription another price now, as the portal does, and
// invoices and pays the difference at once. A price of another interval
// begins a new period.
func (s *Server) ChangePlan(sub, price string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		o := s.find(sub, "subscription")
		s.changeItem(o, firstItem(o), s.find(price, "price"), firstItem(o).int("quantity"), "always_invoice")
	})
}

func (s *Server) updateSubscription(c *call) (object, *refusal) {
	sub := c.target
	if over(sub) && (c.has("cancel_at_period_end") || c.has("cancel_at") || c.under("items")) {
		return nil, invalid("", "", "A canceled subscription can only update its cancellation_details and metadata.")
	}
	if c.bool("cancel_at_period_end") && c.str("cancel_at") != "" {
		return nil, invalid("", "cancel_at", "You cannot set both `cancel_at` and `cancel_at_period_end`.")
	}
	if c.str("cancel_at") != "" && c.int("cancel_at") <= s.now.Unix() {
		return nil, invalid("", "cancel_at", "`cancel_at` must be in the future.")
	}
	behavior := c.str("proration_behavior")
	switch behavior {
	case "":
		behavior = "create_prorations"
	case "create_prorations", "always_invoice", "none":
	default:
		return nil, invalid("", "proration_behavior", "Invalid proration_behavior: must be one of always_invoice, create_prorations, or none")
	}
	switch c.str("payment_behavior") {
	case "", "allow_incomplete", "error_if_incomplete":
	case "default_incomplete", "pending_if_incomplete":
		return nil, invalid("", "payment_behavior", "stripetest: payment_behavior is allow_incomplete or error_if_incomplete.")
	default:
		return nil, invalid("", "payment_behavior", "Invalid payment_behavior: must be one of allow_incomplete, default_incomplete, error_if_incomplete, or pending_if_incomplete")
	}
	changes := c.keys("items")
	for _, i := range changes {
		if itemOf(sub, c.str("items."+i+".id")) == nil {
			return nil, missing(http.StatusBadRequest, "subscription_item", c.str("items."+i+".id"), wire("items."+i+".id"))
		}
	}
	if c.str("payment_behavior") == "error_if_incomplete" && behavior == "always_invoice" && s.cardOf(sub) == "failed" && s.costsMore(c, sub, changes) {
		return nil, broken(http.StatusPaymentRequired)
	}
	s.change("customer.subscription.updated", sub, func() {
		c.merge("metadata", sub.metadata())
		if c.has("description") {
			sub["description"] = text(c.str("description"))
		}
		s.setCancellation(c, sub)
	})
	for _, i := range changes {
		item, price, quantity := s.itemChange(c, sub, i)
		s.changeItem(sub, item, price, quantity, behavior)
	}
	return sub, nil
}

// itemChange is what a request wants of an item.
func (s *Server) itemChange(c *call, sub object, i string) (item, price object, quantity int64) {
	item = itemOf(sub, c.str("items."+i+".id"))
	price, quantity = item.at("price").(object), item.int("quantity")
	if id := c.str("items." + i + ".price"); id != "" {
		price = s.objects[id]
	}
	if c.has("items." + i + ".quantity") {
		quantity = c.int("items." + i + ".quantity")
	}
	return item, price, quantity
}

// costsMore reports whether changes of items are paid for now.
func (s *Server) costsMore(c *call, sub object, changes []string) bool {
	var more int64
	for _, i := range changes {
		item, price, quantity := s.itemChange(c, sub, i)
		more += price.int("unit_amount")*quantity - item.int("price.unit_amount")*item.int("quantity")
	}
	return more > 0
}

func (s *Server) setCancellation(c *call, sub object) {
	set := func(atEnd bool, at any) {
		sub["cancel_at_period_end"] = atEnd
		sub["cancel_at"] = at
		details := sub.at("cancellation_details").(object)
		if at == nil {
			sub["canceled_at"], details["reason"] = nil, nil
		} else {
			sub["canceled_at"], details["reason"] = s.now.Unix(), "cancellation_requested"
		}
	}
	switch {
	case c.bool("cancel_at_period_end"):
		set(true, firstItem(sub)["current_period_end"])
	case c.str("cancel_at") != "":
		set(false, c.int("cancel_at"))
	case c.has("cancel_at_period_end") && sub.bool("cancel_at_period_end"), c.has("cancel_at"):
		set(false, nil)
	}
	for _, field := range []string{"comment", "feedback"} {
		if name := "cancellation_details." + field; c.has(name) {
			sub.at("cancellation_details").(object)[field] = text(c.str(name))
		}
	}
}

func itemOf(sub object, id string) object {
	for _, item := range sub.each("items") {
		if item.id() == id {
			return item
		}
	}
	return nil
}

// changeItem gives an item another price or quantity. What is left of the
// period is credited at the old price and billed at the new one: on an invoice
// of its own, on the next one, or not at all.
func (s *Server) changeItem(sub, item, price object, quantity int64, behavior string) {
	was := copied(item).(object)
	now := s.now.Unix()
	start, end := was.int("current_period_start"), was.int("current_period_end")
	restarts := was.str("price.recurring.interval") != price.str("recurring.interval") ||
		was.int("price.recurring.interval_count") != price.int("recurring.interval_count")
	s.change("customer.subscription.updated", sub, func() {
		item["price"] = copied(price)
		item["quantity"] = quantity
		if restarts {
			sub["billing_cycle_anchor"] = now
			item["current_period_start"] = now
			item["current_period_end"] = nextPeriod(sub, price, now)
		}
		if sub.bool("cancel_at_period_end") {
			sub["cancel_at"] = item["current_period_end"]
		}
	})
	var lines []object
	if behavior != "none" {
		credit := -prorated(was.int("price.unit_amount")*was.int("quantity"), start, end, now)
		lines = append(lines, s.newLine(sub, was, credit, now, end, true, "Unused time"))
	}
	switch {
	case restarts:
		lines = append(lines, s.newLine(sub, item, price.int("unit_amount")*quantity, now, item.int("current_period_end"), false, ""))
	case behavior != "none":
		charge := prorated(price.int("unit_amount")*quantity, start, end, now)
		lines = append(lines, s.newLine(sub, item, charge, now, end, true, "Remaining time"))
	}
	switch {
	case len(lines) == 0:
	case !restarts && behavior == "create_prorations":
		s.pending[sub.id()] = append(s.pending[sub.id()], lines...)
	default:
		invoice := s.newInvoice(sub.str("customer"), sub, "subscription_update", now, now)
		s.addLines(invoice, append(s.takePending(sub), lines...)...)
		s.emit("invoice.created", invoice)
		s.finalize(invoice)
		s.collect(invoice, s.cardOf(sub))
	}
}

func (s *Server) takePending(sub object) []object {
	lines := s.pending[sub.id()]
	delete(s.pending, sub.id())
	return lines
}

// RenewSubscription ends the current period, moving the clock there, and
// invoices and pays the next one.
func (s *Server) RenewSubscription(sub string) Events { return s.renew(sub, "succeeded") }

// FailRenewal renews with a card that is declined: the invoice stays open, the
// subscription is past due. Pay of the invoice heals it.
func (s *Server) FailRenewal(sub string) Events { return s.renew(sub, "failed") }

func (s *Server) renew(sub, outcome string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		invoice := s.nextInvoice(s.find(sub, "subscription"))
		s.finalize(invoice)
		s.collect(invoice, outcome)
	})
}

// nextInvoice moves a subscription to its next period and drafts the invoice.
func (s *Server) nextInvoice(sub object) object {
	s.t.Helper()
	start, end := firstItem(sub).int("current_period_start"), firstItem(sub).int("current_period_end")
	if over(sub) || sub.int("cancel_at") != 0 && sub.int("cancel_at") <= end {
		s.t.Fatalf("stripetest: subscription %s is %s and ends: it does not renew", sub.id(), sub.str("status"))
	}
	s.moveTo(end)
	s.change("customer.subscription.updated", sub, func() {
		for _, item := range sub.each("items") {
			item["current_period_start"] = item["current_period_end"]
			item["current_period_end"] = nextPeriod(sub, item.at("price").(object), item.int("current_period_end"))
		}
	})
	return s.draftPeriod(sub, "subscription_cycle", start, end)
}
