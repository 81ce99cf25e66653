package authcore_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/federation"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/internal/providertest"
)

// acme offers a provider.
func acme(p *providertest.Server, change ...func(*provider.Config)) func(*authcore.Config) {
	cfg := provider.Config{Kind: provider.OpenID, ID: "acme", Issuer: p.URL, ClientID: providertest.ClientID, ClientSecret: providertest.ClientSecret}
	for _, f := range change {
		f(&cfg)
	}
	return func(c *authcore.Config) { c.Providers = append(c.Providers, cfg) }
}

// byProvider signs in with the user who is at the provider now.
func byProvider(t testing.TB, s *authcore.Service, p *providertest.Server, invitation string) (authcore.ProviderOutcome, error) {
	t.Helper()
	r, err := s.BeginProviderSignIn(t.Context(), laptop, authcore.ProviderRequest{Provider: "acme", Invitation: invitation})
	if err != nil {
		t.Fatal(err)
	}
	return comeBack(t, s, p, r)
}

func comeBack(t testing.TB, s *authcore.Service, p *providertest.Server, r authcore.ProviderRedirect) (authcore.ProviderOutcome, error) {
	t.Helper()
	back := p.Authorize(r.URL)
	return s.CompleteProvider(t.Context(), laptop, answerOf(back, r.Binding))
}

func answerOf(back url.Values, binding string) authcore.ProviderAnswer {
	return authcore.ProviderAnswer{Provider: "acme", State: back.Get("state"), Code: back.Get("code"), Bindings: []string{binding}}
}

