package authcore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// AccountData is what the core keeps of an account, counted. LastLoginAt is nil
// for who never signed in.
type AccountData struct {
	User        User
	Sessions    int
	Accounts    int // ways to sign in
	TwoFactor   bool
	LastLoginAt *time.Time
}

// AccountData counts what is kept of the caller, or fails with [ErrUserNotFound].
func (s *Service) AccountData(ctx context.Context, c principal.Caller) (AccountData, error) {
	u, err := s.userByID(ctx, c)
	if err != nil {
		return AccountData{}, err
	}
	return s.accountData(ctx, u)
}

// AccountDataOf counts what is kept of a user, who may be disabled, or fails with
// [ErrUserNotFound]. That it was looked at is recorded.
func (s *Service) AccountDataOf(ctx context.Context, op principal.Operator, userID string) (AccountData, error) {
	u, err := s.UserByIDOrEmail(ctx, op, userID)
	if err == nil && u.ID != userID {
		err = ErrUserNotFound
	}
	if err != nil {
		return AccountData{}, err
	}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		return audit.RecordAdminTx(ctx, tx, audit.Event{Type: "data_viewed", UserID: u.ID, By: op})
	})
	if err != nil {
		return AccountData{}, err
	}
	return s.accountData(ctx, u)
}

func (s *Service) accountData(ctx context.Context, u User) (AccountData, error) {
	type counts struct {
		Sessions, Accounts int
		TwoFactor          bool
		LastLoginAt        *time.Time
	}
	n, err := dbscope.One[counts](ctx, s.db, system(),
		`SELECT (SELECT count(*) FROM auth.sessions AS s WHERE s.user_id = $1) AS sessions,
		   (SELECT count(*) FROM auth.accounts AS a WHERE a.user_id = $1)
		     + (SELECT count(*) FROM auth.passkeys AS p WHERE p.user_id = $1) AS accounts,
		   EXISTS (SELECT FROM auth.two_factor_auth AS f WHERE f.user_id = $1 AND f.enabled) AS two_factor,
		   (SELECT max(s.created_at) FROM auth.sessions AS s WHERE s.user_id = $1) AS last_login_at`, u.ID)
	return AccountData{User: u, Sessions: n.Sessions, Accounts: n.Accounts, TwoFactor: n.TwoFactor, LastLoginAt: n.LastLoginAt}, err
}

// AllSessions are the caller's sessions, those that have ended included, the
// newest first.
func (s *Service) AllSessions(ctx context.Context, c principal.Caller) ([]Session, error) {
	return dbscope.List[Session](ctx, s.db, account.ScopeOf(c),
		`SELECT `+session.Columns+` FROM auth.sessions AS s WHERE s.user_id = $1 ORDER BY s.created_at DESC, s.id`, c.UserID)
}

// eventsPage is how many events are read at a time.
const eventsPage = 1000

// EachEvent hands the caller's security events to fn, the newest first, until it
// fails.
func (s *Service) EachEvent(ctx context.Context, c principal.Caller, fn func(audit.Entry) error) error {
	query := audit.Query{UserID: c.UserID, Limit: eventsPage}
	for {
		list, err := s.OwnEvents(ctx, c, query)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := fn(e); err != nil {
				return err
			}
			query.Before = e.ID
		}
		if len(list) < eventsPage {
			return nil
		}
	}
}
