package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
)

// allot moves the ledger to what a user is due for his paid invoices, as our
// rows have them. It may run at any time and any number of times, under the
// lock of the subscriber.
//
//   - A month that has begun is granted once, as a lot that lasts until the
//     month's end and [Config.Grace] after it.
//   - A change of plan takes back the share of the time that was credited, of
//     that month's own lot alone and as far as it is unspent. What of it was
//     spent is withheld from the next months: else a plan could be taken,
//     emptied, given back and taken again.
//   - A refund or dispute takes back its share of the credits: of months that
//     are not granted yet first, then of the newest. What of it is gone is owed.
//     Credits that were bought by themselves are left alone.
func (s *Service) allot(ctx context.Context, tx pgx.Tx, userID string) error {
	list, err := allotments(ctx, tx, userID)
	if err != nil {
		return err
	}
	now := s.now()
	reversed := reversals(list)
	for i := range list {
		was := list[i]
		if err := s.reduce(ctx, tx, &list[i], reversed[was.ID]); err != nil {
			return fmt.Errorf("allotment %s: %w", was.ID, err)
		}
		if list[i] != was {
			if err := storeAllotment(ctx, tx, list[i]); err != nil {
				return err
			}
			list[i].Revision++
		}
	}
	owed := creditcore.Amount(0)
	for _, a := range list {
		owed += a.Shortfall - a.Withheld
	}
	for _, a := range list {
		if !a.due(now) {
			continue
		}
		if err := s.grantAllotment(ctx, tx, &a, max(owed, 0), now); err != nil {
			return fmt.Errorf("allotment %s: %w", a.ID, err)
		}
		owed -= a.Withheld
		if err := storeAllotment(ctx, tx, a); err != nil {
			return err
		}
	}
	return nil
}

// left is what remains due of an allotment.
func (a allotment) left() creditcore.Amount { return a.Credits - a.CutCredits - a.ReversedCredits }

func (a allotment) due(now time.Time) bool {
	return a.Granted == nil && !a.UserRemoved && !a.StartsAt.After(now) && a.left() > 0
}

// reference names the allotment's lot.
func (a allotment) reference() string { return "invoice:" + a.StripeInvoiceID + ":" + a.ID }

// cut is what falls away of an allotment with a change of plan.
func (a allotment) cut() creditcore.Amount {
	cut := a.Credits - month{a.StartsAt, a.EndsAt, a.Credits}.kept(a.CutAt)
	if a.Granted == nil && a.SubscriptionEnded != nil && !a.SubscriptionEnded.After(a.StartsAt) {
		cut = a.Credits // a month that the subscription did not live to see
	}
	return max(cut, a.CutCredits)
}

// reversals is what falls away of each allotment with refunds and disputes, by
// its id: the share of all that its invoice is due, of months not granted yet
// first, then of those granted, the newest first.
func reversals(list []allotment) map[string]creditcore.Amount {
	due := make(map[string]creditcore.Amount) // by invoice
	for _, a := range list {
		due[a.StripeInvoiceID] += a.Credits - a.cut()
	}
	left := make(map[string]creditcore.Amount)
	for _, a := range list {
		if a.ReversedEuroCents > 0 {
			all := due[a.StripeInvoiceID]
			left[a.StripeInvoiceID] = min(all, reversedCredits(all, a.ReversedEuroCents, a.PaidEuroCents))
		}
	}
	reversed := make(map[string]creditcore.Amount)
	for _, granted := range []bool{false, true} {
		for _, a := range slices.Backward(list) { // the last month first
			if (a.Granted != nil) == granted {
				n := min(a.Credits-a.cut(), left[a.StripeInvoiceID])
				reversed[a.ID] = n
				left[a.StripeInvoiceID] -= n
			}
		}
	}
	return reversed
}

// reduce takes back what is due no more, or gives back what is due again.
func (s *Service) reduce(ctx context.Context, tx pgx.Tx, a *allotment, reversed creditcore.Amount) error {
	cut := a.cut()
	if a.Granted == nil {
		a.CutCredits, a.ReversedCredits = cut, reversed
		return nil
	}
	if err := s.cutAllotment(ctx, tx, a, cut); err != nil {
		return err
	}
	return s.reverseAllotment(ctx, tx, a, reversed)
}

// cutAllotment takes back what fell away with a change of plan. What was
// reversed of it before is not taken twice.
func (s *Service) cutAllotment(ctx context.Context, tx pgx.Tx, a *allotment, cut creditcore.Amount) error {
	gone := max(0, a.ReversedCredits-(a.Credits-cut))
	more := cut - a.CutCredits - gone
	a.CutCredits = cut
	a.ReversedCredits -= gone
	a.ReversedTaken = min(a.ReversedTaken, a.ReversedCredits)
	if more <= 0 {
		return nil
	}
	taken, err := s.takeUnspent(ctx, tx, *a, more)
	a.ClawedBack += taken
	a.Shortfall += more - taken
	return err
}