// valueOf reads one value behind the service's back.
func valueOf(t testing.TB, db *pgtest.Database, sql string, args ...any) string {
	t.Helper()
	r, err := dbscope.Row[struct{ V string }](t.Context(), db.Pool, dbscope.System(), `SELECT coalesce((`+sql+`)::text, '') AS v`, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r.V
}

func lastRefusal(t testing.TB, db *pgtest.Database) string {
	t.Helper()
	return valueOf(t, db, `SELECT metadata->>'reason' FROM auth.security_events WHERE event_type = 'provider_refused' ORDER BY created_at DESC, id LIMIT 1`)
}

// TestLinking is the whole table of who is linked to whom: {account verified,
// unverified, none} × {provider verified, unverified, no address} × {signed in, not},
// where addresses need not be proven. Nobody gets into somebody else's account.
func TestLinking(t *testing.T) {
	t.Parallel()
	const email = "ada@example.test"
	for _, tt := range []struct {
		account, provider string
		signedIn          bool
		want              string // signed in as whom, or why not
	}{
		{"none", "verified", false, "new, proven"},
		{"none", "unverified", false, "new, unproven"},
		{"none", "no address", false, "asked for an address"},
		{"verified", "verified", false, "the account"},
		{"verified", "unverified", false, "address_taken"},
		{"verified", "no address", false, "asked for an address"},
		{"unverified", "verified", false, "taken over"},
		{"unverified", "unverified", false, "address_taken"},
		{"unverified", "no address", false, "asked for an address"},
		// Who is signed in, as somebody else where the address is nobody's, links to
		// that account, and addresses decide nothing.
		{"none", "verified", true, "linked"},
		{"none", "unverified", true, "linked"},
		{"none", "no address", true, "linked"},
		{"verified", "verified", true, "linked"},
		{"verified", "unverified", true, "linked"},
		{"verified", "no address", true, "linked"},
		{"unverified", "verified", true, "linked"},
		{"unverified", "unverified", true, "linked"},
		{"unverified", "no address", true, "linked"},
	} {
		name := "account " + tt.account + ", provider " + tt.provider
		if tt.signedIn {
			name += ", signed in"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, p := pgtest.New(t), providertest.New(t)
			s := edge(t, db, acme(p))
			p.User = providertest.User{Subject: "7", Email: "Ada@Example.test", Verified: tt.provider == "verified"}
			if tt.provider == "no address" {
				p.User.Email = ""
			}
			var account authcore.User
			if tt.account != "none" {
				account = register(t, s, email)
				if tt.account == "verified" {
					change(t, db, `UPDATE auth.users SET email_verified = true WHERE id = $1`, account.ID)
				}
			}
			if tt.signedIn {
				who := email
				if tt.account == "none" {
					who = "bob@example.test"
					account = register(t, s, who)
				}
				c := callerOf(t, s, signIn(t, s, laptop, who).AccessToken)
				r, err := s.BeginProviderLink(t.Context(), c, authcore.ProviderRequest{Provider: "acme"})
				if err != nil {
					t.Fatal(err)
				}
				if out, err := comeBack(t, s, p, r); err != nil || out.Purpose != federation.Link {
					t.Fatalf("%+v, %v", out, err)
				}
				linked, err := s.LinkedAccounts(t.Context(), c)
				if err != nil || len(linked) != 1 || linked[0].Subject != "7" {
					t.Errorf("linked %+v, %v", linked, err)
				}
				if valueOf(t, db, `SELECT count(*) FROM auth.users`) != "1" || valueOf(t, db, `SELECT email_verified FROM auth.users`) != map[bool]string{true: "true", false: "false"}[tt.account == "verified"] {
					t.Error("the link changed accounts")
				}
				signIn(t, s, laptop, who) // the password is good still
				return
			}
			out, err := byProvider(t, s, p, "")
			var address *authcore.EmailRequiredError
			got := ""
			switch {
			case errors.As(err, &address):
				got = "asked for an address"
				// Naming somebody's address gets nobody in.
				_, err := s.CompleteProviderAddress(t.Context(), laptop, nil, address.Token, email)
				if err == nil {
					t.Error("another browser may name an address")
				}
			case errors.Is(err, authcore.ErrEmailTaken):
				got = lastRefusal(t, db)
			case err != nil:
				t.Fatal(err)
			default:
				u := out.Browser.User()
				switch {
				case u.ID == account.ID && tt.account == "verified":
					got = "the account"
					signIn(t, s, laptop, email)
				case u.ID == account.ID:
					got = "taken over"
				case u.EmailVerified:
					got = "new, proven"
				default:
					got = "new, unproven"
				}
				if u.Email != email {
					t.Errorf("address %q", u.Email)
				}
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if tt.want == "address_taken" && valueOf(t, db, `SELECT count(*) FROM auth.accounts WHERE provider_id = 'acme'`) != "0" {
				t.Error("linked though refused")
			}
		})
	}
}

// TestAddressThatIsNamed: of who has none at the provider, it counts as unproven.
func TestAddressThatIsNamed(t *testing.T) {
	t.Parallel()
	for account, verified := range map[string]bool{"verified": true, "unverified": false} {
		db, p := pgtest.New(t), providertest.New(t)
		s := edge(t, db, acme(p))
		u := register(t, s, "ada@example.test")
		change(t, db, `UPDATE auth.users SET email_verified = $2 WHERE id = $1`, u.ID, verified)
		p.User = providertest.User{Subject: "7"}
		r, err := s.BeginProviderSignIn(t.Context(), laptop, authcore.ProviderRequest{Provider: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = comeBack(t, s, p, r)
		var address *authcore.EmailRequiredError
		if !errors.As(err, &address) {
			t.Fatalf("%s: %v", account, err)
		}
		if _, err := s.CompleteProviderAddress(t.Context(), laptop, []string{r.Binding}, address.Token, "ada@example.test"); !errors.Is(err, authcore.ErrEmailTaken) {
			t.Errorf("%s: %v", account, err)
		}
	}
}

// TestTakeover: whoever registered somebody's address before them, and prepared to
// come back, finds nothing left.
func TestTakeover(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p))
	u := register(t, s, "ada@example.test")
	squatter := signIn(t, s, phone, "ada@example.test")
	c := callerOf(t, s, squatter.AccessToken)
	p.User = providertest.User{Subject: "squatter", Email: "mallory@example.test", Verified: true}
	r, err := s.BeginProviderLink(t.Context(), c, authcore.ProviderRequest{Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := comeBack(t, s, p, r); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CreateAPIKey(t.Context(), c, apikey.Order{Name: "left behind", Scopes: []string{"stt"}}); err != nil {
		t.Fatal(err)
	}
	change(t, db, `INSERT INTO auth.passkeys (id, user_id, credential_id, public_key, sign_count, name, device_type, backed_up, aaguid)
		SELECT 'pk', $1, 'x', 'x', 0, 'left behind', 'singleDevice', false, gen_random_uuid()`, u.ID)
	change(t, db, `INSERT INTO auth.two_factor_auth (user_id, secret, enabled) VALUES ($1, 'x', true)`, u.ID)
	if err := s.ChangeEmail(t.Context(), c, "mallory@example.test", ""); err != nil {
		t.Fatal(err)
	}

	p.User = providertest.User{Subject: "ada", Email: "ada@example.test", Verified: true, Name: "Ada herself"}
	out, err := byProvider(t, s, p, "")
	if err != nil || out.Browser.User().ID != u.ID || out.Browser.User().Name != "Ada herself" || !out.Browser.User().EmailVerified {
		t.Fatalf("%+v, %v", out.Browser.User(), err)
	}
	if _, err := s.SignIn(t.Context(), phone, "ada@example.test", testPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("the password of before: %v", err)
	}
	if _, err := s.Verify(t.Context(), squatter.AccessToken); err == nil {
		t.Error("a token of before is good")
	}
	if _, err := s.Refresh(t.Context(), phone, squatter.RefreshToken); err == nil {
		t.Error("a session of before goes on")
	}
	left := valueOf(t, db, `SELECT (SELECT count(*) FROM auth.passkeys) + (SELECT count(*) FROM auth.two_factor_auth)
		+ (SELECT count(*) FROM auth.api_keys WHERE revoked_at IS NULL) + (SELECT count(*) FROM auth.accounts WHERE account_id <> 'ada')
		+ (SELECT count(*) FROM auth.challenges WHERE consumed_at IS NULL AND expires_at > now())`)
	if left != "0" {
		t.Errorf("%s things are left of before", left)
	}
	p.User = providertest.User{Subject: "squatter", Email: "mallory@example.test", Verified: true}
	if out, err := byProvider(t, s, p, ""); err != nil || out.Browser.User().ID == u.ID {
		t.Errorf("the account of the provider of before: %+v, %v", out.Browser.User(), err)
	}
}

// TestProvenByMailDropsProviders: the same, where it is a mail that proves.
func TestProvenByMailDropsProviders(t *testing.T) {
	t.Parallel()
	for name, prove := range map[string]func(*authcore.Service, *mailbox) error{
		"by registering": func(s *authcore.Service, m *mailbox) error {
			if _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: "ada@example.test", Password: testPassword}); err != nil {
				return err
			}
			_, err := s.ConfirmEmail(t.Context(), laptop, m.last(notice.VerifyEmail).Token)
			return err
		},
		"by another password": func(s *authcore.Service, m *mailbox) error {
			if err := s.ForgotPassword(t.Context(), laptop, "ada@example.test", "", ""); err != nil {
				return err
			}
			_, err := s.ResetPassword(t.Context(), laptop, m.last(notice.ResetPassword).Token, testPassword)
			return err
		},
	} {
		db, p, mails := pgtest.New(t), providertest.New(t), new(mailbox)
		s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails }, acme(p), func(c *authcore.Config) { c.VerificationRequired = true })
		p.User = providertest.User{Subject: "squatter", Email: "ada@example.test", Verified: false}
		if _, err := byProvider(t, s, p, ""); !errors.Is(err, authcore.ErrEmailNotVerified) {
			t.Fatalf("%s: %v", name, err)
		}
		if err := prove(s, mails); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		signIn(t, s, laptop, "ada@example.test")
		if _, err := byProvider(t, s, p, ""); err == nil {
			t.Errorf("%s: the squatter's account of the provider lets them in", name)
		}
		if n := valueOf(t, db, `SELECT count(*) FROM auth.accounts WHERE provider_id = 'acme'`); n != "0" {
			t.Errorf("%s: %s accounts are linked", name, n)
		}
	}
}

