package authcore_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// wallClock is a clock that tests move on.
type wallClock struct{ ahead atomic.Int64 }

func (c *wallClock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *wallClock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// authenticator is what somebody has on their phone.
type authenticator struct {
	secret string
	clock  *wallClock
}

func (a authenticator) codeAt(t testing.TB, ahead time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, a.clock.now().Add(ahead))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// code is a code of a step that no code was taken of.
func (a authenticator) code(t testing.TB) string {
	t.Helper()
	a.clock.advance(2 * 30 * time.Second)
	return a.codeAt(t, 0)
}

// fixture is an account with a second factor.
type fixture struct {
	*authcore.Service
	db     *pgtest.Database
	mails  *mailbox
	clock  *wallClock
	user   authcore.User
	phone  authenticator
	backup []string
}

func withTwoFactor(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{db: pgtest.New(t), mails: new(mailbox), clock: new(wallClock)}
	f.Service = edgeWith(t, f.db, func(d *authcore.Deps) { d.Mailer, d.Now = f.mails, f.clock.now })
	f.user = register(t, f.Service, ada)
	f.mails.one(t, notice.VerifyEmail)
	c := callerOf(t, f.Service, signIn(t, f.Service, laptop, ada).AccessToken)
	f.enroll(t, c)
	f.mails.one(t, notice.FactorAdded)
	return f
}

func (f *fixture) enroll(t *testing.T, c principal.Caller) {
	t.Helper()
	e, err := f.EnrollTwoFactor(t.Context(), c, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(e.URI)
	if err != nil {
		t.Fatal(err)
	}
	f.phone, f.backup = authenticator{uri.Query().Get("secret"), f.clock}, e.BackupCodes
	if err := f.ConfirmTwoFactor(t.Context(), c, f.phone.code(t)); err != nil {
		t.Fatal(err)
	}
}

// ask begins a sign-in and returns its challenge.
func (f *fixture) ask(t *testing.T, client principal.Client) *authcore.SecondFactorError {
	t.Helper()
	_, err := f.SignIn(t.Context(), client, ada, testPassword)
	var needed *authcore.SecondFactorError
	if !errors.As(err, &needed) {
		t.Fatalf("a right password alone: %v", err)
	}
	return needed
}

func TestEnrollment(t *testing.T) {
	t.Parallel()
	f := &fixture{db: pgtest.New(t), mails: new(mailbox), clock: new(wallClock)}
	f.Service = edgeWith(t, f.db, func(d *authcore.Deps) { d.Mailer, d.Now = f.mails, f.clock.now })
	f.user = register(t, f.Service, ada)
	f.mails.one(t, notice.VerifyEmail)
	c := callerOf(t, f.Service, signIn(t, f.Service, laptop, ada).AccessToken)
	if _, err := f.EnrollTwoFactor(t.Context(), c, "wrong password"); !errors.Is(err, authcore.ErrWrongPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := f.ConfirmTwoFactor(t.Context(), c, "123456"); !errors.Is(err, twofactor.ErrNotEnabled) {
		t.Errorf("a code of nothing: %v", err)
	}
	first, err := f.EnrollTwoFactor(t.Context(), c, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(first.URI)
	if err != nil || uri.Scheme != "otpauth" || uri.Host != "totp" || uri.Path != "/example.test:"+ada || uri.Query().Get("issuer") != "example.test" ||
		uri.Query().Get("digits") != "6" || uri.Query().Get("period") != "30" || uri.Query().Get("algorithm") != "SHA1" || len(uri.Query().Get("secret")) != 32 {
		t.Errorf("the address is %s, %v", first.URI, err)
	}
	if len(first.BackupCodes) != 10 || len(slices.Compact(slices.Sorted(slices.Values(first.BackupCodes)))) != 10 || len(first.BackupCodes[0]) != 11 || first.BackupCodes[0][5] != '-' {
		t.Errorf("the backup codes are %q", first.BackupCodes)
	}
	// What is not confirmed asks for nothing.
	signIn(t, f.Service, phone, ada)
	if state, err := f.TwoFactor(t.Context(), c); err != nil || state.Enabled || state.Methods != nil {
		t.Errorf("before the first code: %+v, %v", state, err)
	}
	f.enroll(t, c) // another secret, confirmed
	f.mails.one(t, notice.FactorAdded)
	if _, err := f.EnrollTwoFactor(t.Context(), c, testPassword); !errors.Is(err, twofactor.ErrEnabled) {
		t.Errorf("set up over one that counts: %v", err)
	}
	if err := f.ConfirmTwoFactor(t.Context(), c, f.phone.code(t)); err != nil || len(f.mails.take()) != 0 {
		t.Errorf("checked once more: %v", err)
	}
	state, err := f.TwoFactor(t.Context(), c)
	want := authcore.TwoFactor{Enabled: true, Methods: []authcore.FactorKind{authcore.FactorTOTP, authcore.FactorBackupCode}, BackupCodes: 10}
	if diff := cmp.Diff(want, state); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	stored, err := dbscope.Row[struct{ All string }](t.Context(), f.db.Pool, dbscope.System(),
		`SELECT secret || backup_codes::text AS all FROM auth.two_factor_auth`)
	if err != nil || strings.Contains(stored.All, f.phone.secret) || strings.Contains(stored.All, f.backup[0]) {
		t.Errorf("the secret lies in clear: %s, %v", stored.All, err)
	}
}

func TestSecondFactorSignsIn(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	needed := f.ask(t, phone)
	if diff := cmp.Diff([]authcore.FactorKind{authcore.FactorTOTP, authcore.FactorBackupCode}, needed.Methods); diff != "" || needed.ExpiresIn != 10*time.Minute {
		t.Errorf("%+v %s", needed, diff)
	}
	if _, err := f.SignIn(t.Context(), phone, ada, "wrong password"); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
	code := f.phone.code(t)
	tokens, trusted, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: needed.Challenge, Code: code})
	if err != nil || trusted != "" || tokens.User.ID != f.user.ID {
		t.Fatalf("a right code: %+v, %q, %v", tokens, trusted, err)
	}
	claims, err := f.Verify(t.Context(), tokens.AccessToken)
	if err != nil || claims.Methods != "pwd,otp,mfa" || time.Since(claims.AuthTime) > time.Minute {
		t.Errorf("the token says %q at %v, %v", claims.Methods, claims.AuthTime, err)
	}
	for name, a := range map[string]authcore.FactorAnswer{
		"the same again":      {Challenge: needed.Challenge, Code: f.phone.code(t)},
		"of another purpose":  {Challenge: trusted, Code: f.phone.code(t)},
		"without a challenge": {Code: f.phone.code(t)},
	} {
		if _, _, err := f.CompleteSignIn(t.Context(), phone, a); !errors.Is(err, authcore.ErrSecondFactorExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"a code that was taken": code, "no code": "", "another": "000000", "of a year ago": f.phone.codeAt(t, -365*24*time.Hour)} {
		if _, _, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Code: text}); !errors.Is(err, authcore.ErrSecondFactorFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, _, err := f.CompleteBrowserSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Kind: authcore.FactorTOTP, Code: f.phone.code(t)})
	if err != nil || b.Session().Methods != "pwd,otp,mfa" || !b.Session().Persistent {
		t.Errorf("a browser: %+v, %v", b.Session(), err)
	}
	app, err := f.Exchange(t.Context(), phone, []string{cookieOf(f.Service, b.Token)})
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := f.Verify(t.Context(), app.AccessToken); err != nil || claims.Methods != "pwd,otp,mfa" {
		t.Errorf("what is derived says %q, %v", claims.Methods, err)
	}
}

func TestDriftOfTheClock(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	for _, tt := range []struct {
		ahead time.Duration
		right bool
	}{{-90 * time.Second, false}, {90 * time.Second, false}, {-30 * time.Second, true}, {30 * time.Second, true}} {
		// Ten seconds into a step of its own, so that none ends meanwhile.
		f.clock.advance(10*time.Minute + time.Duration(40-f.clock.now().Unix()%30)*time.Second)
		_, _, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Code: f.phone.codeAt(t, tt.ahead)})
		if (err == nil) != tt.right {
			t.Errorf("a clock %v ahead: %v", tt.ahead, err)
		}
	}
}