// takeUnspent takes back from an allotment's lot what is left of it, at most
// so much.
func (s *Service) takeUnspent(ctx context.Context, tx pgx.Tx, a allotment, most creditcore.Amount) (creditcore.Amount, error) {
	left, err := unspent(ctx, tx, a.UserID, a.reference())
	if err != nil || left == 0 {
		return 0, err
	}
	move := a.move("cut", min(most, left))
	move.Description = "Subscription " + a.PlanName + " changed: " + move.Amount.String() + " credits"
	move.LotOnly = true
	r, err := s.ledger.ClawbackTx(ctx, tx, move)
	if err != nil {
		return 0, fmt.Errorf("take back unused credits: %w", err)
	}
	return r.Taken, nil
}

// reverseAllotment takes back, or gives back, what changed with the money.
func (s *Service) reverseAllotment(ctx context.Context, tx pgx.Tx, a *allotment, reversed creditcore.Amount) error {
	if more := reversed - a.ReversedCredits; more > 0 && *a.Granted > a.ClawedBack {
		move := a.move("reversal", min(more, *a.Granted-a.ClawedBack))
		move.Description = "Subscription " + a.PlanName + " reversed: " + move.Amount.String() + " credits"
		move.Follow, move.SpareBought = s.follow(a.PaidAt), true
		r, err := s.ledger.ClawbackTx(ctx, tx, move)
		if err != nil {
			return fmt.Errorf("take back reversed credits: %w", err)
		}
		a.ReversedTaken += r.Taken + r.Owed
		a.ClawedBack += r.Taken + r.Owed
	}
	a.ReversedCredits = reversed
	back := min(a.ReversedTaken-reversed, a.ClawedBack)
	if back <= 0 {
		return nil
	}
	move := a.move("reinstatement", back)
	move.Description = "Subscription " + a.PlanName + " reinstated: " + back.String() + " credits"
	if err := s.ledger.ReinstateTx(ctx, tx, move); err != nil {
		return fmt.Errorf("reinstate credits: %w", err)
	}
	a.ReversedTaken -= back
	a.ClawedBack -= back
	return nil
}

// move is a change of the allotment's lot. The revision makes its key unique:
// it rises with every change, under the lock of the subscriber.
func (a allotment) move(what string, amount creditcore.Amount) creditcore.Clawback {
	return creditcore.Clawback{
		UserID: a.UserID, Reference: a.reference(), Amount: amount, AppID: appID, Metadata: a.metadata(),
		InternalKey: fmt.Sprintf("invoice-line:%s:%s:%d", a.ID, what, a.Revision),
	}
}

// grantAllotment grants what is left of an allotment, less what is owed.
func (s *Service) grantAllotment(ctx context.Context, tx pgx.Tx, a *allotment, owed creditcore.Amount, now time.Time) error {
	a.Withheld = min(owed, a.left())
	amount := a.left() - a.Withheld
	a.Granted, a.GrantedAt = &amount, &now
	if amount == 0 {
		return nil
	}
	expires := a.expires(s.cfg.Grace)
	_, err := s.ledger.GrantTx(ctx, tx, creditcore.Grant{
		UserID: a.UserID, Amount: amount, Type: creditcore.Purchase, Source: creditcore.SourceSubscription, AppID: appID,
		Description: "Subscription " + a.PlanName + ": " + amount.String() + " credits", Metadata: a.metadata(),
		InternalKey: "invoice-line:" + a.ID, Reference: a.reference(), ExpiresAt: &expires,
	})
	if err != nil {
		return fmt.Errorf("grant monthly credits: %w", err)
	}
	return nil
}

// expires is the end of the month and some grace. Where the month was over
// before it was paid for, another one begins with the payment.
func (a allotment) expires(grace time.Duration) time.Time {
	end := a.EndsAt
	if !a.PaidAt.Before(end) {
		end = a.PaidAt.Add(a.EndsAt.Sub(a.StartsAt))
	}
	return end.Add(grace)
}

// metadata names at Stripe what the credits are for.
func (a allotment) metadata() json.RawMessage {
	raw, _ := json.Marshal(map[string]any{ // of texts alone
		"subscriptionId": a.StripeSubscriptionID, "invoiceId": a.StripeInvoiceID, "invoiceLineId": a.LineID,
		"planId": a.PlanID, "periodStart": moment(a.StartsAt), "periodEnd": moment(a.EndsAt),
	})
	return raw
}