// last is the newest of a kind, the zero notice where there is none.
func (m *mailbox) last(kind notice.Kind) (n notice.Notice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sent := range m.notices {
		if sent.Kind == kind {
			n = sent
		}
	}
	return n
}

// TestProviderTellsNothingOfAccounts: where addresses must be proven, who names one
// that they have not proven learns nothing, and its owner gets a mail.
func TestProviderTellsNothingOfAccounts(t *testing.T) {
	t.Parallel()
	db, p, mails := pgtest.New(t), providertest.New(t), new(mailbox)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails }, acme(p), func(c *authcore.Config) { c.VerificationRequired = true })
	for i, account := range []string{"none", "unverified", "verified"} {
		email := account + "@example.test"
		if account != "none" {
			register(t, s, email)
		}
		if account == "verified" {
			change(t, db, `UPDATE auth.users SET email_verified = true WHERE email = $1`, email)
		}
		p.User = providertest.User{Subject: string(rune('a' + i)), Email: email, Verified: false}
		if _, err := byProvider(t, s, p, ""); !errors.Is(err, authcore.ErrEmailNotVerified) {
			t.Errorf("%s: %v", account, err)
		}
	}
	if mails.last(notice.AccountExists).To != "verified@example.test" || mails.last(notice.VerifyEmail).To == "" {
		t.Errorf("mails %+v", mails.notices)
	}
	if n := valueOf(t, db, `SELECT count(*) FROM auth.accounts WHERE provider_id = 'acme'`); n != "1" {
		t.Errorf("%s accounts are linked, want that of the new one", n)
	}
	// A new one is let in when the address is proven, by a mail or by the provider.
	p.User = providertest.User{Subject: "a", Email: "none@example.test", Verified: true}
	if out, err := byProvider(t, s, p, ""); err != nil || !out.Browser.User().EmailVerified {
		t.Errorf("proven by the provider: %v", err)
	}
}

