package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
)

// ErrLastCredential means that the account could not be signed in to without it.
var ErrLastCredential = errors.New("The last way to sign in cannot be removed")

// ErrNoPasskeys means that there are none: they are made for a domain, and the
// base URL has an address in its place.
var ErrNoPasskeys = errors.New("Passkeys need a domain, and this service is reached by an address")

// newRelyingParty is who passkeys are made for: the domain of the family, so that
// one is good on all its sites. Pages of the base URL may ask for one, and those
// of trusted origins below the domain. It is nil where the base URL has no domain.
func newRelyingParty(cfg Config, origins origin.List, now func() time.Time) (*passkey.RelyingParty, error) {
	domain := issuerName(cfg)
	if _, err := netip.ParseAddr(domain); err == nil {
		return nil, nil //nolint:nilnil // there are none
	}
	return passkey.New(passkey.Config{
		RPID: domain, RPName: displayName(cfg), Key: cfg.Secrets.PasskeyState, Now: now,
		Origin: func(page string) bool {
			if origins.IsBase(page) {
				return true
			}
			u, err := url.Parse(page)
			if err != nil || u.Scheme != "https" || !origins.Trusts(page) {
				return false
			}
			return u.Hostname() == domain || strings.HasSuffix(u.Hostname(), "."+domain)
		},
	})
}

// PasskeyDomain is the domain that passkeys are made for (the RP ID), and whether
// there can be any.
func (s *Service) PasskeyDomain() (domain string, ok bool) {
	return issuerName(s.cfg), s.passkeys != nil
}

// Ceremony is what a browser needs to make or use a passkey: the options, as JSON
// of WebAuthn, and the state that must come back with its response.
type Ceremony struct {
	Options json.RawMessage
	State   string
}

// NewPasskey begins to make a passkey for the caller, who must have authenticated
// recently. It fails with [*ReauthenticationError], [passkey.ErrTooMany] or
// [ErrNoPasskeys], as everything about passkeys does where there are none.
func (s *Service) NewPasskey(ctx context.Context, c principal.Caller) (ceremony Ceremony, err error) {
	if s.passkeys == nil {
		return Ceremony{}, ErrNoPasskeys
	}
	if err := s.RequireRecent(ctx, c); err != nil {
		return Ceremony{}, err
	}
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		ceremony.Options, ceremony.State, err = s.passkeys.RegistrationOptions(ctx, tx, passkeyUser(u))
		return err
	})
	return ceremony, err
}

func passkeyUser(u User) passkey.User {
	name := u.Name
	if name == "" {
		name = u.Email
	}
	return passkey.User{ID: u.ID, Name: u.Email, DisplayName: name}
}

// AddPasskey keeps the passkey that a browser made. It fails as
// [Service.NewPasskey] does, or with [passkey.ErrFailed], [passkey.ErrState],
// [passkey.ErrUsed], [passkey.ErrExists] or [passkey.ErrInvalidInput].
func (s *Service) AddPasskey(ctx context.Context, c principal.Caller, state string, response json.RawMessage, name string) (made passkey.Passkey, err error) {
	if s.passkeys == nil {
		return passkey.Passkey{}, ErrNoPasskeys
	}
	if err := s.RequireRecent(ctx, c); err != nil {
		return passkey.Passkey{}, err
	}
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		if made, err = s.passkeys.RegisterTx(ctx, tx, passkeyUser(u), state, response, name); err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "passkey_added", UserID: u.ID, Client: c.Client,
			Metadata: map[string]any{"passkey": made.ID, "name": made.Name}}); err != nil {
			return err
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.FactorAdded, UserID: u.ID, To: u.Email, Name: u.Name, Factor: FactorPasskey, Client: c.Client, At: s.now(),
		})
	})
	s.explain(ctx, c.Client, err)
	return made, err
}

// Passkeys lists the caller's passkeys, the oldest first.
func (s *Service) Passkeys(ctx context.Context, c principal.Caller) (list []passkey.Passkey, err error) {
	err = s.db.InTx(ctx, account.ScopeOf(c), func(ctx context.Context, tx pgx.Tx) error {
		list, err = passkey.List(ctx, tx, c.UserID)
		return err
	})
	return list, err
}

// RenamePasskey gives a passkey of the caller another name. It fails with
// [passkey.ErrNotFound] or [passkey.ErrInvalidInput].
func (s *Service) RenamePasskey(ctx context.Context, c principal.Caller, id, name string) (p passkey.Passkey, err error) {
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		p, err = passkey.RenameTx(ctx, tx, u.ID, id, name)
		return err
	})
	return p, err
}

