package purchase

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/settle"
	"mana.how/edge/creditcore/billing/stripeapi"
	"mana.how/edge/internal/dbscope"
)

// settle moves a purchase, under its lock, to where its payment stands:
// credits if paid, less what of them was refunded or is disputed.
func (s *Service) settle(ctx context.Context, tx pgx.Tx, p purchaseRow, now stripeapi.Payment) error {
	if err := lockPurchase(ctx, tx, p); err != nil {
		return err
	}
	next := p
	if next.IntentID == "" {
		next.IntentID = now.IntentID
	}
	if next.SessionID == "" {
		next.SessionID = now.SessionID
	}
	reason := ""
	switch now.Progress {
	case stripeapi.Paid:
		if p.Status != Completed {
			if err := s.grant(ctx, tx, next); err != nil {
				return err
			}
			next.Status = Completed
		}
		if err := s.noteCard(ctx, tx, p, now.Card); err != nil {
			return err
		}
		if err := s.reverse(ctx, tx, &next, now); err != nil {
			return err
		}
		if err := s.keepCard(ctx, tx, p, now.Kept); err != nil {
			return err
		}
	case stripeapi.Processing:
		if p.Status == Failed {
			next.Status = Pending
		}
	case stripeapi.Declined, stripeapi.Over:
		if p.Status == Pending {
			next.Status, reason = Failed, now.Reason
		}
	}
	if !changed(p, next) {
		return nil
	}
	if next.Status != p.Status && next.Status != Pending {
		settle.OnCommit(ctx, func() { s.observed(string(next.Status)) })
	}
	return storePurchase(ctx, tx, next, reason, s.now())
}

func changed(p, next purchaseRow) bool {
	return p.Status != next.Status || p.IntentID != next.IntentID || p.SessionID != next.SessionID ||
		p.ReversedEuroCents != next.ReversedEuroCents || p.ReversedCredits != next.ReversedCredits ||
		p.ClawedBack != next.ClawedBack
}

// grant gives the credits, once for the purchase.
func (s *Service) grant(ctx context.Context, tx pgx.Tx, p purchaseRow) error {
	metadata, err := json.Marshal(map[string]any{
		"purchaseId": p.ID, "packageId": dbscope.NullText(p.PackageID),
		"stripePaymentIntentId": p.IntentID, "priceEuroCents": p.PriceEuroCents,
	})
	if err != nil {
		return err
	}
	_, err = s.ledger.GrantTx(ctx, tx, creditcore.Grant{
		UserID: p.UserID, Amount: p.Credits,
		Type: creditcore.Purchase, Source: creditcore.SourcePurchase, AppID: settle.AppID,
		Description: "Credit purchase: " + p.Credits.String() + " credits",
		Metadata:    metadata, InternalKey: p.lotReference(), Reference: p.lotReference(), By: p.BoughtBy,
	})
	if err != nil {
		return fmt.Errorf("grant the credits of purchase %s: %w", p.ID, err)
	}
	return nil
}

// reverse takes back, or gives back, what changed since the last time. What of
// it is gone is a debt.
func (s *Service) reverse(ctx context.Context, tx pgx.Tx, p *purchaseRow, now stripeapi.Payment) error {
	if now.Received <= 0 {
		return nil
	}
	was := p.ReversedCredits
	p.ReversedEuroCents = now.Reversed()
	p.ReversedCredits = settle.ReversedCredits(p.Credits, now.Reversed(), now.Received)
	metadata, err := json.Marshal(map[string]any{
		"purchaseId": p.ID, "stripePaymentIntentId": p.IntentID, "priceEuroCents": p.PriceEuroCents,
		"refundedEuroCents": now.Refunded, "disputedEuroCents": now.Disputed,
	})
	if err != nil {
		return err
	}
	// The revision makes the key unique: it rises with every change, under
	// the row's lock.
	move := creditcore.Clawback{
		UserID: p.UserID, Reference: p.lotReference(), AppID: settle.AppID, Metadata: metadata,
		InternalKey: fmt.Sprintf("%s:reversal:%d", p.lotReference(), p.Revision),
		Follow:      settle.FollowsGifts(p.PaidAt, s.now()),
	}
	switch {
	case p.ReversedCredits > was:
		move.Amount = p.ReversedCredits - was
		move.Description = "Credit purchase reversed: " + move.Amount.String() + " credits"
		return s.clawBack(ctx, tx, p, move)
	case p.ClawedBack > p.ReversedCredits:
		move.Amount = p.ClawedBack - p.ReversedCredits
		move.Description = "Credit purchase reinstated: " + move.Amount.String() + " credits"
		if err := s.ledger.ReinstateTx(ctx, tx, move); err != nil {
			return fmt.Errorf("reinstate credits of purchase %s: %w", p.ID, err)
		}
		p.ClawedBack = p.ReversedCredits
		settle.OnCommit(ctx, func() { s.observed("reinstated") })
	}
	return nil
}

// clawBack takes back what can be found; the rest is owed.
func (s *Service) clawBack(ctx context.Context, tx pgx.Tx, p *purchaseRow, move creditcore.Clawback) error {
	r, err := s.ledger.ClawbackTx(ctx, tx, move)
	if err != nil {
		return fmt.Errorf("take back credits of purchase %s: %w", p.ID, err)
	}
	p.ClawedBack += r.Taken + r.Owed
	settle.OnCommit(ctx, func() {
		s.observed("reversed")
		if r.Owed > 0 {
			s.observed("shortfall")
			s.log.WarnContext(ctx, "credits of a reversed purchase were gone and are owed", "purchase", p.ID, "user", p.UserID, "debt", r.Owed.String())
		}
	})
	return nil
}
