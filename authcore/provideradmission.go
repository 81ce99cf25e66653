package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/membership"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/usertext"
)

// Who signs in with a provider is found by their id there, and by nothing else once
// it is known. An id that is not known is somebody new, or somebody whose address
// both sides have proven:
//
//	                          provider: verified    unverified           none
//	account: none             made, proven          made, unproven       asked for, then as unverified
//	account: verified         linked                refused              asked for, then refused
//	account: unverified       taken over            refused              asked for, then refused
//
// An account that is taken over loses what whoever made it left there: password,
// sessions, passkeys, second factor, keys, links. Where addresses must be proven,
// nobody learns from a refusal whether there is an account: the answer is that of
// a new one, and the owner of the address gets a mail. An invitation brings its own
// address, which it proves. Who is signed in and links has proven both sides by
// being there; addresses decide nothing then.

// admission is how somebody comes in by a provider: in which browser, to where, by
// which invitation. An app has no browser.
type admission struct {
	binding, target, invitation string
	// email was typed in by who has none at the provider.
	email string
}

// admitted is what came of an identity.
type admitted struct {
	user               User
	registered, proven bool
	link               *federation.New // is linked when all is shown
	mailed             bool            // there is no account to sign in to, but a mail on its way
}

// errNoAddress means that an address must be asked for.
var errNoAddress = errors.New("no address")

// siteOf is the origin of a checked target, empty without one.
func siteOf(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// admit finds or makes the account of an identity. What it returns is shown, but
// for a second factor; with [ErrEmailNotVerified] it is the address that a mail went
// to.
func (s *Service) admit(ctx context.Context, client principal.Client, id provider.Identity, how admission) (proof, error) {
	var got admitted
	try := func() error {
		_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) (revs []revocation.Revocation, err error) {
			got = admitted{}
			revs, err = s.admitTx(ctx, tx, client, id, how, &got)
			return revs, err
		})
		return err
	}
	err := try()
	if federation.IsConflict(err) || errors.Is(err, ErrEmailTaken) && got.user.ID == "" || errors.Is(err, federation.ErrNotFound) {
		err = try() // two came at once: the other's account is there now
	}
	if errors.Is(err, errNoAddress) {
		return proof{}, s.askAddress(ctx, id, how)
	}
	if err != nil {
		return proof{}, s.notAdmitted(ctx, client, id.Provider, got.user.ID, err)
	}
	s.mailer.Wake()
	if got.registered {
		s.hooks.Registered(context.WithoutCancel(ctx), got.user)
	} else if got.proven {
		s.hooks.Verified(context.WithoutCancel(ctx), got.user)
	}
	if got.mailed || s.cfg.VerificationRequired && !got.user.EmailVerified {
		s.observeSignIn("unverified")
		s.recordRefusal(ctx, client, got.user.ID, id.Provider, reasonUnverified)
		if !got.mailed && !got.registered {
			err := s.mail(ctx, func(ctx context.Context, tx pgx.Tx) error {
				return s.askAgainTx(ctx, tx, client, got.user, siteOf(how.target))
			})
			if err != nil {
				return proof{}, err
			}
		}
		return proof{User: User{Email: got.user.Email}}, ErrEmailNotVerified
	}
	p := proof{User: got.user, Methods: principal.MethodsOf(principal.MethodFederated), Provider: id.Provider, Link: got.link}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error { return s.hasSecondFactorTx(ctx, tx, &p) })
	return p, err
}

// notAdmitted records why somebody was not let in.
func (s *Service) notAdmitted(ctx context.Context, client principal.Client, providerID, userID string, err error) error {
	var locked *LockedError
	for _, known := range []struct {
		is     bool
		reason provider.Reason
	}{
		{errors.Is(err, ErrEmailTaken), reasonAddressTaken},
		{errors.Is(err, ErrLinkedElsewhere), reasonLinkedElsewhere},
		{errors.Is(err, ErrTooManyAccounts), reasonTooManyAccounts},
		{errors.Is(err, ErrRegistrationClosed), reasonNoRegistration},
		{errors.Is(err, ErrInvitationRequired), reasonNoRegistration},
		{errors.Is(err, ErrInvitation), reasonWrongInvitation},
		{errors.As(err, &locked), reasonLockedAccount},
	} {
		if known.is {
			s.recordRefusal(ctx, client, userID, providerID, known.reason)
			return err
		}
	}
	return s.refused(ctx, client, userID, providerID, err)
}

