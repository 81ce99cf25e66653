package authcore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// recentFor is how long a proof of who somebody is lets them do what could take
// the account away from its owner.
const recentFor = 15 * time.Minute

// RequireRecent fails with [*ReauthenticationError] where whoever holds the
// caller's session has not shown who they are for a while, and with
// [ErrUserNotFound].
func (s *Service) RequireRecent(ctx context.Context, c principal.Caller) error {
	r, err := dbscope.One[struct{ Recent bool }](ctx, s.db, system(),
		`SELECT EXISTS (
		     SELECT FROM auth.sessions AS s
		     WHERE s.id = $2 AND s.user_id = u.id AND s.revoked_at IS NULL
		       AND s.authenticated_at > now() - make_interval(secs => $3)) AS recent
		 FROM auth.users AS u
		 WHERE u.id = $1 AND `+account.Usable, c.UserID, c.SessionID, recentFor.Seconds())
	if err != nil || r.Recent {
		return account.NotFound(err, ErrUserNotFound)
	}
	methods, err := s.ProofMethods(ctx, c)
	if err != nil {
		return err
	}
	return &ReauthenticationError{Methods: methods}
}

// ProofMethods are the ways in which the caller can show once more who they are.
func (s *Service) ProofMethods(ctx context.Context, c principal.Caller) (methods []FactorKind, err error) {
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		password, err := account.HasPasswordTx(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if methods = nil; password {
			methods = append(methods, FactorPassword)
		}
		more, err := s.secondFactorsTx(ctx, tx, u.ID)
		methods = append(methods, more...)
		if err != nil {
			return err
		}
		if keys, err := passkey.CountTx(ctx, tx, u.ID); err != nil {
			return err
		} else if keys > 0 && !slices.Contains(methods, FactorPasskey) {
			methods = append(methods, FactorPasskey)
		}
		if u.EmailVerified {
			methods = append(methods, FactorEmailCode)
		}
		linked, err := s.linkedProvidersTx(ctx, tx, u.ID)
		if len(linked) > 0 {
			methods = append(methods, FactorProvider)
		}
		return err
	})
	return methods, err
}

// proveRecent takes a password for a recent proof; without one there must be
// another.
func (s *Service) proveRecent(ctx context.Context, c principal.Caller, password string) error {
	if password == "" {
		return s.RequireRecent(ctx, c)
	}
	_, err := s.ownPassword(ctx, c, password)
	return err
}

// Reauthentication is one of: a password, a code of an authenticator, of the
// backup codes or of a mail, or a passkey's answer to [Service.UsePasskey].
type Reauthentication struct {
	Password, Code string
	Passkey        *PasskeyAnswer
}

// Reauthenticated is a session whose holder has just shown who they are.
type Reauthenticated struct {
	AccessToken string
	ExpiresIn   time.Duration
	At          time.Time
}

// Reauthenticate renews the proof that the caller's session stands on, and that
// of the browser session it came from. It fails with [ErrWrongPassword],
// [ErrNoPassword], [ErrSecondFactorFailed], [*LockedError], [ErrSessionNotFound]
// or, where nothing is given, [ErrInvalidInput].
func (s *Service) Reauthenticate(ctx context.Context, c principal.Caller, r Reauthentication) (Reauthenticated, error) {
	var method principal.Method
	kind := kindOf(r.Code)
	switch {
	case r.Password != "":
		if _, err := s.ownPassword(ctx, c, r.Password); err != nil {
			return Reauthenticated{}, err
		}
		method = principal.MethodPassword
	case r.Passkey != nil:
		return s.reauthenticateByPasskey(ctx, c, *r.Passkey)
	case r.Code == "":
		return Reauthenticated{}, ErrInvalidInput
	case kind == FactorEmailCode:
		method = principal.MethodEmail
	default:
		method = principal.MethodOTP
	}
	var u User
	var ses Session
	right := true
	err := s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, account User) (err error) {
		u = account
		if r.Password == "" {
			if right, err = s.tryCodeTx(ctx, tx, c.Client, u, kind, r.Code); err != nil || !right {
				return err
			}
		}
		ses, err = s.provedTx(ctx, tx, c, method)
		return err
	})
	if err == nil && !right {
		err = ErrSecondFactorFailed
	}
	if err != nil {
		return Reauthenticated{}, err
	}
	return s.reauthenticated(u, ses)
}

