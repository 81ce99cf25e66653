package creditcore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

// ErrNoAllotment means that nothing is allotted to whom a request names, or that
// they are no member.
var ErrNoAllotment = errors.New("Allotment not found")

// Period is how long an allotment is for. Days and months are those of UTC.
type Period string

// The periods.
const (
	PerDay   Period = "day"
	PerMonth Period = "month"
	InTotal  Period = "total"
)

// Allotment is what a member may spend of an organisation's account, or, where
// UserID is empty, what every plain member may who has no other.
type Allotment struct {
	UserID    string
	Credits   Amount
	Period    Period
	UpdatedAt time.Time
}

// Share is what a member has spent and may spend of an organisation's account.
// Credits and Period are those of what is allotted to them, or with Default to
// every member; nil where nothing is. Spent is of that period, or of the month.
// Left is nil where nothing bounds them: for owners and admins to whom nothing is
// allotted.
type Share struct {
	UserID  string
	Role    string
	Credits *Amount
	Period  *Period
	Default bool
	Spent   Amount
	Left    *Amount
}

// Shares are those of an organisation's members, the oldest first: of all for
// who may read them, else the caller's own.
func (s *Service) Shares(ctx context.Context, c Caller) ([]Share, error) {
	list, err := dbscope.List[Share](ctx, s.db, c.scope(),
		`SELECT m.user_id, m.role, a.credits, a.period, coalesce(a.user_id IS NULL AND a.credits IS NOT NULL, false) AS default,
		        spent.amount AS spent,
		        CASE WHEN a.credits IS NOT NULL THEN greatest(0, a.credits - spent.amount)
		             WHEN m.role = 'member' THEN 0 END AS left
		 FROM auth.members AS m
		 LEFT JOIN LATERAL (
			SELECT o.user_id, o.credits, o.period
			FROM credits.allotments AS o
			WHERE o.organization_id = m.organization_id AND (o.user_id = m.user_id OR o.user_id IS NULL AND m.role = 'member')
			ORDER BY o.user_id NULLS LAST
			LIMIT 1) AS a ON true
		 CROSS JOIN LATERAL (
			SELECT coalesce(sum(s.amount), 0)::bigint AS amount
			FROM credits.spending AS s
			WHERE s.spender = 'user:' || m.user_id AND s.account_id = $1 AND s.day >= CASE coalesce(a.period, 'month')
				WHEN 'day' THEN (now() AT TIME ZONE 'UTC')::date
				WHEN 'month' THEN date_trunc('month', now() AT TIME ZONE 'UTC')::date
				ELSE '-infinity' END) AS spent
		 WHERE m.organization_id = $2
		   AND (m.user_id = $3 OR mana.is_admin()
		        OR EXISTS (SELECT FROM auth.my_memberships AS mine WHERE mine.organization_id = $2 AND mine.role IN ('owner', 'admin')))
		 ORDER BY m.created_at, m.id`, c.Account(), c.Organization, c.UserID)
	return list, err
}

// DefaultAllotment is what every plain member may spend who has no other, nil
// where that is nothing.
func (s *Service) DefaultAllotment(ctx context.Context, c Caller) (*Allotment, error) {
	list, err := dbscope.List[Allotment](ctx, s.db, c.scope(),
		`SELECT '' AS user_id, a.credits, a.period, a.updated_at
		 FROM credits.allotments AS a
		 WHERE a.organization_id = $1 AND a.user_id IS NULL`, c.Organization)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Allot says what a member may spend, in place of what was said before; with an
// empty UserID what all may who have no other. What was spent in the period
// counts. It fails with [ErrNotMember] for who is neither owner nor admin,
// [ErrNoAllotment] for who is no member, or [ErrInvalid].
func (s *Service) Allot(ctx context.Context, c Caller, a Allotment) (Allotment, error) {
	switch {
	case a.Credits <= 0:
		return a, fmt.Errorf("%w: credits must be a positive number", ErrInvalid)
	case a.Credits > MaxAmount:
		return a, fmt.Errorf("%w: credits must not be greater than %s", ErrInvalid, MaxAmount)
	case a.Period != PerDay && a.Period != PerMonth && a.Period != InTotal:
		return a, fmt.Errorf("%w: period must be day, month or total", ErrInvalid)
	case !plain(a.UserID):
		return a, ErrNoAllotment
	}
	target := `(organization_id, user_id)`
	if a.UserID == "" {
		target = `(organization_id) WHERE user_id IS NULL`
	}
	stored, err := dbscope.One[Allotment](ctx, s.db, c.scope(),
		`INSERT INTO credits.allotments AS a (organization_id, user_id, credits, period, updated_by)
		 VALUES ($1, $2, $3, $4, $5)
		 ON CONFLICT `+target+` DO UPDATE
		 SET credits = excluded.credits, period = excluded.period, updated_by = excluded.updated_by, updated_at = now()
		 RETURNING coalesce(a.user_id, '') AS user_id, a.credits, a.period, a.updated_at`,
		c.Organization, dbscope.NullText(a.UserID), int64(a.Credits), string(a.Period), c.UserID)
	return stored, allotmentError(err)
}

// Unallot takes back what Allot said. It fails with [ErrNoAllotment].
func (s *Service) Unallot(ctx context.Context, c Caller, userID string) error {
	if !plain(userID) {
		return ErrNoAllotment
	}
	n, err := s.db.Exec(ctx, c.scope(),
		`DELETE FROM credits.allotments WHERE organization_id = $1 AND user_id IS NOT DISTINCT FROM $2`, c.Organization, dbscope.NullText(userID))
	if err == nil && n == 0 {
		err = ErrNoAllotment
	}
	return allotmentError(err)
}

func allotmentError(err error) error {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotMember
	case !errors.As(err, &pg):
		return err
	case pg.Code == "23503": // no such member
		return ErrNoAllotment
	case pg.Code == "42501": // by the policies of the table
		return ErrNotMember
	}
	return err
}