func (s *Service) admitTx(ctx context.Context, tx pgx.Tx, client principal.Client, id provider.Identity, how admission, got *admitted) ([]revocation.Revocation, error) {
	known, err := federation.FindTx(ctx, tx, id.Provider, id.Subject)
	switch {
	case err == nil:
		return s.admitKnownTx(ctx, tx, client, known, id, got)
	case !errors.Is(err, federation.ErrNotFound):
		return nil, err
	}
	email, verified := id.Email, id.EmailVerified
	if how.email != "" {
		email, verified = how.email, false
	}
	canonical, err := address.Canonical(email)
	if err != nil {
		canonical, verified = "", false
	}
	if how.invitation != "" {
		return s.registerByIdentityTx(ctx, tx, client, id, how, "", true, got)
	}
	if canonical == "" {
		if err := s.mayRegister(); err != nil {
			return nil, err
		}
		return nil, errNoAddress
	}
	owner, err := account.OwnerOfAddressTx(ctx, tx, canonical)
	if err != nil {
		return nil, err
	}
	if owner == nil {
		return s.registerByIdentityTx(ctx, tx, client, id, how, canonical, verified, got)
	}
	if !verified {
		return nil, s.addressTakenTx(ctx, tx, client, *owner, how, got)
	}
	got.user = *owner
	if err := s.mayEnterTx(ctx, tx, client, *owner); err != nil {
		return nil, err
	}
	link, err := federation.Seal(s.cfg.Secrets, id)
	if err != nil {
		return nil, err
	}
	got.link = &link
	if owner.EmailVerified {
		return nil, nil
	}
	return s.takeOverTx(ctx, tx, client, *owner, id, got)
}

// admitKnownTx lets somebody in whose account is linked.
func (s *Service) admitKnownTx(ctx context.Context, tx pgx.Tx, client principal.Client, known federation.Account, id provider.Identity, got *admitted) ([]revocation.Revocation, error) {
	u, err := dbscope.TxRow[User](ctx, tx, `SELECT `+account.Columns+` FROM auth.users AS u WHERE u.id = $1 FOR UPDATE`, known.UserID)
	if err != nil {
		return nil, err
	}
	got.user = u
	if err := s.mayEnterTx(ctx, tx, client, u); err != nil {
		return nil, err
	}
	if err := federation.UseTx(ctx, tx, s.cfg.Secrets, known, id); err != nil {
		return nil, err
	}
	revs, err := s.roleFromTx(ctx, tx, u, id.Provider, id.Role)
	if err != nil {
		return nil, err
	}
	if canonical, err := address.Canonical(id.Email); err == nil && id.EmailVerified && canonical == u.Email && !u.EmailVerified {
		// Whoever has the linked account has the address.
		more, err := s.proveTx(ctx, tx, audit.Event{Type: "email_verified", UserID: u.ID, Client: client, Metadata: map[string]any{"provider": id.Provider}}, pending{})
		if err != nil {
			return nil, err
		}
		got.proven = true
		revs = append(revs, more...)
	}
	got.user, err = account.LockTx(ctx, tx, u.ID) // with the epoch that is now
	return revs, err
}

// mayEnterTx refuses accounts that may not be signed in to: disabled ones, and
// those that too many wrong passwords have locked for this device.
func (s *Service) mayEnterTx(ctx context.Context, tx pgx.Tx, client principal.Client, u User) error {
	if u.DisabledAt != nil || u.DeletedAt != nil {
		return &provider.Error{Reason: ReasonDisabledAccount}
	}
	device, err := knownDeviceTx(ctx, tx, client, u.ID)
	if err != nil {
		return err
	}
	var seconds float64
	if err := tx.QueryRow(ctx, `SELECT coalesce(`+lockout.Seconds("$1")+`, 0)`, lockout.Subject(u.Email, device)).Scan(&seconds); err != nil {
		return err
	}
	return lockout.For(seconds)
}