// TestProviderAndSecondFactor: the account's own second factor is asked for, and
// nothing is linked before it was shown.
func TestProviderAndSecondFactor(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p))
	u := register(t, s, "ada@example.test")
	change(t, db, `UPDATE auth.users SET email_verified = true WHERE id = $1`, u.ID)
	c := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	e, err := s.EnrollTwoFactor(t.Context(), c, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	change(t, db, `UPDATE auth.two_factor_auth SET enabled = true, enabled_at = now() WHERE user_id = $1`, u.ID)
	p.User = providertest.User{Subject: "ada", Email: "ada@example.test", Verified: true}
	linked := func() string {
		return valueOf(t, db, `SELECT count(*) FROM auth.accounts WHERE provider_id = 'acme'`)
	}
	for i, want := range []string{"0", "1"} {
		_, err = byProvider(t, s, p, "")
		var needed *authcore.SecondFactorError
		if !errors.As(err, &needed) || linked() != want {
			t.Fatalf("sign-in %d: %v, linked %s", i, err, linked())
		}
		if _, _, err := s.CompleteBrowserSignIn(t.Context(), laptop, authcore.FactorAnswer{Challenge: needed.Challenge, Code: "aaaaa-aaaaa"}); !errors.Is(err, authcore.ErrSecondFactorFailed) || linked() != want {
			t.Fatalf("a wrong code: %v, linked %s", err, linked())
		}
		b, _, err := s.CompleteBrowserSignIn(t.Context(), laptop, authcore.FactorAnswer{Challenge: needed.Challenge, Code: e.BackupCodes[i]})
		if err != nil || linked() != "1" || b.Session().Methods != "fed,otp,mfa" {
			t.Fatalf("a right code: %v, linked %s, %s", err, linked(), b.Session().Methods)
		}
	}
}

