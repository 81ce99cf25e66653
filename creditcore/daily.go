package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/maypok86/otter/v2"

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

// newDailyCache knows for how long an account need not be looked at.
func newDailyCache() *otter.Cache[string, time.Duration] {
	return otter.Must(&otter.Options[string, time.Duration]{
		MaximumSize:      mostDailyKnown,
		ExpiryCalculator: otter.ExpiryCreatingFunc(func(e otter.Entry[string, time.Duration]) time.Duration { return max(e.Value, time.Millisecond) }),
	})
}

// giveDaily gives a user the free credits of the day, which end with it, when the account
// is first asked for; once a day, on whichever edge. Organisations have none.
func (s *Service) giveDaily(ctx context.Context, account string) error {
	if s.cfg.Daily == 0 || OrganizationOf(account) != "" {
		return nil
	}
	// Who asks together waits for the one who asked first, who may go.
	_, err := s.dailies.Get(context.WithoutCancel(ctx), account, otter.LoaderFunc[string, time.Duration](s.daily))
	return err
}

// daily gives a user the credits of today, where they are due, and returns for how long
// nothing more is.
func (s *Service) daily(ctx context.Context, userID string) (time.Duration, error) {
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
		return dailyRecheck, nil
	case err != nil:
		return 0, err
	case !today.Due:
		return dailyRecheck, nil
	}
	_, err = s.Grant(ctx, Grant{
		UserID: userID, Amount: s.cfg.Daily, Type: Gift, Source: SourcePromotion, AppID: dailyApp, Description: "Free credits of the day",
		InternalKey: "daily:" + userID + ":" + today.Day, ExpiresAt: &today.Ends,
	})
	return time.Duration(today.Left * float64(time.Second)), err
}
