package creditcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// Who spends may be bound: an API key by its budget (auth.api_keys), a member of
// an organisation by what is allotted to them of its account
// (credits.allotments). A charge counts against both beside the account, and what
// each has spent stands in credits.spending. All of it is looked at under the
// lock of the account, so that any number of requests together spend exactly
// what they may.

// insufficient refuses what the account, the budget of a key or the allotment of
// a member does not cover.
func (o outcome) insufficient(it *item) error {
	e := &InsufficientError{
		Required: it.Amount, Organization: OrganizationOf(it.UserID),
		OfKey: o.Outcome == "key_insufficient", OfAllotment: o.Outcome == "allotment_insufficient",
	}
	switch {
	case !e.OfKey && !e.OfAllotment:
		e.Available, e.Debt = o.Balance-o.Held, o.Debt
	case o.CreditsLeft != nil:
		e.Available = max(0, *o.CreditsLeft) // less than nothing where it was made smaller
	}
	return e
}

// withinLimitsTx fails with [ErrNotMember], or with [*InsufficientError] where
// the key or the member who makes the charge may not spend so much. The account
// must be locked.
func (s *Service) withinLimitsTx(ctx context.Context, tx pgx.Tx, d Debit) error {
	if d.APIKey == "" && d.Organization == "" {
		return nil
	}
	type limits struct {
		Refusal     *string
		CreditsLeft *Amount
	}
	if d.APIKey != "" { // one of an organisation spends of two accounts
		_, err := tx.Exec(ctx, `SELECT FROM auth.api_keys AS k WHERE k.id = $1 AND k.organization_id IS NOT NULL FOR NO KEY UPDATE`, d.APIKey)
		if err != nil {
			return err
		}
	}
	l, err := dbscope.TxRow[limits](ctx, tx, `SELECT * FROM `+functions.Schema+`.limits($1, $2, $3, $4, clock_timestamp())`,
		d.account(), dbscope.NullText(d.spender()), dbscope.NullText(d.APIKey), int64(d.Amount))
	switch {
	case err != nil || l.Refusal == nil:
		return err
	case *l.Refusal == "not_member":
		return ErrNotMember
	}
	return outcome{Outcome: *l.Refusal, CreditsLeft: l.CreditsLeft}.insufficient(&item{UserID: d.account(), Amount: d.Amount})
}

type creditsLeft struct{ CreditsLeft *Amount }

// KeyLeft is what the budget of an API key leaves in its present period, nil
// where it has none. It may be less than nothing.
func (s *Service) KeyLeft(ctx context.Context, key string) (*Amount, error) {
	r, err := dbscope.One[creditsLeft](ctx, s.db, dbscope.System(), `SELECT `+functions.Schema+`.key_left($1, clock_timestamp()) AS credits_left`, key)
	return r.CreditsLeft, err
}

// MemberLeft is what a member may spend of an organisation's account in the
// present period of what is allotted to them, whatever the account has, nil
// where nothing bounds them. It may be less than nothing. It fails with
// [ErrNotMember].
func (s *Service) MemberLeft(ctx context.Context, organizationID, userID string) (*Amount, error) {
	if !plain(organizationID) || !plain(userID) {
		return nil, ErrNotMember
	}
	r, err := dbscope.One[creditsLeft](ctx, s.db, dbscope.System(),
		`SELECT credits_left FROM `+functions.Schema+`.member_left($1, $2, clock_timestamp())`, OrganizationAccount(organizationID), userID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotMember
	}
	return r.CreditsLeft, err
}

// KeySpending is what each of the caller's API keys has spent in the present
// period of its budget, or ever where it has none. What is reserved counts as
// spent.
func (s *Service) KeySpending(ctx context.Context, c Caller) (map[string]Amount, error) {
	type spending struct {
		ID    string
		Spent Amount
	}
	list, err := dbscope.List[spending](ctx, s.db, dbscope.System(),
		`SELECT k.id, `+functions.Schema+`.spent('key:' || k.id, NULL, k.budget_period, now()) AS spent FROM auth.api_keys AS k WHERE k.user_id = $1`, c.UserID)
	spent := make(map[string]Amount, len(list))
	for _, k := range list {
		spent[k.ID] = k.Spent
	}
	return spent, err
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