func TestBackupCodes(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	answer := func(code string) error {
		_, _, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Code: code})
		return err
	}
	if err := answer(strings.ToUpper(strings.ReplaceAll(f.backup[0], "-", " "))); err != nil {
		t.Errorf("written in another way: %v", err)
	}
	if err := answer(f.backup[0]); !errors.Is(err, authcore.ErrSecondFactorFailed) {
		t.Errorf("twice: %v", err)
	}
	c := callerOf(t, f.Service, func() string {
		tokens, _, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Code: f.backup[1]})
		if err != nil {
			t.Fatal(err)
		}
		return tokens.AccessToken
	}())
	if state, err := f.TwoFactor(t.Context(), c); err != nil || state.BackupCodes != 8 {
		t.Errorf("%+v, %v", state, err)
	}
	f.mails.take()
	fresh, err := f.RenewBackupCodes(t.Context(), c, "")
	if err != nil || len(fresh) != 10 {
		t.Fatalf("%q, %v", fresh, err)
	}
	f.mails.one(t, notice.BackupCodesRenewed)
	if err := answer(f.backup[2]); !errors.Is(err, authcore.ErrSecondFactorFailed) {
		t.Errorf("one of those before: %v", err)
	}
	if err := answer(fresh[9]); err != nil {
		t.Errorf("a fresh one: %v", err)
	}
}