// RemovePasskey deletes a passkey of the caller, who must have authenticated
// recently. It fails with [*ReauthenticationError], [passkey.ErrNotFound] or
// [ErrLastCredential].
func (s *Service) RemovePasskey(ctx context.Context, c principal.Caller, id string) error {
	if err := s.RequireRecent(ctx, c); err != nil {
		return err
	}
	return s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		gone, err := passkey.DeleteTx(ctx, tx, u.ID, id)
		if err != nil {
			return err
		}
		if err := s.leftWayInTx(ctx, tx, u.ID); err != nil {
			return err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "passkey_removed", UserID: u.ID, Client: c.Client,
			Metadata: map[string]any{"passkey": gone.ID, "name": gone.Name}}); err != nil {
			return err
		}
		return s.mailer.PutTx(ctx, tx, notice.Notice{
			Kind: notice.FactorRemoved, UserID: u.ID, To: u.Email, Name: u.Name, Factor: FactorPasskey, Client: c.Client, At: s.now(),
		})
	})
}

// UsePasskey begins a sign-in with a passkey, of whomever: it tells nothing of
// accounts. With the challenge for a second factor it begins that, of the user
// the challenge is for. It fails with [ErrSecondFactorExpired] or
// [passkey.ErrNotFound].
func (s *Service) UsePasskey(ctx context.Context, secondFactor string) (ceremony Ceremony, err error) {
	if s.passkeys == nil {
		return Ceremony{}, ErrNoPasskeys
	}
	if secondFactor == "" {
		ceremony.Options, ceremony.State, err = s.passkeys.SignInOptions(ctx, nil, "", false)
		return ceremony, err
	}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		c, _, err := secondFactorTx(ctx, tx, secondFactor)
		if err != nil {
			return err
		}
		ceremony.Options, ceremony.State, err = s.passkeys.SignInOptions(ctx, tx, c.UserID, true)
		return err
	})
	return ceremony, err
}

// secondFactorTx locks a challenge for the second factor, and its account. It
// fails with [ErrSecondFactorExpired].
func secondFactorTx(ctx context.Context, tx pgx.Tx, token string) (challenge.Challenge, User, error) {
	c, err := challenge.FindTx(ctx, tx, challenge.SecondFactor, token)
	if errors.Is(err, challenge.ErrUnknown) || err == nil && c.Over() {
		err = ErrSecondFactorExpired
	}
	if err != nil {
		return c, User{}, err
	}
	u, err := account.LockTx(ctx, tx, c.UserID)
	if errors.Is(err, ErrUserNotFound) {
		err = ErrSecondFactorExpired
	}
	return c, u, err
}

// PasskeyAnswer is what a browser with a passkey answered to a [Ceremony].
type PasskeyAnswer struct {
	State    string
	Response json.RawMessage
}

// SignInByPasskey begins a browser session, and tokens for the app that asked,
// which end with it. A passkey whose user was verified is two factors. It fails
// with [passkey.ErrFailed], [passkey.ErrState], [passkey.ErrUsed] or, where the
// passkey is one factor and the account has another, [*SecondFactorError].
func (s *Service) SignInByPasskey(ctx context.Context, client principal.Client, a PasskeyAnswer) (BrowserSession, Tokens, error) {
	b, u, err := s.beginByPasskey(ctx, client, a)
	if err != nil {
		return BrowserSession{}, Tokens{}, err
	}
	parent := b.Session().ID
	tokens, err := s.startFamily(ctx, client, u, session.New{ParentID: &parent, Origin: client.Origin, Event: "session_exchanged"})
	return b, tokens, err
}

// SignInBrowserByPasskey is SignInByPasskey of a browser alone.
func (s *Service) SignInBrowserByPasskey(ctx context.Context, client principal.Client, a PasskeyAnswer) (BrowserSession, error) {
	b, _, err := s.beginByPasskey(ctx, client, a)
	return b, err
}

// beginByPasskey begins the browser session of a passkey's owner.
func (s *Service) beginByPasskey(ctx context.Context, client principal.Client, a PasskeyAnswer) (BrowserSession, User, error) {
	var p proof
	err := s.verifyPasskey(ctx, client, a, func(ctx context.Context, tx pgx.Tx, used passkey.Assertion) (err error) {
		if p.User, err = passkeyOwnerTx(ctx, tx, used); err != nil {
			return err
		}
		p.Methods = methodsOf(used)
		if used.UserVerified {
			return nil
		}
		return s.hasSecondFactorTx(ctx, tx, &p)
	})
	if err != nil {
		s.observeSignIn("invalid")
		return BrowserSession{}, User{}, err
	}
	if s.cfg.VerificationRequired && !p.User.EmailVerified {
		s.observeSignIn("unverified")
		return BrowserSession{}, User{}, ErrEmailNotVerified
	}
	if err := s.askSecondFactor(ctx, client, p, true); err != nil {
		return BrowserSession{}, User{}, err
	}
	b, err := s.beginBrowser(ctx, client, p, true)
	return b, p.User, err
}