// reauthenticateByPasskey is Reauthenticate with a passkey of the caller.
func (s *Service) reauthenticateByPasskey(ctx context.Context, c principal.Caller, a PasskeyAnswer) (Reauthenticated, error) {
	var u User
	var ses Session
	err := s.verifyPasskey(ctx, c.Client, a, func(ctx context.Context, tx pgx.Tx, used passkey.Assertion) (err error) {
		if used.UserID != c.UserID {
			return passkey.ErrFailed
		}
		if u, err = passkeyOwnerTx(ctx, tx, used); err != nil {
			return err
		}
		ses, err = s.provedTx(ctx, tx, c, methodsOf(used).List()...)
		return err
	})
	if err != nil {
		return Reauthenticated{}, err
	}
	return s.reauthenticated(u, ses)
}

// reauthenticated makes the token of a session whose proof was renewed.
func (s *Service) reauthenticated(u User, ses Session) (Reauthenticated, error) {
	s.Forget(u.ID)
	access, err := s.AccessToken(u, ses)
	return Reauthenticated{AccessToken: access, ExpiresIn: s.cfg.AccessTokenTTL, At: ses.AuthenticatedAt}, err
}

// provedTx notes on the caller's session, and on the browser session it came
// from, that whoever holds it has just shown who they are, and tells the edges
// that have the session in memory. It fails with [ErrSessionNotFound].
func (s *Service) provedTx(ctx context.Context, tx pgx.Tx, c principal.Caller, methods ...principal.Method) (Session, error) {
	type proved struct {
		ID      string
		Methods principal.Methods `db:"amr"`
	}
	rows, err := tx.Query(ctx,
		`SELECT s.id, s.amr FROM auth.sessions AS s
		 WHERE s.user_id = $1 AND s.revoked_at IS NULL
		   AND (s.id = $2 OR s.id = (SELECT x.parent_id FROM auth.sessions AS x WHERE x.id = $2 AND x.user_id = $1))
		 ORDER BY s.id FOR UPDATE`, c.UserID, c.SessionID)
	if err != nil {
		return Session{}, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[proved])
	if err != nil {
		return Session{}, err
	}
	own := false
	for _, p := range list {
		own = own || p.ID == c.SessionID
		if _, err := tx.Exec(ctx, `UPDATE auth.sessions SET authenticated_at = now(), amr = $2, updated_at = now() WHERE id = $1`,
			p.ID, string(p.Methods.With(methods...))); err != nil {
			return Session{}, err
		}
	}
	if !own {
		return Session{}, ErrSessionNotFound
	}
	if err := audit.RecordTx(ctx, tx, audit.Event{Type: "reauthenticated", UserID: c.UserID, Client: c.Client,
		Metadata: map[string]any{"methods": methods}}); err != nil {
		return Session{}, err
	}
	if err := account.ChangedTx(ctx, tx, c.UserID); err != nil {
		return Session{}, err
	}
	return dbscope.TxRow[Session](ctx, tx, `SELECT `+session.Columns+` FROM auth.sessions AS s WHERE s.id = $1`, c.SessionID)
}

// emailCodeDigits is the length of a code that is mailed, and emailCodeTries how
// often it may be mistyped.
const (
	emailCodeDigits = 8
	emailCodeTries  = 5
)

// takeEmailCodeTx reports whether a code is the one that was mailed last, which
// is over then.
func (s *Service) takeEmailCodeTx(ctx context.Context, tx pgx.Tx, userID, code string) (bool, error) {
	open, err := challenge.OpenTx(ctx, tx, challenge.SignIn, userID)
	if err != nil || len(open) == 0 || open[0].Attempts >= emailCodeTries {
		return false, err
	}
	right, err := s.isMailedCode(open[0], code)
	if err != nil {
		return false, err
	}
	if !right {
		return false, challenge.CountTx(ctx, tx, open[0])
	}
	return true, challenge.ConsumeTx(ctx, tx, open[0])
}