// Whoever guesses has five tries an account and kind, ten in all, whatever they
// restart, and the owner's device has its own.
func TestGuessingCodes(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	if _, _, err := f.CompleteSignIn(t.Context(), laptop, authcore.FactorAnswer{Challenge: f.ask(t, laptop).Challenge, Code: f.phone.code(t)}); err != nil {
		t.Fatal(err)
	}
	try := func(kind authcore.FactorKind, code string, client principal.Client) error {
		_, _, err := f.CompleteSignIn(t.Context(), client, authcore.FactorAnswer{Challenge: f.ask(t, client).Challenge, Kind: kind, Code: code})
		return err
	}
	stranger := principal.Client{UserAgent: "Guess/1.0", DeviceID: "stranger"}
	count := func(kind authcore.FactorKind, tries int) (refused int) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range tries {
			wg.Go(func() {
				err := try(kind, "000000", stranger)
				mu.Lock()
				defer mu.Unlock()
				if errors.As(err, new(*authcore.LockedError)) {
					refused++
				} else if !errors.Is(err, authcore.ErrSecondFactorFailed) {
					t.Errorf("a guess: %v", err)
				}
			})
		}
		wg.Wait()
		return refused
	}
	if refused := count(authcore.FactorTOTP, 12); refused != 7 {
		t.Errorf("of 12 guesses at once %d were refused, want 7", refused)
	}
	if err := try(authcore.FactorTOTP, f.phone.code(t), stranger); !errors.As(err, new(*authcore.LockedError)) {
		t.Errorf("a right code from there: %v", err)
	}
	if refused := count(authcore.FactorBackupCode, 12); refused != 7 {
		t.Errorf("of 12 guesses of another kind %d were refused, want 7", refused)
	}
	if err := try(authcore.FactorEmailCode, "00000000", stranger); !errors.As(err, new(*authcore.LockedError)) {
		t.Errorf("a third kind: %v", err)
	}
	if err := try(authcore.FactorTOTP, f.phone.code(t), laptop); err != nil {
		t.Errorf("the owner's device: %v", err)
	}
	events, err := f.Events(t.Context(), principal.Operator{}, audit.Query{UserID: f.user.ID, Type: "two_factor_failed"})
	if err != nil || len(events) != 10 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// A code is taken once, also by two edges at the same instant.
