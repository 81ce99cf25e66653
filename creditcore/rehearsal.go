package creditcore

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// RehearsalGroup is what a rehearsal is added up by.
type RehearsalGroup string

// The groups. A plan is the one that the user has now, by which they would pay too.
const (
	RehearseByPrice RehearsalGroup = "price"
	RehearseByUser  RehearsalGroup = "user"
	RehearseByApp   RehearsalGroup = "app"
	RehearseByPlan  RehearsalGroup = "plan"
)

// Rehearsed is what a price, user, app or plan paid, and what it would have paid by
// other prices, each less what was given back. Charges that name no price, one that
// the table does not have, or no quantity are Fixed: they stand for what they were.
type Rehearsed struct {
	Key     string // empty for users without a plan
	Charges int64
	Fixed   int64
	Paid    Amount
	Would   Amount
}

// charged are charges of one price and quantity of a group, by subscribers of a plan, empty
// for others.
type charged struct {
	Key      string
	Plan     string
	Price    string
	Quantity string
	Charges  int64
	Paid     Amount
	Returned Amount
}

// rehearsalSQL adds up the charges since $1 by what stands in place of %s.
const rehearsalSQL = `
	WITH charges AS (
		SELECT t.id, t.user_id, t.app_id, -t.amount AS amount, coalesce(t.metadata->>'price', '') AS price, coalesce(t.metadata->>'quantity', '') AS quantity
		FROM credits.transactions AS t
		WHERE t.created_at >= $1 AND t.type = 'usage'
	)
	SELECT %s AS key, coalesce(plan.name, '') AS plan, c.price, c.quantity, count(*) AS charges, sum(c.amount)::bigint AS paid,
	       coalesce(sum((SELECT sum(r.amount) FROM credits.transactions AS r WHERE r.reverses = c.id)), 0)::bigint AS returned
	FROM charges AS c
	LEFT JOIN auth.users AS u ON u.id = c.user_id
	LEFT JOIN LATERAL (
		SELECT p.name FROM subscriptions.subscriptions AS s JOIN subscriptions.plans AS p ON p.id = s.plan_id
		WHERE s.user_id = c.user_id AND s.live ORDER BY s.created_at DESC LIMIT 1
	) AS plan ON true
	GROUP BY 1, 2, 3, 4`

var rehearsalKeys = map[RehearsalGroup]string{
	RehearseByPrice: `c.price`, RehearseByUser: `coalesce(u.email, c.user_id)`, RehearseByApp: `coalesce(c.app_id, '')`, RehearseByPlan: `coalesce(plan.name, '')`,
}

// Rehearse says what everybody who used something since then would have paid by
// other prices, the greatest difference first. Nothing is charged or written. It
// fails with [ErrInvalid] for another group.
func (s *Service) Rehearse(ctx context.Context, since time.Time, prices Prices, by RehearsalGroup) ([]Rehearsed, error) {
	key, ok := rehearsalKeys[by]
	if !ok {
		return nil, fmt.Errorf("%w: a rehearsal is by price, user, app or plan", ErrInvalid)
	}
	var groups []charged
	err := s.db.Survey(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(rehearsalSQL, key), since)
		if err != nil {
			return err
		}
		groups, err = pgx.CollectRows(rows, pgx.RowToStructByName[charged])
		return err
	})
	if err != nil {
		return nil, err
	}
	lines := make(map[string]*Rehearsed)
	for _, g := range groups {
		line := lines[g.Key]
		if line == nil {
			line = &Rehearsed{Key: g.Key}
			lines[g.Key] = line
		}
		line.add(g, prices)
	}
	list := make([]Rehearsed, 0, len(lines))
	for _, line := range lines {
		list = append(list, *line)
	}
	slices.SortFunc(list, func(a, b Rehearsed) int {
		if d := (b.Would - b.Paid).abs() - (a.Would - a.Paid).abs(); d != 0 {
			return int(min(max(d, -1), 1))
		}
		return strings.Compare(a.Key, b.Key)
	})
	return list, nil
}

func (a Amount) abs() Amount { return max(a, -a) }

// add adds charges of one price and quantity. What was given back of them is given
// back of what they would have cost, in the same share.
func (r *Rehearsed) add(g charged, prices Prices) {
	kept := g.Paid - g.Returned
	r.Charges += g.Charges
	r.Paid += kept
	cost, ok := prices.rehearsed(g)
	if !ok {
		r.Fixed += g.Charges
		r.Would += kept
		return
	}
	would := new(big.Int).Mul(big.NewInt(int64(cost)), big.NewInt(g.Charges))
	if g.Paid > 0 {
		would.Mul(would, big.NewInt(int64(kept))).Quo(would, big.NewInt(int64(g.Paid)))
	}
	r.Would += Amount(would.Int64())
}

// rehearsed is what one of the charges would cost.
func (p Prices) rehearsed(g charged) (Amount, bool) {
	price, err := p.Named(g.Price)
	if err != nil {
		return 0, false
	}
	quantity, err := ParseAmount(g.Quantity)
	if err != nil {
		return 0, false
	}
	cost, err := price.For(g.Plan).Cost(quantity)
	return cost, err == nil
}
