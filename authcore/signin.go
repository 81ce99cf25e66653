package authcore

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// credential is an account with its password hash, which is empty where the
// account signs in by other means.
type credential struct {
	User
	Password    string
	KnownDevice bool
}

// SignIn verifies a password and begins an app session with a refresh token
// family. It fails with [ErrInvalidCredentials], for unknown and disabled
// accounts too and in the same time, with [*LockedError], or with [ErrBusy].
func (s *Service) SignIn(ctx context.Context, client Client, email, password string) (Tokens, error) {
	cred, err := s.authenticate(ctx, client, email, password)
	if err != nil {
		return Tokens{}, err
	}
	return s.startFamily(ctx, client, cred.User, newSession{PasswordHash: &cred.Password, Event: "login_success"})
}

// SignInBrowser verifies a password and begins a browser session, whose token
// belongs in the SSO cookie. A session that is not persistent lives one day.
// It fails as [Service.SignIn] does.
func (s *Service) SignInBrowser(ctx context.Context, client Client, email, password string, persistent bool) (BrowserSession, error) {
	cred, err := s.authenticate(ctx, client, email, password)
	if err != nil {
		return BrowserSession{}, err
	}
	ttl := s.cfg.SessionTTL
	if !persistent {
		ttl = min(ttl, nonPersistentTTL)
	}
	token := newID()
	ses, err := s.createSession(ctx, client, newSession{
		UserID: cred.ID, Kind: WebSession, Token: storedToken(token), PasswordHash: &cred.Password,
		Persistent: persistent, TTL: ttl, Event: "login_success",
	})
	if err != nil {
		return BrowserSession{}, err
	}
	return BrowserSession{Token: token, entry: packSession(cred.User, ses, s.now())}, nil
}

// Exchange mints tokens for an app out of a live SSO cookie. The app gets a
// session and a refresh family of its own, which end with the browser session.
// It fails as [Service.BrowserSession] does.
func (s *Service) Exchange(ctx context.Context, client Client, cookieHeaders []string) (Tokens, error) {
	browser, err := s.BrowserSession(ctx, cookieHeaders)
	if err != nil {
		return Tokens{}, err
	}
	parent := browser.Session()
	tokens, err := s.startFamily(ctx, client, browser.User(), newSession{
		ParentID: &parent.ID, Organization: parent.ActiveOrganizationID, Event: "session_exchanged",
	})
	if errors.Is(err, ErrInvalidCredentials) {
		return Tokens{}, ErrNoSession
	}
	return tokens, err
}

// startFamily begins an app session of a user who was read before.
func (s *Service) startFamily(ctx context.Context, client Client, u User, n newSession) (Tokens, error) {
	n.UserID, n.Kind, n.Persistent = u.ID, AppSession, true
	n.TTL, n.FamilyID = s.cfg.RefreshTokenTTL, newID()
	ses, err := s.createSession(ctx, client, n)
	if err != nil {
		return Tokens{}, err
	}
	access, err := s.accessToken(subjectOf(u, ses.ID, ses.ActiveOrganizationID))
	return Tokens{
		User: u, AccessToken: access, ExpiresIn: s.cfg.AccessTokenTTL, SessionID: ses.ID,
		RefreshToken: s.cfg.Secrets.refreshToken(n.FamilyID, 0),
	}, err
}

// authenticate finds the account of an address and verifies its password.
func (s *Service) authenticate(ctx context.Context, client Client, email, password string) (credential, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	cred, err := dbscope.One[credential](ctx, s.db, system(),
		`SELECT `+userColumns+`, COALESCE(a.password, '') AS password,
		   $2 <> '' AND EXISTS (
		     SELECT 1 FROM auth.sessions AS s WHERE s.user_id = u.id AND s.device_id = $2) AS known_device
		 FROM auth.users AS u
		 LEFT JOIN auth.accounts AS a ON a.user_id = u.id AND a.provider_id = 'credential'
		 WHERE u.email = $1 AND `+usable, clip(email, 254), clip(client.DeviceID, 255))
	unknown := errors.Is(err, pgx.ErrNoRows)
	if err != nil && !unknown {
		return credential{}, err
	}
	device := ""
	if cred.KnownDevice {
		device = client.DeviceID
	}
	account := s.lockout.account(email, device)
	if err := s.locked(ctx, account); err != nil {
		s.observeSignIn("locked")
		return credential{}, err
	}
	if unknown || cred.Password == "" {
		err = s.hasher.VerifyFake(ctx, password)
		return credential{}, s.rejected(ctx, client, cred.ID, account, err)
	}
	ok, rehash, err := s.hasher.Verify(ctx, cred.Password, password)
	if err != nil || !ok {
		return credential{}, s.rejected(ctx, client, cred.ID, account, err)
	}
	// Tries that were under way while the account got locked tell nothing.
	if err := s.locked(ctx, account); err != nil {
		return credential{}, err
	}
	if err := s.lockout.clear(ctx, account); err != nil {
		s.log.Warn("clear wrong tries", "error", err)
	}
	if rehash {
		cred.Password = s.rehash(ctx, cred, password)
	}
	s.observeSignIn("success")
	return cred, nil
}

// locked asks the counters. While they are away, sign-in goes on: the limits
// by address and the cost of hashing still stand.
func (s *Service) locked(ctx context.Context, account string) error {
	err := s.lockout.check(ctx, account)
	var locked *LockedError
	if err == nil || errors.As(err, &locked) {
		return err
	}
	s.log.Warn("read wrong tries", "error", err)
	return nil
}

func (s *Service) rejected(ctx context.Context, client Client, userID, account string, err error) error {
	if err != nil {
		return err
	}
	locked, err := s.lockout.fail(ctx, account)
	if err != nil {
		s.log.Warn("count a wrong try", "error", err)
	}
	s.observeSignIn("invalid")
	s.record(ctx, event{Type: "login_failed", UserID: userID, Client: client})
	if locked {
		s.record(ctx, event{Type: "account_locked", UserID: userID, Client: client})
	}
	return ErrInvalidCredentials
}

// rehash stores the password under today's parameters and returns the hash
// that is stored now. Failing to do so does not fail the sign-in.
func (s *Service) rehash(ctx context.Context, cred credential, password string) string {
	hash, err := s.hasher.Hash(ctx, password)
	if err == nil {
		var n int64
		n, err = s.db.Exec(ctx, system(),
			`UPDATE auth.accounts SET password = $1, updated_at = now()
			 WHERE user_id = $2 AND provider_id = 'credential' AND password = $3`, hash, cred.ID, cred.Password)
		if err == nil && n == 1 {
			return hash
		}
	}
	if err != nil {
		s.log.Warn("re-hash a password", "error", err)
	}
	return cred.Password
}

func (s *Service) observeSignIn(outcome string) {
	if s.observe.SignIn != nil {
		s.observe.SignIn(outcome)
	}
}