// TestProviderRefusesAccounts that may not sign in.
func TestProviderRefusesAccounts(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p))
	u := register(t, s, "ada@example.test")
	change(t, db, `UPDATE auth.users SET email_verified = true WHERE id = $1`, u.ID)
	if _, err := byProvider(t, s, p, ""); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		_, _ = s.SignIn(t.Context(), phone, "ada@example.test", "wrong")
	}
	if _, err := byProvider(t, s, p, ""); err != nil {
		t.Errorf("locked by a stranger, from a device that is known: %v", err)
	}
	for range 10 {
		_, _ = s.SignIn(t.Context(), laptop, "ada@example.test", "wrong")
	}
	var locked *authcore.LockedError
	if _, err := byProvider(t, s, p, ""); !errors.As(err, &locked) || lastRefusal(t, db) != "account_locked" {
		t.Errorf("locked: %v, %s", err, lastRefusal(t, db))
	}
	change(t, db, `DELETE FROM auth.lockouts`)
	if _, err := s.SetDisabled(t.Context(), principal.Operator{Name: "test"}, u.ID, true); err != nil {
		t.Fatal(err)
	}
	var refused *authcore.ProviderError
	if _, err := byProvider(t, s, p, ""); !errors.As(err, &refused) || refused.Reason != authcore.ReasonDisabledAccount {
		t.Errorf("disabled: %v", err)
	}
	p.User.Subject = "another"
	if _, err := byProvider(t, s, p, ""); !errors.As(err, &refused) || refused.Reason != authcore.ReasonDisabledAccount {
		t.Errorf("disabled, by the address: %v", err)
	}
}

// TestProviderAndRegistration: who is new is let in as registration says.
func TestProviderAndRegistration(t *testing.T) {
	t.Parallel()
	db, p, mails := pgtest.New(t), providertest.New(t), new(mailbox)
	closed := edge(t, db, acme(p), func(c *authcore.Config) { c.RegistrationClosed = true })
	if _, err := byProvider(t, closed, p, ""); !errors.Is(err, authcore.ErrRegistrationClosed) || lastRefusal(t, db) != "registration_closed" {
		t.Errorf("closed: %v", err)
	}
	invited := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails }, acme(p), func(c *authcore.Config) { c.InvitationRequired = true })
	if _, err := byProvider(t, invited, p, ""); !errors.Is(err, authcore.ErrInvitationRequired) {
		t.Errorf("without an invitation: %v", err)
	}
	if _, err := byProvider(t, invited, p, "made-up"); !errors.Is(err, authcore.ErrInvitation) {
		t.Errorf("with one that is none: %v", err)
	}
	if _, err := invited.InviteUser(t.Context(), principal.Operator{Name: "test"}, "grace@example.test", principal.RoleAdmin, time.Hour, ""); err != nil {
		t.Fatal(err)
	}
	token := mails.last(notice.AccountInvitation).Token
	out, err := byProvider(t, invited, p, token)
	if u := out.Browser.User(); err != nil || u.Email != "grace@example.test" || !u.EmailVerified || u.Role != principal.RoleAdmin {
		t.Fatalf("with one: %+v, %v", u, err)
	}
	if text := valueOf(t, db, `SELECT string_agg(f::text, '') FROM auth.provider_flows AS f`); strings.Contains(text, token) {
		t.Error("the invitation lies in clear")
	}
	p.User.Subject = "another"
	if _, err := byProvider(t, invited, p, token); !errors.Is(err, authcore.ErrInvitation) {
		t.Errorf("with one that is used: %v", err)
	}
	// Who has an account comes in whatever registration says.
	p.User.Subject = "ada-at-provider"
	if _, err := byProvider(t, closed, p, ""); err != nil {
		t.Errorf("who is known, while it is closed: %v", err)
	}
}