// passkeyOwnerTx locks the account of a passkey that was used. It fails with
// [passkey.ErrFailed] where that is usable no more.
func passkeyOwnerTx(ctx context.Context, tx pgx.Tx, used passkey.Assertion) (User, error) {
	u, err := account.LockTx(ctx, tx, used.UserID)
	if errors.Is(err, ErrUserNotFound) {
		err = passkey.ErrFailed
	}
	return u, err
}

// CompleteSignInByPasskey meets the challenge of a [*SecondFactorError] with a
// passkey and begins an app session. It fails with [ErrSecondFactorExpired] or as
// [Service.SignInByPasskey] does.
func (s *Service) CompleteSignInByPasskey(ctx context.Context, client principal.Client, token string, a PasskeyAnswer) (Tokens, error) {
	p, _, err := s.meetByPasskey(ctx, client, token, a)
	if err != nil {
		return Tokens{}, err
	}
	return s.beginApp(ctx, client, p)
}

// CompleteBrowserSignInByPasskey is CompleteSignInByPasskey for a browser session.
func (s *Service) CompleteBrowserSignInByPasskey(ctx context.Context, client principal.Client, token string, a PasskeyAnswer) (BrowserSession, error) {
	p, persistent, err := s.meetByPasskey(ctx, client, token, a)
	if err != nil {
		return BrowserSession{}, err
	}
	return s.beginBrowser(ctx, client, p, persistent)
}

// meetByPasskey takes a passkey for a challenge, which is over then.
func (s *Service) meetByPasskey(ctx context.Context, client principal.Client, token string, a PasskeyAnswer) (p proof, persistent bool, err error) {
	err = s.verifyPasskey(ctx, client, a, func(ctx context.Context, tx pgx.Tx, used passkey.Assertion) error {
		c, u, err := secondFactorTx(ctx, tx, token)
		if err != nil {
			return err
		}
		if used.UserID != u.ID || !used.SecondFactor {
			return passkey.ErrFailed
		}
		var held heldProof
		if err := json.Unmarshal(c.Data, &held); err != nil {
			return err
		}
		p = proof{
			User: u, Methods: held.Methods.With(append(methodsOf(used).List(), principal.MethodMultiFactor)...),
			PasswordHash: held.PasswordHash, Lockout: held.Lockout, Provider: held.Provider, Link: held.Link,
		}
		persistent = held.Persistent
		return challenge.ConsumeTx(ctx, tx, c)
	})
	return p, persistent, err
}

// verifyPasskey verifies an answer and goes on in the same transaction. A passkey
// that may have been copied is recorded and refused.
func (s *Service) verifyPasskey(ctx context.Context, client principal.Client, a PasskeyAnswer, then func(context.Context, pgx.Tx, passkey.Assertion) error) error {
	if s.passkeys == nil {
		return ErrNoPasskeys
	}
	var refused error
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		refused = nil
		used, err := s.passkeys.VerifyTx(ctx, tx, a.State, a.Response)
		var cloned *passkey.ClonedError
		if errors.As(err, &cloned) {
			refused = err
			return audit.RecordTx(ctx, tx, audit.Event{Type: "passkey_cloned", UserID: cloned.UserID, Client: client,
				Metadata: map[string]any{"passkey": cloned.PasskeyID, "stored": cloned.Stored, "sent": cloned.Sent}})
		}
		if err != nil {
			return err
		}
		return then(ctx, tx, used)
	})
	if err == nil {
		err = refused
	}
	s.explain(ctx, client, err)
	return err
}

// explain logs why a passkey was refused, which its user is not told.
func (s *Service) explain(ctx context.Context, client principal.Client, err error) {
	var failure *passkey.Failure
	switch {
	case errors.As(err, &failure):
		s.log.WarnContext(ctx, "a passkey was refused", "reason", failure.Reason, "address", client.Network())
	case errors.Is(err, passkey.ErrCloned):
		s.log.WarnContext(ctx, "a passkey was refused: its counter went back, there may be a copy", "address", client.Network())
	}
}

// methodsOf are what a used passkey stands for.
func methodsOf(used passkey.Assertion) principal.Methods {
	list := []principal.Method{principal.MethodHardwareKey}
	if used.DeviceType == passkey.MultiDevice {
		list[0] = principal.MethodSoftwareKey
	}
	if used.UserVerified {
		list = append(list, principal.MethodMultiFactor)
	}
	return principal.MethodsOf(list...)
}
