package creditcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// What an API key spends is a charge of its user's account like any other, and
// counts against the budget of the key beside that. The budget stands at the key
// (auth.api_keys), what was spent of it in credits.key_spending. Both are looked
// at under the lock of the account, so that any number of requests together spend
// exactly the budget.

// keyInsufficient refuses what the budget of the item's key does not cover.
func (o outcome) keyInsufficient(required Amount) error {
	e := &InsufficientError{Required: required, OfKey: true}
	if o.KeyLeft != nil {
		e.Available = max(0, *o.KeyLeft) // less than nothing where it was made smaller
	}
	return e
}

// keyAffordsTx fails with [*InsufficientError] where the key has a budget that
// does not cover the amount. The account must be locked.
func (s *Service) keyAffordsTx(ctx context.Context, tx pgx.Tx, key string, amount Amount) error {
	if key == "" {
		return nil
	}
	r, err := dbscope.TxRow[keyLeft](ctx, tx, keyLeftSQL, key)
	if err != nil || r.KeyLeft == nil || *r.KeyLeft >= amount {
		return err
	}
	return outcome{KeyLeft: r.KeyLeft}.keyInsufficient(amount)
}

type keyLeft struct{ KeyLeft *Amount }

const keyLeftSQL = `SELECT credits.key_left($1, clock_timestamp()) AS key_left`

// KeyLeft is what the budget of an API key leaves in its present period, nil
// where it has none. It may be less than nothing.
func (s *Service) KeyLeft(ctx context.Context, key string) (*Amount, error) {
	r, err := dbscope.One[keyLeft](ctx, s.db, dbscope.System(), keyLeftSQL, key)
	return r.KeyLeft, err
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
		`SELECT k.id, credits.key_spent(k.id, now()) AS spent FROM auth.api_keys AS k WHERE k.user_id = $1`, c.UserID)
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