func TestACodeIsTakenOnce(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	other := edgeWith(t, f.db, func(d *authcore.Deps) { d.Now = f.clock.now })
	code := f.phone.code(t)
	challenges := []string{f.ask(t, phone).Challenge, f.ask(t, phone).Challenge, f.ask(t, phone).Challenge, f.ask(t, phone).Challenge}
	var taken atomic.Int32
	var wg sync.WaitGroup
	for i, challenge := range challenges {
		edge := []*authcore.Service{f.Service, other}[i%2]
		wg.Go(func() {
			if _, _, err := edge.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: challenge, Code: code}); err == nil {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("one code signed in %d times", taken.Load())
	}
}

func TestTrustedDevice(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *fixture, principal.Caller) error{
		"password changed": func(t *testing.T, f *fixture, c principal.Caller) error {
			if err := f.ChangePassword(t.Context(), c, testPassword, "another password"); err != nil {
				return err
			}
			c = callerOf(t, f.Service, must(f.CompleteSignIn(t.Context(), laptop, authcore.FactorAnswer{
				Challenge: func() string {
					_, err := f.SignIn(t.Context(), laptop, ada, "another password")
					var needed *authcore.SecondFactorError
					if !errors.As(err, &needed) {
						t.Fatalf("after the change: %v", err)
					}
					return needed.Challenge
				}(), Code: f.phone.code(t),
			})).AccessToken)
			return f.ChangePassword(t.Context(), c, "another password", testPassword)
		},
		"password set": func(t *testing.T, f *fixture, _ principal.Caller) error {
			return f.SetPassword(t.Context(), principal.Operator{Name: "op"}, f.user.ID, testPassword)
		},
		"signed out everywhere": func(t *testing.T, f *fixture, c principal.Caller) error {
			_, err := f.RevokeAllSessions(t.Context(), c)
			return err
		},
		"sessions ended by an operator": func(t *testing.T, f *fixture, _ principal.Caller) error {
			_, err := f.RevokeUserSessions(t.Context(), principal.Operator{Name: "op"}, f.user.ID)
			return err
		},
		"factor made anew": func(t *testing.T, f *fixture, c principal.Caller) error {
			if err := f.DisableTwoFactor(t.Context(), c, testPassword); err != nil {
				return err
			}
			f.enroll(t, c)
			return nil
		},
		"factor reset": func(t *testing.T, f *fixture, c principal.Caller) error {
			if err := f.ResetTwoFactor(t.Context(), principal.Operator{Name: "op"}, f.user.ID); err != nil {
				return err
			}
			f.enroll(t, c)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := withTwoFactor(t)
			tokens, trusted, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Code: f.phone.code(t), TrustDevice: true})
			if err != nil || trusted == "" {
				t.Fatalf("%q, %v", trusted, err)
			}
			known := phone
			known.TrustedDevices = []string{"no such token", trusted}
			again, err := f.SignIn(t.Context(), known, ada, testPassword)
			if err != nil {
				t.Fatalf("the trusted device: %v", err)
			}
			if claims, err := f.Verify(t.Context(), again.AccessToken); err != nil || claims.Methods != "pwd" {
				t.Errorf("it says %q, %v", claims.Methods, err)
			}
			c := callerOf(t, f.Service, tokens.AccessToken)
			if state, err := f.TwoFactor(t.Context(), c); err != nil || state.TrustedDevices != 1 {
				t.Errorf("%+v, %v", state, err)
			}
			if err := end(t, f, c); err != nil {
				t.Fatal(err)
			}
			if _, err := f.SignIn(t.Context(), known, ada, testPassword); !errors.As(err, new(*authcore.SecondFactorError)) {
				t.Errorf("it is trusted still: %v", err)
			}
		})
	}
}

// A token trusts a device for its user alone.
func TestTrustedDeviceOfAnother(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	_, trusted, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: f.ask(t, phone).Challenge, Code: f.phone.code(t), TrustDevice: true})
	if err != nil {
		t.Fatal(err)
	}
	register(t, f.Service, "bob@example.test")
	bob := callerOf(t, f.Service, signIn(t, f.Service, laptop, "bob@example.test").AccessToken)
	f.enroll(t, bob)
	known := phone
	known.TrustedDevices = []string{trusted}
	if _, err := f.SignIn(t.Context(), known, "bob@example.test", testPassword); !errors.As(err, new(*authcore.SecondFactorError)) {
		t.Errorf("bob on ada's device: %v", err)
	}
}

// A password that changes between the two factors ends the sign-in.
func TestPasswordChangesBetweenTheFactors(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	needed := f.ask(t, phone)
	if err := f.SetPassword(t.Context(), principal.Operator{Name: "op"}, f.user.ID, "another password"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.CompleteSignIn(t.Context(), phone, authcore.FactorAnswer{Challenge: needed.Challenge, Code: f.phone.code(t)}); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("got %v", err)
	}
}

func TestDisablingTwoFactor(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	tokens, _, err := f.CompleteSignIn(t.Context(), laptop, authcore.FactorAnswer{Challenge: f.ask(t, laptop).Challenge, Code: f.phone.code(t)})
	if err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, f.Service, tokens.AccessToken)
	old(t, f.db, f.user.ID)
	var wanted *authcore.ReauthenticationError
	if err := f.DisableTwoFactor(t.Context(), c, ""); !errors.As(err, &wanted) {
		t.Fatalf("without a recent proof: %v", err)
	}
	if diff := cmp.Diff([]authcore.FactorKind{authcore.FactorPassword, authcore.FactorTOTP, authcore.FactorBackupCode}, wanted.Methods); diff != "" {
		t.Error(diff)
	}
	if err := f.DisableTwoFactor(t.Context(), c, "wrong password"); !errors.Is(err, authcore.ErrWrongPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := f.DisableTwoFactor(t.Context(), c, testPassword); err != nil {
		t.Fatal(err)
	}
	if n := f.mails.one(t, notice.FactorRemoved); n.To != ada || n.Factor != authcore.FactorTOTP {
		t.Errorf("the mail is %+v", n)
	}
	if err := f.DisableTwoFactor(t.Context(), c, testPassword); !errors.Is(err, twofactor.ErrNotEnabled) {
		t.Errorf("twice: %v", err)
	}
	signIn(t, f.Service, phone, ada)
}

func must[A, B any](a A, _ B, err error) A {
	if err != nil {
		panic(err)
	}
	return a
}