func (s *Service) mayRegister() error {
	switch {
	case s.cfg.RegistrationClosed:
		return ErrRegistrationClosed
	case s.cfg.InvitationRequired:
		return ErrInvitationRequired
	}
	return nil
}

// registerByIdentityTx makes the account of somebody new. That of an invitation has
// its address and role.
func (s *Service) registerByIdentityTx(ctx context.Context, tx pgx.Tx, client principal.Client, id provider.Identity, how admission, email string, verified bool, got *admitted) ([]revocation.Revocation, error) {
	metadata := map[string]any{"provider": id.Provider}
	u := User{ID: ids.New(), Email: email, EmailVerified: verified, Role: principal.RoleUser}
	if name, err := account.NameOf(usertext.Clean(id.Name, account.MaxName)); err == nil {
		u.Name = name
	}
	if how.invitation != "" && !s.cfg.RegistrationClosed {
		i, _, err := invitationTx(ctx, tx, how.invitation)
		if err != nil {
			return nil, err
		}
		u.Email = i.Address
		if err := acceptTx(ctx, tx, how.invitation, &u); err != nil {
			return nil, err
		}
		metadata["invited"] = true
	} else if err := s.mayRegister(); err != nil {
		return nil, err
	}
	if id.Role != nil && *id.Role != u.Role {
		u.Role = *id.Role
		metadata["role"] = u.Role
	}
	made, err := account.InsertTx(ctx, tx, u, "")
	if err != nil {
		return nil, account.DBError(err)
	}
	if err := s.hooks.RegisterTx(ctx, tx, made, client); err != nil {
		return nil, err
	}
	if err := audit.RecordTx(ctx, tx, audit.Event{Type: "registered", UserID: made.ID, Client: client, Metadata: metadata}); err != nil {
		return nil, err
	}
	link, err := federation.Seal(s.cfg.Secrets, id)
	if err != nil {
		return nil, err
	}
	if err := federation.LinkTx(ctx, tx, made.ID, link); errors.Is(err, federation.ErrTaken) {
		return nil, federation.ErrNotFound // somebody was first: once more
	} else if err != nil {
		return nil, err
	}
	got.user, got.registered = made, true
	if made.EmailVerified {
		return nil, nil
	}
	return nil, s.askForProofTx(ctx, tx, made, pending{Name: made.Name, RedirectTo: siteOf(how.target), ReturnTo: how.target, Client: client})
}

// addressTakenTx refuses who names the address of another account and has not
// proven it. Where nobody may learn that there is one, whoever reads its mail is
// told.
func (s *Service) addressTakenTx(ctx context.Context, tx pgx.Tx, client principal.Client, owner User, how admission, got *admitted) error {
	if !s.cfg.VerificationRequired {
		return ErrEmailTaken
	}
	if err := s.mayRegister(); err != nil {
		return err
	}
	got.mailed, got.user = true, User{Email: owner.Email}
	if err := s.hooks.RegisterAgainTx(ctx, tx, client); err != nil {
		return err
	}
	switch {
	case owner.DisabledAt != nil:
		return nil
	case !owner.EmailVerified:
		return s.askAgainTx(ctx, tx, client, owner, siteOf(how.target))
	}
	return s.registerAgainTx(ctx, tx, owner, pending{Client: client})
}

