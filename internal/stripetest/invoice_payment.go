package stripetest

import (
	"strings"
	"time"
)

// newInvoicePayment makes the intent that pays an invoice, which says nothing
// of what it is for, and the link between the two.
func (s *Server) newInvoicePayment(invoice object, due int64) {
	intent := s.newIntent(object{
		"amount": due, "currency": invoice["currency"], "customer": invoice["customer"],
		"description": text(strings.ReplaceAll(invoice.str("billing_reason"), "_", " ")),
		"metadata":    map[string]string{}, "_invoice": invoice.id(),
	})
	s.emit("payment_intent.created", intent)
	s.add("invoice_payment", object{
		"amount_paid": nil, "amount_requested": due, "currency": invoice["currency"], "invoice": invoice.id(), "is_default": true,
		"payment":            object{"type": "payment_intent", "payment_intent": intent.id()},
		"status":             "open",
		"status_transitions": object{"canceled_at": nil, "paid_at": nil},
	})
}

// collect lets Stripe charge an open invoice by itself.
func (s *Server) collect(invoice object, outcome string) {
	if invoice.str("status") != "open" {
		return
	}
	intent := s.intentOf(invoice.id())
	s.settle(intent, card, outcome)
	s.invoiceTried(invoice, intent, outcome)
}

// invoiceTried is what a try to pay means for its invoice and subscription.
func (s *Server) invoiceTried(invoice, intent object, outcome string) {
	switch outcome {
	case "succeeded":
		for _, payment := range s.all("invoice_payment") {
			if payment.str("invoice") == invoice.id() {
				payment["status"] = "paid"
				payment["amount_paid"] = intent["amount_received"]
				payment.at("status_transitions").(object)["paid_at"] = s.now.Unix()
				s.emit("invoice_payment.paid", payment)
			}
		}
		invoice["attempt_count"] = invoice.int("attempt_count") + 1
		s.paid(invoice)
	case "failed":
		s.change("invoice.updated", invoice, func() {
			invoice["attempted"] = true
			invoice["attempt_count"] = invoice.int("attempt_count") + 1
			if invoice.str("billing_reason") != "subscription_create" {
				invoice["next_payment_attempt"] = s.now.Add(3 * 24 * time.Hour).Unix()
			}
		})
		s.emit("invoice.payment_failed", invoice)
		if sub := s.billed(invoice); sub != nil && sub.str("status") == "active" {
			s.setStatus(sub, "past_due")
		}
	}
}

// DraftInvoice drafts an invoice: for a subscription that of its next period,
// moving the clock there; for a customer an empty one. FinalizeInvoice and Pay
// or FailCard follow.
func (s *Server) DraftInvoice(id string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		if o := s.find(id, "subscription", "customer"); o.kind() == "subscription" {
			s.nextInvoice(o)
		} else {
			s.emit("invoice.created", s.newInvoice(id, nil, "manual", s.now.Unix(), s.now.Unix()))
		}
	})
}

// FinalizeInvoice opens a draft for payment; one of nothing is paid.
func (s *Server) FinalizeInvoice(invoice string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		s.finalize(s.draft(invoice))
	})
}

// VoidInvoice gives an open invoice up.
func (s *Server) VoidInvoice(invoice string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		o := s.find(invoice, "invoice")
		if o.str("status") != "open" {
			s.t.Fatalf("stripetest: invoice %s is %s, not open", invoice, o.str("status"))
		}
		s.voidInvoice(o)
	})
}

func (s *Server) voidInvoice(invoice object) {
	s.change("invoice.updated", invoice, func() {
		invoice["status"] = "void"
		invoice.at("status_transitions").(object)["voided_at"] = s.now.Unix()
	})
	s.emit("invoice.voided", invoice)
	for _, payment := range s.all("invoice_payment") {
		if payment.str("invoice") == invoice.id() {
			payment["status"] = "canceled"
			payment.at("status_transitions").(object)["canceled_at"] = s.now.Unix()
			s.cancel(s.objects[payment.str("payment.payment_intent")], "void_invoice")
		}
	}
}
