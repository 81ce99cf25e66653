package stripetest

import "time"

// Live makes a Stripe to develop with: its clock goes, and the pages that Stripe
// hosts are below the address of pages:
//
//	/c/pay/{checkout session}   /p/session/{portal session}   /3d_secure/{payment intent}
//	/receipts/{charge}          /i/{invoice}   /invoice/{invoice}/pdf
func (s *Server) Live(pages string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock, s.pages = time.Now, pages
}

// tick reads the clock, where there is one.
func (s *Server) tick() {
	if s.clock != nil {
		s.now = s.clock().UTC().Truncate(time.Second)
	}
}

// CatchUp does what Stripe does by itself as time goes on: checkout sessions
// expire, subscriptions that were cancelled for the end of their period end, the
// others are renewed with the customer's card.
func (s *Server) CatchUp() Events {
	return s.verb(func() {
		s.expireSessions()
		for _, sub := range s.all("subscription") {
			for s.renewsBy(sub) {
				invoice := s.nextInvoice(sub)
				s.finalize(invoice)
				s.collect(invoice, s.cardOf(sub))
			}
			if at := sub.int("cancel_at"); at != 0 && at <= s.now.Unix() && !over(sub) {
				s.endSubscription(sub)
			}
		}
	})
}

// renewsBy reports whether the period of a subscription that goes on is over.
func (s *Server) renewsBy(sub object) bool {
	end, cancel := firstItem(sub).int("current_period_end"), sub.int("cancel_at")
	return !over(sub) && sub.str("status") != "incomplete" && end <= s.now.Unix() && (cancel == 0 || cancel > end)
}

// times are the fields that hold a moment.
var times = map[string]bool{
	"created": true, "updated": true, "expires_at": true, "start": true, "end": true, "start_date": true, "ended_at": true,
	"current_period_start": true, "current_period_end": true, "billing_cycle_anchor": true, "cancel_at": true, "canceled_at": true,
	"trial_start": true, "trial_end": true, "period_start": true, "period_end": true, "due_by": true, "due_date": true,
	"effective_at": true, "finalized_at": true, "paid_at": true, "voided_at": true, "marked_uncollectible_at": true, "next_payment_attempt": true,
}

// Age makes all that there is older by d: what a clock that went on by d would
// have done, without one that differs from the clocks of others. [Server.CatchUp]
// does what is due then.
func (s *Server) Age(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seconds := int64(d / time.Second)
	for _, o := range s.objects {
		age(o, seconds)
	}
	for _, lines := range s.pending {
		for _, line := range lines {
			age(line, seconds)
		}
	}
	for i := range s.events {
		s.events[i].Created = s.events[i].Created.Add(-d)
	}
	for key, first := range s.answers {
		first.at = first.at.Add(-d)
		s.answers[key] = first
	}
}

// age goes through an object and all in it.
func age(value any, seconds int64) {
	switch v := value.(type) {
	case object:
		for name, field := range v {
			if at, ok := field.(int64); ok && at != 0 && times[name] {
				v[name] = at - seconds
			} else {
				age(field, seconds)
			}
		}
	case []any:
		for _, item := range v {
			age(item, seconds)
		}
	}
}
