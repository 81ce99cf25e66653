package stripetest

import "fmt"

func (s *Server) invoiceRoutes() {
	s.retrieve("/v1/invoices", "invoice")
	s.lists("/v1/invoices", "invoice", "customer status subscription collection_method", matchers{
		"subscription": func(c *call, o object) bool {
			return !c.has("subscription") || o.str("parent.subscription_details.subscription") == c.str("subscription")
		},
	})
	s.route("GET /v1/invoices/{id}/lines", "invoice", paging, func(c *call) (object, *refusal) {
		return s.page(c, "line_item", c.target.each("_lines"))
	})
	s.retrieve("/v1/invoice_payments", "invoice_payment")
	s.lists("/v1/invoice_payments", "invoice_payment", "invoice status payment.type payment.payment_intent", nil)
}

// newInvoice makes an empty draft, without an event of it. A nil subscription
// is an invoice of its own.
func (s *Server) newInvoice(customer string, sub object, reason string, start, end int64) object {
	owner := s.objects[customer]
	invoice := s.add("invoice", object{
		"account_country": "DE", "account_name": "stripetest", "account_tax_ids": nil, "amount_due": int64(0),
		"amount_overpaid": int64(0), "amount_paid": int64(0), "amount_remaining": int64(0), "amount_shipping": int64(0),
		"application": nil, "attempt_count": int64(0), "attempted": false, "auto_advance": true,
		"automatic_tax": object{"enabled": false, "liability": nil, "status": nil}, "automatically_finalizes_at": nil,
		"billing_reason": reason, "collection_method": "charge_automatically", "currency": "eur", "custom_fields": nil,
		"customer": customer, "customer_address": nil, "customer_email": owner["email"], "customer_name": owner["name"],
		"customer_phone": nil, "customer_shipping": nil, "customer_tax_exempt": "none", "customer_tax_ids": []any{},
		"default_payment_method": nil, "default_source": nil, "default_tax_rates": []any{}, "description": nil,
		"discounts": []any{}, "due_date": nil, "effective_at": nil, "ending_balance": nil, "footer": nil, "from_invoice": nil,
		"hosted_invoice_url": nil, "invoice_pdf": nil, "issuer": object{"type": "self"}, "last_finalization_error": nil,
		"latest_revision": nil, "next_payment_attempt": nil, "number": nil, "on_behalf_of": nil, "parent": nil,
		"payment_settings": object{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
		"period_start":     start, "period_end": end, "post_payment_credit_notes_amount": int64(0),
		"pre_payment_credit_notes_amount": int64(0), "receipt_number": nil, "rendering": nil, "shipping_cost": nil,
		"shipping_details": nil, "starting_balance": int64(0), "statement_descriptor": nil, "status": "draft",
		"status_transitions": object{"finalized_at": nil, "marked_uncollectible_at": nil, "paid_at": nil, "voided_at": nil},
		"subtotal":           int64(0), "subtotal_excluding_tax": int64(0), "test_clock": nil, "total": int64(0),
		"total_discount_amounts": []any{}, "total_excluding_tax": int64(0), "total_pretax_credit_amounts": []any{},
		"total_taxes": []any{}, "webhooks_delivered_at": nil, "_lines": []any{},
	})
	if sub != nil {
		invoice["currency"] = sub["currency"]
		invoice["parent"] = object{"type": "subscription_details", "quote_details": nil, "subscription_details": object{
			"metadata": copied(sub["metadata"]), "subscription": sub.id(),
		}}
		sub["latest_invoice"] = invoice.id()
	}
	return invoice
}

// draftPeriod drafts the invoice of a subscription's current period. Start and
// end are those of the period before it, which is what an invoice's own
// period_start and period_end mean.
func (s *Server) draftPeriod(sub object, reason string, start, end int64) object {
	invoice := s.newInvoice(sub.str("customer"), sub, reason, start, end)
	s.addLines(invoice, s.takePending(sub)...)
	for _, item := range sub.each("items") {
		s.addLines(invoice, s.newLine(sub, item, item.int("price.unit_amount")*item.int("quantity"),
			item.int("current_period_start"), item.int("current_period_end"), false, ""))
	}
	s.emit("invoice.created", invoice)
	return invoice
}

// finalize closes the draft. What a customer has in credit pays first; an
// invoice of nothing is paid at once.
func (s *Server) finalize(invoice object) {
	customer := s.objects[invoice.str("customer")]
	s.numbers["number"]++
	invoice["number"] = fmt.Sprintf("%s-%04d", customer.str("invoice_prefix"), s.numbers["number"])
	balance := invoice.int("total") + customer.int("balance")
	due := max(balance, 0)
	invoice["starting_balance"] = customer["balance"]
	invoice["ending_balance"] = min(balance, 0)
	invoice["amount_due"], invoice["amount_remaining"] = due, due
	invoice["status"] = "open"
	invoice["effective_at"] = s.now.Unix()
	invoice["auto_advance"] = true
	invoice["hosted_invoice_url"] = s.hosted("invoice", "i/"+invoice.id())
	invoice["invoice_pdf"] = s.hosted("pay", "invoice/"+invoice.id()+"/pdf")
	invoice.at("status_transitions").(object)["finalized_at"] = s.now.Unix()
	s.change("customer.updated", customer, func() { customer["balance"] = min(balance, 0) })
	if due > 0 {
		s.newInvoicePayment(invoice, due)
	}
	s.emit("invoice.finalized", invoice)
	if due == 0 {
		s.paid(invoice)
	}
}

// paid is what a payment, or the lack of a need for one, means.
func (s *Server) paid(invoice object) {
	due := invoice.int("amount_due")
	s.change("invoice.updated", invoice, func() {
		invoice["amount_paid"], invoice["amount_remaining"] = due, int64(0)
		invoice["attempted"] = true
		invoice["auto_advance"] = false
		invoice["next_payment_attempt"] = nil
		invoice["status"] = "paid"
		invoice.at("status_transitions").(object)["paid_at"] = s.now.Unix()
	})
	s.emit("invoice.paid", invoice)
	s.emit("invoice.payment_succeeded", invoice)
	sub := s.billed(invoice)
	if sub == nil || sub.str("latest_invoice") != invoice.id() {
		return
	}
	switch sub.str("status") {
	case "incomplete", "past_due", "unpaid":
		s.setStatus(sub, "active")
	}
}

// billed is the invoice's subscription, or nil.
func (s *Server) billed(invoice object) object {
	return s.objects[invoice.str("parent.subscription_details.subscription")]
}