// TestRolesOfProviders are set at every sign-in, also taken, and tokens with another
// one are worth nothing at once.
func TestRolesOfProviders(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p, func(c *provider.Config) {
		c.RoleClaim, c.Roles = "groups", map[string]principal.Role{"admins": principal.RoleAdmin}
	}))
	groups := func(list ...string) { p.User.Claims = map[string]any{"groups": list} }
	by := func() authcore.Tokens {
		t.Helper()
		tokens, err := s.SignInByIDToken(t.Context(), phone, "acme", p.IDToken(nil), "")
		if err != nil {
			t.Fatal(err)
		}
		return tokens
	}
	groups("staff", "admins")
	admin := by()
	if c, err := s.Verify(t.Context(), admin.AccessToken); err != nil || c.Role != principal.RoleAdmin {
		t.Fatalf("%+v, %v", c, err)
	}
	groups("staff")
	user := by()
	if c, err := s.Verify(t.Context(), user.AccessToken); err != nil || c.Role != principal.RoleUser {
		t.Errorf("demoted: %+v, %v", c, err)
	}
	if _, err := s.Verify(t.Context(), admin.AccessToken); err == nil {
		t.Error("a token of the admin is good after the demotion")
	}
	renewed, err := s.Refresh(t.Context(), phone, admin.RefreshToken)
	if err != nil || renewed.User.Role != principal.RoleUser {
		t.Errorf("the session of the admin: %+v, %v", renewed.User, err)
	}
	// A linked account that gave the role takes it along.
	groups("admins")
	again := by()
	c := callerOf(t, s, again.AccessToken)
	change(t, db, `INSERT INTO auth.accounts (id, account_id, provider_id, user_id, password) VALUES ('c', $1, 'credential', $1, 'x')`, c.UserID)
	linked, err := s.LinkedAccounts(t.Context(), c)
	if err != nil || len(linked) != 1 {
		t.Fatalf("%+v, %v", linked, err)
	}
	if err := s.UnlinkAccount(t.Context(), c, linked[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), again.AccessToken); err == nil || valueOf(t, db, `SELECT role FROM auth.users`) != "user" {
		t.Error("the role outlives the link")
	}
	events, err := s.Events(t.Context(), principal.Operator{Name: "test"}, audit.Query{Type: "role_changed"})
	if err != nil || len(events) != 3 || !strings.Contains(string(events[0].Metadata), `"provider acme"`) {
		t.Errorf("events %v, %v", events, err)
	}
	// An existing account that the provider is linked to by its address gets the role
	// with the link.
	register(t, s, "eve@example.test")
	change(t, db, `UPDATE auth.users SET email_verified = true WHERE email = 'eve@example.test'`)
	p.User = providertest.User{Subject: "eve", Email: "eve@example.test", Verified: true, Claims: map[string]any{"groups": "admins"}}
	if claims, err := s.Verify(t.Context(), by().AccessToken); err != nil || claims.Role != principal.RoleAdmin {
		t.Errorf("linked: %+v, %v", claims, err)
	}
}

