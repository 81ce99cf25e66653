package stripetest

// Pay pays with a card that works. The id is that of a payment intent, a
// checkout session or an invoice; a session of mode subscription makes the
// subscription, one of mode setup saves the card.
func (s *Server) Pay(id string) Events { return s.payment(id, card, "succeeded") }

// FailCard tries to pay with a card that is declined. A later Pay succeeds.
func (s *Server) FailCard(id string) Events { return s.payment(id, card, "failed") }

// PayAsync pays by SEPA debit: the intent is processing, a session is complete
// but unpaid, until AsyncSucceed or AsyncFail.
func (s *Server) PayAsync(id string) Events { return s.payment(id, sepa, "pending") }

// AsyncSucceed ends a debit well.
func (s *Server) AsyncSucceed(id string) Events { return s.payment(id, "", "succeeded") }

// AsyncFail ends a debit badly.
func (s *Server) AsyncFail(id string) Events { return s.payment(id, "", "failed") }

// payment makes a try to pay, or without a method ends one that is processing,
// and lets everything follow from it.
func (s *Server) payment(id string, by method, outcome string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		session := s.sessionOf(id)
		if session != nil && session.str("mode") == "setup" {
			s.setUp(session, outcome)
			return
		}
		if by != "" && session != nil && session.str("status") == "open" {
			s.confirm(session)
		}
		intent := s.intentOf(id)
		switch {
		case intent == nil && session != nil && session.str("status") == "open" && outcome == "succeeded":
			s.completeSession(session, "no_payment_required") // nothing to pay
			return
		case intent == nil:
			s.t.Fatalf("stripetest: %q has no payment", id)
		case by == "" && intent.str("status") != "processing":
			s.t.Fatalf("stripetest: %s is %s, not processing", intent.id(), intent.str("status"))
		case by != "" && intent.str("status") != "requires_payment_method":
			s.t.Fatalf("stripetest: %s is %s and cannot be paid", intent.id(), intent.str("status"))
		case by != "" && session != nil && session.str("status") == "expired":
			s.t.Fatalf("stripetest: session %s is expired", session.id())
		}
		if by == "" {
			by = s.methodOf(intent)
		} else {
			delete(intent, "_method") // whoever pays by hand chooses anew
		}
		s.settle(intent, by, outcome)
		if invoice, ok := s.objects[intent.str("_invoice")]; ok {
			s.invoiceTried(invoice, intent, outcome)
		}
		if session != nil {
			s.sessionTried(session, outcome)
		}
	})
}

// sessionTried is what a try to pay means for its checkout session.
func (s *Server) sessionTried(session object, outcome string) {
	open := session.str("status") == "open"
	switch {
	case open && outcome == "succeeded":
		s.completeSession(session, "paid")
	case open && outcome == "pending":
		s.completeSession(session, "unpaid")
	case outcome == "succeeded" && session.str("payment_status") == "unpaid":
		session["payment_status"] = "paid"
		s.emit("checkout.session.async_payment_succeeded", session)
	case !open && outcome == "failed" && session.str("payment_status") == "unpaid":
		s.emit("checkout.session.async_payment_failed", session)
	}
}

// sessionOf is the checkout session that leads to a payment, or nil.
func (s *Server) sessionOf(id string) object {
	s.t.Helper()
	o := s.find(id)
	switch o.kind() {
	case "checkout.session":
		return o
	case "invoice":
		return s.objects[o.str("_session")]
	default:
		if intent := s.intentOf(id); intent != nil {
			if session := s.objects[intent.str("_session")]; session != nil {
				return session
			}
			return s.objects[s.objects[intent.str("_invoice")].str("_session")]
		}
		return nil
	}
}

// intentOf is the payment intent that an object leads to, or nil.
func (s *Server) intentOf(id string) object {
	s.t.Helper()
	o := s.find(id)
	switch o.kind() {
	case "payment_intent":
		return o
	case "checkout.session":
		if invoice := s.objects[o.str("_invoice")]; invoice != nil {
			return s.intentOf(invoice.id())
		}
	case "invoice":
		for _, payment := range s.all("invoice_payment") {
			if payment.str("invoice") == id {
				return s.objects[payment.str("payment.payment_intent")]
			}
		}
		return nil
	}
	return s.objects[o.str("payment_intent")]
}

// chargeOf is the last charge of the payment that an object leads to.
func (s *Server) chargeOf(id string) object {
	s.t.Helper()
	if o := s.find(id); o.kind() == "charge" {
		return o
	}
	charge, ok := s.objects[s.intentOf(id).str("latest_charge")]
	if !ok {
		s.t.Fatalf("stripetest: %q has no charge", id)
	}
	return charge
}
