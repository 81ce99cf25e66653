package authcore

import (
	"context"
	"errors"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/refreshtoken"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/verifier"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// nonPersistentTTL is how long a session lives that ends with its browser.
const nonPersistentTTL = 24 * time.Hour

// credential is an account with its password hash, which is empty where the
// account signs in by other means.
type credential struct {
	User
	Password      string
	TwoFactor     bool
	KnownDevice   bool
	LockedSeconds float64
	Subject       string `db:"-"` // of the lockout
}

// proof is what the password shows.
func (c credential) proof() proof {
	return proof{
		User: c.User, Methods: principal.MethodsOf(principal.MethodPassword), PasswordHash: &c.Password, Lockout: c.Subject,
		TwoFactor: c.TwoFactor,
	}
}

// proof is what somebody who signs in has shown. PasswordHash, where set, must be
// the stored one still when the session is written, and nobody may have been
// locked out under Lockout since. TwoFactor says that the account has a second
// factor, which is not among the methods yet.
type proof struct {
	User         User
	Methods      principal.Methods
	PasswordHash *string
	Lockout      string
	TwoFactor    bool
	// Provider is the one that says who it is, and Link the account of it that is
	// linked when all is shown.
	Provider string
	Link     *federation.New
}

// SignIn verifies a password and begins an app session with a refresh token
// family. It fails with [ErrInvalidCredentials], for unknown and disabled
// accounts too and in the same time, with [*LockedError], [password.ErrBusy],
// [ErrEmailNotVerified] or, where the account has a second factor,
// [*SecondFactorError].
func (s *Service) SignIn(ctx context.Context, client principal.Client, email, password string) (Tokens, error) {
	cred, err := s.authenticate(ctx, client, email, password)
	if err != nil {
		return Tokens{}, err
	}
	p := cred.proof()
	if err := s.askSecondFactor(ctx, client, p, true); err != nil {
		return Tokens{}, err
	}
	return s.beginApp(ctx, client, p)
}

// beginApp begins an app session of who has shown who they are.
func (s *Service) beginApp(ctx context.Context, client principal.Client, p proof) (tokens Tokens, err error) {
	if p, err = s.linkProved(ctx, client, p); err != nil {
		return Tokens{}, err
	}
	err = s.begin(ctx, p, func() (err error) {
		tokens, err = s.startFamily(ctx, client, p.User, session.New{
			PasswordHash: p.PasswordHash, Lockout: p.Lockout, Methods: p.Methods, Provider: p.Provider, Event: session.SignedIn,
		})
		return err
	})
	return tokens, err
}

// SignInBrowser verifies a password and begins a browser session, whose token
// belongs in the SSO cookie. A session that is not persistent lives one day.
// It fails as [Service.SignIn] does.
func (s *Service) SignInBrowser(ctx context.Context, client principal.Client, email, password string, persistent bool) (BrowserSession, error) {
	cred, err := s.authenticate(ctx, client, email, password)
	if err != nil {
		return BrowserSession{}, err
	}
	p := cred.proof()
	if err := s.askSecondFactor(ctx, client, p, persistent); err != nil {
		return BrowserSession{}, err
	}
	return s.beginBrowser(ctx, client, p, persistent)
}

// beginBrowser begins a browser session of who has shown who they are.
func (s *Service) beginBrowser(ctx context.Context, client principal.Client, p proof, persistent bool) (BrowserSession, error) {
	p, err := s.linkProved(ctx, client, p)
	if err != nil {
		return BrowserSession{}, err
	}
	ttl := s.cfg.SessionTTL
	if !persistent {
		ttl = min(ttl, nonPersistentTTL)
	}
	token := ids.New()
	var ses Session
	err = s.begin(ctx, p, func() (err error) {
		ses, err = s.store.Create(ctx, client, session.New{
			UserID: p.User.ID, Kind: WebSession, Token: StoredToken(token), PasswordHash: p.PasswordHash, Lockout: p.Lockout,
			Persistent: persistent, TTL: ttl, Methods: p.Methods, Provider: p.Provider, Event: session.SignedIn,
		})
		return err
	})
	if err != nil {
		return BrowserSession{}, err
	}
	return verifier.NewBrowserSession(token, p.User, ses, s.now()), nil
}

// Exchange mints tokens for an app out of a live SSO cookie. The app gets a
// session and a refresh family of its own, which end with the browser session.
// Pages of one origin share one session, however often they ask, and none
// invalidates what another one was given. It fails as [verifier.Verifier.BrowserSession]
// does, or with [ErrSecondFactorMissing].
func (s *Service) Exchange(ctx context.Context, client principal.Client, cookieHeaders []string) (Tokens, error) {
	browser, err := s.BrowserSession(ctx, cookieHeaders)
	if err != nil {
		return Tokens{}, err
	}
	if s.LacksSecondFactor(browser) {
		return Tokens{}, ErrSecondFactorMissing
	}
	parent := browser.Session()
	tokens, err := s.startFamily(ctx, client, browser.User(), session.New{
		ParentID: &parent.ID, Origin: client.Origin, Event: "session_exchanged",
	})
	if errors.Is(err, ErrInvalidCredentials) {
		return Tokens{}, ErrNoSession
	}
	return tokens, err
}

// startFamily begins an app session of a user who was read before.
func (s *Service) startFamily(ctx context.Context, client principal.Client, u User, n session.New) (Tokens, error) {
	n.UserID, n.Kind, n.Persistent = u.ID, AppSession, true
	n.TTL, n.FamilyID = s.cfg.RefreshTokenTTL, ids.New()
	ses, err := s.store.Create(ctx, client, n)
	if err != nil {
		return Tokens{}, err
	}
	access, err := s.AccessToken(u, ses)
	return Tokens{
		User: u, AccessToken: access, ExpiresIn: s.cfg.AccessTokenTTL, SessionID: ses.ID,
		RefreshToken: refreshtoken.Make(s.cfg.Secrets, n.FamilyID, 0),
	}, err
}

// authenticateSQL reads the account of an address, the standing of its lockout
// included, and a row without an id where there is none: both cost the same.
// $2 is the device, $3 and $4 the counters without and with it.
var authenticateSQL = `
	SELECT ` + account.Columns + `, coalesce(a.password, '') AS password, k.known_device,
	  EXISTS (SELECT FROM auth.two_factor_auth AS f WHERE f.user_id = u.id AND f.enabled) AS two_factor,
	  coalesce(` + lockout.Seconds(`CASE WHEN k.known_device THEN $4 ELSE $3 END`) + `, 0) AS locked_seconds
	FROM (
	  SELECT u.* FROM auth.users AS u WHERE u.email = $1 AND ` + account.Usable + `
	  UNION ALL
	  SELECT nobody.* FROM jsonb_populate_record(NULL::auth.users, '{"id": "", "name": "", "email": "", "email_verified": false,
	    "role": "user", "created_at": "epoch", "updated_at": "epoch", "auth_epoch": 0, "second_factor": false}') AS nobody
	  ORDER BY id DESC
	  LIMIT 1) AS u
	LEFT JOIN auth.accounts AS a ON a.user_id = u.id AND a.provider_id = 'credential'
	CROSS JOIN LATERAL (
	  SELECT $2 <> '' AND EXISTS (
	    SELECT FROM auth.sessions AS s WHERE s.user_id = u.id AND s.device_id = $2) AS known_device) AS k`

// authenticate finds the account of an address and verifies its password.
func (s *Service) authenticate(ctx context.Context, client principal.Client, email, password string) (credential, error) {
	if s.PasswordsOff() {
		return credential{}, ErrPasswordsOff
	}
	email = address.Lookup(email)
	device := audit.Clip(client.DeviceID, 255)
	anywhere, there := lockout.Subject(email, ""), lockout.Subject(email, device)
	cred, err := dbscope.One[credential](ctx, s.db, system(), authenticateSQL, email, device, anywhere, there)
	if err != nil {
		return credential{}, err
	}
	if cred.Subject = anywhere; cred.KnownDevice {
		cred.Subject = there
	}
	if err := lockout.For(cred.LockedSeconds); err != nil {
		s.observeSignIn("locked")
		s.log.WarnContext(ctx, "sign-in of a locked account", "account", cred.ID, "address", client.Network())
		return credential{}, err
	}
	if cred.ID == "" || cred.Password == "" {
		err = s.hasher.VerifyFake(ctx, password)
		return credential{}, s.rejected(ctx, client, cred.ID, email, cred.Subject, err)
	}
	ok, rehash, err := s.hasher.Verify(ctx, cred.Password, password)
	if err != nil || !ok {
		return credential{}, s.rejected(ctx, client, cred.ID, email, cred.Subject, err)
	}
	if rehash {
		cred.Password = s.rehash(ctx, cred, password)
	}
	if s.cfg.VerificationRequired && !cred.EmailVerified {
		s.observeSignIn("unverified")
		return credential{}, ErrEmailNotVerified
	}
	return cred, nil
}

// begin makes the session of who has shown who they are. Where there is none to
// be had, the account may have been locked while the password was verified:
// tries that were under way then tell nothing.
func (s *Service) begin(ctx context.Context, p proof, make func() error) error {
	err := make()
	if errors.Is(err, ErrInvalidCredentials) && p.Lockout != "" {
		if locked := lockout.Check(ctx, s.db, p.Lockout); locked != nil {
			s.observeSignIn("locked")
			return locked
		}
	}
	if err == nil {
		s.observeSignIn("success")
	}
	return err
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