// TestProviderFlowsAreTakenOnce: of many who bring one state and code, one is signed
// in.
func TestProviderFlowsAreTakenOnce(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	edges := []*authcore.Service{edge(t, db, acme(p)), edge(t, db, acme(p))}
	r, err := edges[0].BeginProviderSignIn(t.Context(), laptop, authcore.ProviderRequest{Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	a := answerOf(p.Authorize(r.URL), r.Binding)
	var won, lost int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			_, err := edges[i%2].CompleteProvider(context.Background(), laptop, a)
			var refused *authcore.ProviderError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.As(err, &refused) && refused.Reason == authcore.ReasonState:
				lost++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won != 1 || lost != 15 {
		t.Errorf("%d won, %d lost", won, lost)
	}
	// Two tabs of one browser share what it holds, and neither spoils the other.
	first, err1 := edges[0].BeginProviderSignIn(t.Context(), laptop, authcore.ProviderRequest{Provider: "acme"})
	second, err2 := edges[1].BeginProviderSignIn(t.Context(), laptop, authcore.ProviderRequest{Provider: "acme", Bindings: []string{first.Binding}})
	if err1 != nil || err2 != nil || first.Binding != second.Binding || first.URL == second.URL {
		t.Fatalf("%v, %v", err1, err2)
	}
	for _, r := range []authcore.ProviderRedirect{first, second} {
		if _, err := comeBack(t, edges[0], p, r); err != nil {
			t.Error(err)
		}
	}
	if n := valueOf(t, db, `SELECT count(*) FROM auth.users`); n != "1" {
		t.Errorf("%s accounts of one person", n)
	}
}

// TestNewcomersAtOnce: one person who comes for the first time from many devices at
// once gets one account.
func TestNewcomersAtOnce(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p))
	token := p.IDToken(nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.SignInByIDToken(context.Background(), phone, "acme", token, ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := valueOf(t, db, `SELECT count(*) || ' ' || (SELECT count(*) FROM auth.accounts) FROM auth.users`); n != "1 1" {
		t.Errorf("users and accounts: %s", n)
	}
}

// TestAccountsOfTheReplacedService: rows as its library wrote them sign their users
// in, and their tokens are sealed in passing and by the sweep.
func TestAccountsOfTheReplacedService(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p))
	u := register(t, s, "ada@example.test")
	for _, row := range []struct{ id, subject string }{{"row-1", "ada-at-provider"}, {"row-2", "another-of-hers"}} {
		change(t, db, `INSERT INTO auth.accounts (id, account_id, provider_id, user_id, access_token, refresh_token, id_token, access_token_expires_at, scope)
			VALUES ($1, $2, 'acme', $3, 'ya29.in-clear', '1//in-clear', 'ey.in.clear', now(), 'openid')`, row.id, row.subject, u.ID)
	}
	p.User.Verified = false // the id is what counts
	out, err := byProvider(t, s, p, "")
	if err != nil || out.Browser.User().ID != u.ID {
		t.Fatalf("%+v, %v", out.Browser.User(), err)
	}
	secrets, err := secret.New(testKey, "")
	if err != nil {
		t.Fatal(err)
	}
	reseal := func(keys secret.Keys) (n int) {
		t.Helper()
		err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
			n, err = federation.ResealTx(t.Context(), tx, keys, 100)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	open := func(keys secret.Keys, id, column string) string {
		t.Helper()
		text, err := federation.Token(keys, id, column, valueOf(t, db, `SELECT `+column+` FROM auth.accounts WHERE id = $1`, id))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if open(secrets, "row-1", "access_token") != "access-token-of-the-provider" || open(secrets, "row-2", "refresh_token") != "1//in-clear" {
		t.Error("the tokens cannot be read")
	}
	if n := reseal(secrets); n != 1 {
		t.Errorf("%d rows were sealed", n)
	}
	if clear := valueOf(t, db, `SELECT count(*) FROM auth.accounts WHERE access_token LIKE '%clear%' OR refresh_token LIKE '%clear%' OR id_token LIKE '%clear%'`); clear != "0" || open(secrets, "row-2", "access_token") != "ya29.in-clear" {
		t.Errorf("%s rows hold tokens in clear", clear)
	}
	next, err := secret.New("another-key-0123456789abcdef-0123456789", "", testKey)
	if err != nil {
		t.Fatal(err)
	}
	if n := reseal(next); n != 2 || reseal(next) != 0 || open(next, "row-2", "id_token") != "ey.in.clear" {
		t.Errorf("%d rows were sealed anew", n)
	}
}

// TestLinkingLimits: what is another user's stays so, a session that has ended links
// nothing, and the last way in stays.
func TestLinkingLimits(t *testing.T) {
	t.Parallel()
	db, p := pgtest.New(t), providertest.New(t)
	s := edge(t, db, acme(p))
	if _, err := byProvider(t, s, p, ""); err != nil {
		t.Fatal(err)
	}
	register(t, s, "bob@example.test")
	bob := callerOf(t, s, signIn(t, s, laptop, "bob@example.test").AccessToken)
	link := func() (authcore.ProviderRedirect, error) {
		return s.BeginProviderLink(t.Context(), bob, authcore.ProviderRequest{Provider: "acme"})
	}
	r, err := link()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := comeBack(t, s, p, r); !errors.Is(err, authcore.ErrLinkedElsewhere) || lastRefusal(t, db) != "linked_elsewhere" {
		t.Errorf("linked to another user: %v", err)
	}
	if _, err := s.BeginProviderLink(t.Context(), bob, authcore.ProviderRequest{Provider: "none"}); !errors.Is(err, authcore.ErrUnknownProvider) {
		t.Errorf("no provider: %v", err)
	}
	change(t, db, `UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	var recent *authcore.ReauthenticationError
	if _, err := link(); !errors.As(err, &recent) {
		t.Errorf("not recent: %v", err)
	}
	change(t, db, `UPDATE auth.sessions SET authenticated_at = now()`)
	p.User.Subject = "bobs"
	if r, err = link(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeAllSessions(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	var refused *authcore.ProviderError
	if _, err := comeBack(t, s, p, r); !errors.As(err, &refused) || refused.Reason != authcore.ReasonSessionOver {
		t.Errorf("the session has ended: %v", err)
	}
	if valueOf(t, db, `SELECT count(*) FROM auth.accounts WHERE account_id = 'bobs'`) != "0" {
		t.Error("linked nevertheless")
	}
}
