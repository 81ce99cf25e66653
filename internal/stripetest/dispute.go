package stripetest

import (
	"fmt"
	"strings"
)

func (s *Server) disputeRoutes() {
	s.retrieve("/v1/disputes", "dispute")
	s.lists("/v1/disputes", "dispute", "charge payment_intent", nil)
}

// Dispute lets the customer's bank take cents of a charge back, or with 0 all
// of it. The id is that of a charge or of what leads to one.
func (s *Server) Dispute(id string, cents int64) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		dispute := s.newDispute(id, cents, "needs_response")
		s.emit("charge.dispute.created", dispute)
		s.emit("charge.dispute.funds_withdrawn", dispute)
	})
}

// Inquire lets the bank only ask; no money moves.
func (s *Server) Inquire(id string, cents int64) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		s.emit("charge.dispute.created", s.newDispute(id, cents, "warning_needs_response"))
	})
}

func (s *Server) newDispute(id string, cents int64, status string) object {
	s.t.Helper()
	charge := s.chargeOf(id)
	if cents == 0 {
		cents = charge.int("amount")
	}
	if charge.str("status") != "succeeded" || cents > charge.int("amount") {
		s.t.Fatalf("stripetest: charge %s of %d is %s: cannot dispute %d of it",
			charge.id(), charge.int("amount"), charge.str("status"), cents)
	}
	charge["disputed"] = true
	return s.add("dispute", object{
		"amount": cents, "balance_transactions": []any{}, "charge": charge.id(), "currency": charge.str("currency"),
		"enhanced_eligibility_types": []any{}, "evidence": object{}, "is_charge_refundable": strings.HasPrefix(status, "warning_"),
		"evidence_details": object{
			"due_by": s.now.AddDate(0, 0, 7).Unix(), "has_evidence": false, "past_due": false, "submission_count": int64(0),
		},
		"payment_intent": charge["payment_intent"], "reason": "fraudulent", "status": status,
	})
}

// AnswerDispute sends evidence: the dispute is under review.
func (s *Server) AnswerDispute(id string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		dispute := s.disputeOf(id)
		s.change("charge.dispute.updated", dispute, func() {
			status := "under_review"
			if strings.HasPrefix(dispute.str("status"), "warning_") {
				status = "warning_under_review"
			}
			dispute["status"] = status
		})
	})
}

// WinDispute closes a dispute in our favour; the money comes back. The id is
// that of the dispute or of what it is about.
func (s *Server) WinDispute(id string) Events { return s.closeDispute(id, "won") }

// LoseDispute closes a dispute in the customer's favour.
func (s *Server) LoseDispute(id string) Events { return s.closeDispute(id, "lost") }

// CloseInquiry ends an inquiry that never became a dispute.
func (s *Server) CloseInquiry(id string) Events { return s.closeDispute(id, "warning_closed") }

func (s *Server) closeDispute(id, status string) Events {
	s.t.Helper()
	return s.verb(func() {
		s.t.Helper()
		dispute := s.disputeOf(id)
		inquiry := strings.HasPrefix(dispute.str("status"), "warning_")
		if inquiry != strings.HasPrefix(status, "warning_") {
			s.t.Fatalf("stripetest: dispute %s is %s: it cannot be %s", dispute.id(), dispute.str("status"), status)
		}
		dispute["status"] = status
		if status == "won" {
			s.emit("charge.dispute.funds_reinstated", dispute)
		}
		s.emit("charge.dispute.closed", dispute)
	})
}

// disputeOf is the open dispute of a payment.
func (s *Server) disputeOf(id string) object {
	s.t.Helper()
	o := s.find(id)
	for _, dispute := range s.all("dispute") {
		if dispute.id() != id && (o.kind() == "dispute" || dispute.str("charge") != s.chargeOf(id).id()) {
			continue
		}
		switch dispute.str("status") {
		case "won", "lost", "warning_closed":
		default:
			return dispute
		}
	}
	s.t.Fatalf("stripetest: no open dispute of %q", id)
	return nil
}

// withdrawn reports whether a dispute holds money of the charge.
func (s *Server) withdrawn(charge object) bool {
	for _, dispute := range s.all("dispute") {
		switch dispute.str("status") {
		case "needs_response", "under_review", "lost":
			if dispute.str("charge") == charge.id() {
				return true
			}
		}
	}
	return false
}

// euro writes cents as Stripe's texts do.
func euro(cents int64) string { return fmt.Sprintf("€%d.%02d", cents/100, cents%100) }
