package invoice

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/settle"
)

// SettlePeriods moves the ledger to what a user is due for their paid invoices,
// as our rows have them. It may run at any time and any number of times, under the
// lock of the subscriber.
//
//   - A month that has begun is granted once, as a lot that lasts until the
//     month's end and the grace after it. Of what months before it leave, as much
//     as the plan says lives on as long.
//   - A change of plan takes back the share of the time that was credited, of
//     that month's own lot alone and as far as it is unspent. What of it was
//     spent is withheld from the next months: else a plan could be taken,
//     emptied, given back and taken again.
//   - A refund or dispute takes back its share of the credits: of months that
//     are not granted yet first, then of the newest. What of it is gone is owed.
//     Credits that were bought by themselves are left alone.
func (s *Service) SettlePeriods(ctx context.Context, tx pgx.Tx, userID string) error {
	list, err := creditPeriods(ctx, tx, userID)
	if err != nil {
		return err
	}
	now := s.now()
	reversed := reversals(list)
	for i := range list {
		was := list[i]
		if err := s.reduce(ctx, tx, &list[i], reversed[was.ID]); err != nil {
			return fmt.Errorf("credit period %s: %w", was.ID, err)
		}
		if list[i] != was {
			if err := storePeriod(ctx, tx, list[i]); err != nil {
				return err
			}
			list[i].Revision++
		}
	}
	withhold := creditcore.Amount(0)
	for _, p := range list {
		withhold += p.Shortfall - p.Withheld
	}
	for _, p := range list {
		if !p.due(now) {
			continue
		}
		if err := s.grantPeriod(ctx, tx, &p, max(withhold, 0), now); err != nil {
			return fmt.Errorf("credit period %s: %w", p.ID, err)
		}
		withhold -= p.Withheld
		if err := storePeriod(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// left is what remains due of a credit period.
func (p creditPeriod) left() creditcore.Amount { return p.Credits - p.CutCredits - p.ReversedCredits }

func (p creditPeriod) due(now time.Time) bool {
	return p.Granted == nil && !p.UserRemoved && !p.StartsAt.After(now) && p.left() > 0
}

// reference names the credit period's lot.
func (p creditPeriod) reference() string { return "invoice:" + p.StripeInvoiceID + ":" + p.ID }

// cut is what falls away of a credit period with a change of plan.
func (p creditPeriod) cut() creditcore.Amount {
	cut := p.Credits - month{p.StartsAt, p.EndsAt, p.Credits}.kept(p.CutAt)
	if p.Granted == nil && p.SubscriptionEnded != nil && !p.SubscriptionEnded.After(p.StartsAt) {
		cut = p.Credits // a month that the subscription did not live to see
	}
	return max(cut, p.CutCredits)
}

// reversals is what falls away of each credit period with refunds and disputes, by
// its id: the share of all that its invoice is due, of months not granted yet
// first, then of those granted, the newest first.
func reversals(list []creditPeriod) map[string]creditcore.Amount {
	due := make(map[string]creditcore.Amount) // by invoice
	for _, p := range list {
		due[p.StripeInvoiceID] += p.Credits - p.cut()
	}
	left := make(map[string]creditcore.Amount)
	for _, p := range list {
		if p.ReversedEuroCents > 0 {
			all := due[p.StripeInvoiceID]
			left[p.StripeInvoiceID] = min(all, settle.ReversedCredits(all, p.ReversedEuroCents, p.PaidEuroCents))
		}
	}
	reversed := make(map[string]creditcore.Amount)
	for _, granted := range []bool{false, true} {
		for _, p := range slices.Backward(list) { // the last month first
			if (p.Granted != nil) == granted {
				n := min(p.Credits-p.cut(), left[p.StripeInvoiceID])
				reversed[p.ID] = n
				left[p.StripeInvoiceID] -= n
			}
		}
	}
	return reversed
}

// reduce takes back what is due no more, or gives back what is due again.
func (s *Service) reduce(ctx context.Context, tx pgx.Tx, p *creditPeriod, reversed creditcore.Amount) error {
	cut := p.cut()
	if p.Granted == nil {
		p.CutCredits, p.ReversedCredits = cut, reversed
		return nil
	}
	if err := s.cutPeriod(ctx, tx, p, cut); err != nil {
		return err
	}
	return s.reversePeriod(ctx, tx, p, reversed)
}

// cutPeriod takes back what fell away with a change of plan. What was
// reversed of it before is not taken twice.
func (s *Service) cutPeriod(ctx context.Context, tx pgx.Tx, p *creditPeriod, cut creditcore.Amount) error {
	gone := max(0, p.ReversedCredits-(p.Credits-cut))
	more := cut - p.CutCredits - gone
	p.CutCredits = cut
	p.ReversedCredits -= gone
	p.ReversedTaken = min(p.ReversedTaken, p.ReversedCredits)
	if more <= 0 {
		return nil
	}
	taken, err := s.takeUnspent(ctx, tx, *p, more)
	p.ClawedBack += taken
	p.Shortfall += more - taken
	return err
}

// takeUnspent takes back from a credit period's lot what is left of it, at most
// so much.
func (s *Service) takeUnspent(ctx context.Context, tx pgx.Tx, p creditPeriod, most creditcore.Amount) (creditcore.Amount, error) {
	left, err := unspent(ctx, tx, p.UserID, p.reference())
	if err != nil || left == 0 {
		return 0, err
	}
	move := p.move("cut", min(most, left))
	move.Description = "Subscription " + p.PlanName + " changed: " + move.Amount.String() + " credits"
	move.LotOnly = true
	r, err := s.ledger.ClawbackTx(ctx, tx, move)
	if err != nil {
		return 0, fmt.Errorf("take back unused credits: %w", err)
	}
	return r.Taken, nil
}

// reversePeriod takes back, or gives back, what changed with the money.
func (s *Service) reversePeriod(ctx context.Context, tx pgx.Tx, p *creditPeriod, reversed creditcore.Amount) error {
	if more := reversed - p.ReversedCredits; more > 0 && *p.Granted > p.ClawedBack {
		move := p.move("reversal", min(more, *p.Granted-p.ClawedBack))
		move.Description = "Subscription " + p.PlanName + " reversed: " + move.Amount.String() + " credits"
		move.Follow, move.SpareBought = settle.FollowsGifts(p.PaidAt, s.now()), true
		r, err := s.ledger.ClawbackTx(ctx, tx, move)
		if err != nil {
			return fmt.Errorf("take back reversed credits: %w", err)
		}
		p.ReversedTaken += r.Taken + r.Owed
		p.ClawedBack += r.Taken + r.Owed
	}
	p.ReversedCredits = reversed
	back := min(p.ReversedTaken-reversed, p.ClawedBack)
	if back <= 0 {
		return nil
	}
	move := p.move("reinstatement", back)
	move.Description = "Subscription " + p.PlanName + " reinstated: " + back.String() + " credits"
	if err := s.ledger.ReinstateTx(ctx, tx, move); err != nil {
		return fmt.Errorf("reinstate credits: %w", err)
	}
	p.ReversedTaken -= back
	p.ClawedBack -= back
	return nil
}

// move is a change of the credit period's lot. The revision makes its key unique:
// it rises with every change, under the lock of the subscriber.
func (p creditPeriod) move(what string, amount creditcore.Amount) creditcore.Clawback {
	return creditcore.Clawback{
		UserID: p.UserID, Reference: p.reference(), Amount: amount, AppID: settle.AppID, Metadata: p.metadata(),
		InternalKey: fmt.Sprintf("invoice-line:%s:%s:%d", p.ID, what, p.Revision),
	}
}

// grantPeriod grants what is left of a credit period, less what is withheld.
func (s *Service) grantPeriod(ctx context.Context, tx pgx.Tx, p *creditPeriod, withhold creditcore.Amount, now time.Time) error {
	p.Withheld = min(withhold, p.left())
	amount := p.left() - p.Withheld
	p.Granted, p.GrantedAt = &amount, &now
	expires := p.expires(s.grace)
	carried := creditcore.RollOver{UserID: p.UserID, UpTo: p.RolloverCredits * creditcore.Amount(p.Seats), Until: expires}
	if err := s.ledger.RollOverTx(ctx, tx, carried); err != nil {
		return fmt.Errorf("roll over what is left of earlier months: %w", err)
	}
	if amount == 0 {
		return nil
	}
	_, err := s.ledger.GrantTx(ctx, tx, creditcore.Grant{
		UserID: p.UserID, Amount: amount, Type: creditcore.Purchase, Source: creditcore.SourceSubscription, AppID: settle.AppID,
		Description: "Subscription " + p.PlanName + ": " + amount.String() + " credits", Metadata: p.metadata(),
		InternalKey: "invoice-line:" + p.ID, Reference: p.reference(), ExpiresAt: &expires,
	})
	if err != nil {
		return fmt.Errorf("grant monthly credits: %w", err)
	}
	return nil
}

// expires is the end of the month and some grace. Where the month was over
// before it was paid for, another one begins with the payment.
func (p creditPeriod) expires(grace time.Duration) time.Time {
	end := p.EndsAt
	if !p.PaidAt.Before(end) {
		end = p.PaidAt.Add(p.EndsAt.Sub(p.StartsAt))
	}
	return end.Add(grace)
}

// metadata names at Stripe what the credits are for.
func (p creditPeriod) metadata() json.RawMessage {
	raw, _ := json.Marshal(map[string]any{ // of texts alone
		"subscriptionId": p.StripeSubscriptionID, "invoiceId": p.StripeInvoiceID, "invoiceLineId": p.LineID,
		"planId": p.PlanID, "periodStart": settle.Timestamp(p.StartsAt), "periodEnd": settle.Timestamp(p.EndsAt),
	})
	return raw
}
