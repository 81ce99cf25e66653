package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

const (
	// dailyApp is the app of the rows that give an account its credits of the day.
	dailyApp = "daily"
	// dailyRecheck is when an account is looked at again that is given none, as its
	// address is not verified.
	dailyRecheck = 10 * time.Second
	// mostDailyKnown bounds the accounts that are known to have had theirs.
	mostDailyKnown = 1_000_000
)

// giveDaily gives a user the free credits of the day, which end with it, when the account
// is first asked for; once a day, on whichever edge. Organisations have none.
func (s *Service) giveDaily(ctx context.Context, account string) error {
	if s.cfg.Daily == 0 || OrganizationOf(account) != "" {
		return nil
	}
	_, err := s.dailies.get(ctx, account, s.daily)
	return err
}

// daily gives a user the credits of today, where they are due, and returns for how long
// nothing more is.
func (s *Service) daily(ctx context.Context, userID string) (none struct{}, stands time.Duration, err error) {
	ctx, cancel := dbscope.Bounded(ctx)
	defer cancel()
	today, err := dbscope.One[struct {
		Due  bool
		Day  string
		Ends time.Time
		Left float64 // in so many seconds
	}](ctx, s.db, dbscope.System(),
		`SELECT u.email_verified AND u.disabled_at IS NULL AND u.deleted_at IS NULL AS due, to_char(d.day, 'YYYY-MM-DD') AS day,
		   d.ends, extract(epoch FROM d.ends - clock_timestamp())::float8 AS left
		 FROM auth.users AS u,
		   (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AS day, (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC' AS ends) AS d
		 WHERE u.id = $1`, userID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return none, dailyRecheck, nil
	case err != nil:
		return none, 0, err
	case !today.Due:
		return none, dailyRecheck, nil
	}
	_, err = s.Grant(ctx, Grant{
		UserID: userID, Amount: s.cfg.Daily, Type: Gift, Source: SourcePromotion, AppID: dailyApp, Description: "Free credits of the day",
		InternalKey: "daily:" + userID + ":" + today.Day, ExpiresAt: &today.Ends,
	})
	return none, time.Duration(today.Left * float64(time.Second)), err
}