// takeOverTx gives an account whose address nobody has proven to who has.
func (s *Service) takeOverTx(ctx context.Context, tx pgx.Tx, client principal.Client, u User, id provider.Identity, got *admitted) ([]revocation.Revocation, error) {
	proved := audit.Event{Type: "email_verified", UserID: u.ID, Client: client, Metadata: map[string]any{"provider": id.Provider, "replaced": true}}
	if err := dropClaimsTx(ctx, tx, u.ID); err != nil {
		return nil, err
	}
	if err := membership.ReplaceRegisteredTx(ctx, tx, proved, nil); err != nil {
		return nil, err
	}
	name, err := account.NameOf(usertext.Clean(id.Name, account.MaxName))
	if err != nil {
		name = ""
	}
	for _, sql := range []string{
		`DELETE FROM auth.accounts WHERE user_id = $1`,
		`DELETE FROM auth.user_settings WHERE user_id = $1`,
	} {
		if _, err := tx.Exec(ctx, sql, u.ID); err != nil {
			return nil, err
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE auth.users SET name = $2, image = NULL WHERE id = $1`, u.ID, name); err != nil {
		return nil, err
	}
	revs, err := s.proveTx(ctx, tx, proved, pending{})
	if err != nil {
		return nil, err
	}
	ended, err := session.RevokeTx(ctx, tx, audit.Event{Type: "session_revoked", UserID: u.ID, Client: client}, revocation.ReasonVerified,
		`s.user_id = $1 AND s.revoked_at IS NULL`, u.ID)
	if err != nil {
		return nil, err
	}
	got.proven = true
	got.user, err = account.LockTx(ctx, tx, u.ID)
	return append(ended, revs...), err
}

// askAddress keeps an identity until its owner has named an address.
func (s *Service) askAddress(ctx context.Context, id provider.Identity, how admission) error {
	needed := &EmailRequiredError{Provider: id.Provider, ExpiresIn: federation.FlowTTL}
	if how.binding == "" {
		return needed // an app: it sends the user to the pages
	}
	link, err := federation.Seal(s.cfg.Secrets, id)
	if err != nil {
		return err
	}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		needed.Token, err = federation.BeginTx(ctx, tx, federation.Flow{Purpose: federation.Address, Provider: id.Provider}, how.binding,
			flowData{Target: how.target, Identity: &link, Name: id.Name})
		return err
	})
	if err != nil {
		return err
	}
	return needed
}

// CompleteProviderAddress takes the address of somebody whom a provider named
// without one, by the token of an [*EmailRequiredError] and in the same browser. It
// is unproven. It fails as [Service.CompleteProvider] does, or with
// [ErrInvalidInput], after which the token is good for another try.
func (s *Service) CompleteProviderAddress(ctx context.Context, client principal.Client, bindings []string, token, email string) (out ProviderOutcome, err error) {
	if email, err = address.Canonical(email); err != nil {
		return out, errors.Join(ErrInvalidInput, err)
	}
	var flow federation.Flow
	var binding string
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		flow, binding, err = federation.TakeTx(ctx, tx, token, bindings)
		return err
	})
	if errors.Is(err, federation.ErrNotFound) || err == nil && flow.Purpose != federation.Address {
		return out, s.refused(ctx, client, "", flow.Provider, &provider.Error{Reason: ReasonState})
	}
	if err != nil {
		return out, err
	}
	var data flowData
	if err := json.Unmarshal(flow.Data, &data); err != nil {
		return out, err
	}
	out.Purpose, out.Target = federation.SignIn, data.Target
	id, err := s.waiting(data)
	if err != nil {
		return out, err
	}
	proved, err := s.admit(ctx, client, id, admission{binding: binding, target: data.Target, email: email})
	if out.MailedTo = proved.User.Email; err != nil {
		return out, err
	}
	if err := s.askSecondFactor(ctx, client, proved, true); err != nil {
		return out, err
	}
	out.Browser, err = s.beginBrowser(ctx, client, proved, true)
	return out, err
}

// waiting is an identity that was kept, with its tokens.
func (s *Service) waiting(data flowData) (provider.Identity, error) {
	kept := data.Identity
	if kept == nil {
		return provider.Identity{}, errors.New("a flow without an identity")
	}
	id := provider.Identity{Provider: kept.Provider, Subject: kept.Subject, Name: data.Name, Role: kept.Role}
	id.Tokens.Scope = kept.Tokens.Scope
	if kept.Tokens.Expires != nil {
		id.Tokens.AccessExpires = *kept.Tokens.Expires
	}
	var err error
	open := func(column, sealed string) (text string) {
		if sealed != "" && err == nil {
			text, err = federation.Token(s.cfg.Secrets, kept.ID, column, sealed)
		}
		return text
	}
	id.Tokens.Access = open("access_token", kept.Tokens.Access)
	id.Tokens.Refresh = open("refresh_token", kept.Tokens.Refresh)
	id.Tokens.ID = open("id_token", kept.Tokens.ID)
	return id, err
}
