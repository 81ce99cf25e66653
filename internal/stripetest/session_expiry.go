package stripetest

// ExpireSession lets an open checkout session run out.
func (s *Server) ExpireSession(session string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		if refused := s.expireSession(s.find(session, "checkout.session")); refused != nil {
			s.t.Fatalf("stripetest: %s", refused.message)
		}
	})
}

func (s *Server) expireCall(c *call) (object, *refusal) {
	return c.target, s.expireSession(c.target)
}

func (s *Server) expireSession(session object) *refusal {
	if status := session.str("status"); status != "open" {
		return invalid("", "", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `%s`.", status)
	}
	session["status"] = "expired"
	session["url"] = nil
	s.emit("checkout.session.expired", session)
	if sub := s.objects[session.str("_subscription")]; sub != nil { // tried in vain
		s.setStatus(sub, "incomplete_expired")
		s.voidInvoice(s.objects[session.str("_invoice")])
	} else if setup := s.objects[session.str("setup_intent")]; setup != nil {
		setup["status"] = "canceled"
	} else if intent := s.objects[session.str("payment_intent")]; intent != nil {
		s.cancel(intent, "automatic")
	}
	return nil
}

// expireSessions ends those whose time has come.
func (s *Server) expireSessions() {
	for _, session := range s.all("checkout.session") {
		if session.str("status") == "open" && session.int("expires_at") <= s.now.Unix() {
			s.expireSession(session)
		}
	}
}
