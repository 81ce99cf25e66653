package authcore_test

import (
	"errors"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/passkeytest"
	"mana.how/edge/internal/pgtest"
)

// device is a browser on a page of the app, with passkeys.
func deviceWithPasskeys() *passkeytest.Authenticator {
	return &passkeytest.Authenticator{Origin: "https://app.example.test"}
}

// addPasskey makes a passkey for the caller.
func addPasskey(t *testing.T, s *authcore.Service, c principal.Caller, device *passkeytest.Authenticator) passkey.Passkey {
	t.Helper()
	ceremony, err := s.NewPasskey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	response, err := device.Create(ceremony.Options)
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.AddPasskey(t.Context(), c, ceremony.State, response, "My key")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// use answers a ceremony.
func use(t *testing.T, device *passkeytest.Authenticator, ceremony authcore.Ceremony, err error) authcore.PasskeyAnswer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	response, err := device.Get(ceremony.Options)
	if err != nil {
		t.Fatal(err)
	}
	return authcore.PasskeyAnswer{State: ceremony.State, Response: response}
}

func TestPasskeySignsIn(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	u := register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	device := deviceWithPasskeys()
	made := addPasskey(t, s, c, device)
	if n := mails.one(t, notice.FactorAdded); n.Factor != authcore.FactorPasskey || made.Name != "My key" {
		t.Errorf("the mail is %+v of %+v", n, made)
	}
	ceremony, err := s.UsePasskey(t.Context(), "")
	answer := use(t, device, ceremony, err)
	b, tokens, err := s.SignInByPasskey(t.Context(), phone, answer)
	if err != nil || b.User().ID != u.ID || tokens.User.ID != u.ID {
		t.Fatalf("%+v, %v", b.Session(), err)
	}
	claims, err := s.Verify(t.Context(), tokens.AccessToken)
	if err != nil || claims.Methods != "hwk,mfa" || b.Session().Methods != "hwk,mfa" {
		t.Errorf("the token says %q, the session %q, %v", claims.Methods, b.Session().Methods, err)
	}
	if _, _, err := s.SignInByPasskey(t.Context(), phone, answer); !errors.Is(err, passkey.ErrUsed) {
		t.Errorf("the same answer twice: %v", err)
	}
	// The app's session ends with the browser's.
	if err := s.SignOut(t.Context(), phone, authcore.SignOut{CookieTokens: []string{b.Token}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), phone, tokens.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("the app lives on: %v", err)
	}
	// Who asks for one must be the owner, and lately.
	old(t, db, u.ID)
	if _, err := s.NewPasskey(t.Context(), c); !errors.As(err, new(*authcore.ReauthenticationError)) {
		t.Errorf("without a recent proof: %v", err)
	}
	ceremony, err = s.UsePasskey(t.Context(), "")
	again := use(t, device, ceremony, err)
	if _, err := s.Reauthenticate(t.Context(), c, authcore.Reauthentication{Passkey: &again}); err != nil {
		t.Fatalf("a passkey renews the proof: %v", err)
	}
	if err := s.RequireRecent(t.Context(), c); err != nil {
		t.Error(err)
	}
	bob := register(t, s, "bob@example.test")
	ceremony, err = s.UsePasskey(t.Context(), "")
	again = use(t, device, ceremony, err)
	if _, err := s.Reauthenticate(t.Context(), principal.Caller{UserID: bob.ID, SessionID: "x"}, authcore.Reauthentication{Passkey: &again}); !errors.Is(err, passkey.ErrFailed) {
		t.Errorf("another's passkey: %v", err)
	}
	renamed, err := s.RenamePasskey(t.Context(), c, made.ID, "Blue key")
	if list, e := s.Passkeys(t.Context(), c); err != nil || e != nil || len(list) != 1 || list[0].Name != "Blue key" || renamed.LastUsedAt == nil {
		t.Errorf("%+v, %v, %v", list, err, e)
	}
	mails.take()
	if err := s.RemovePasskey(t.Context(), c, made.ID); err != nil {
		t.Fatal(err)
	}
	mails.one(t, notice.FactorRemoved)
	ceremony, err = s.UsePasskey(t.Context(), "")
	if _, _, err := s.SignInByPasskey(t.Context(), phone, use(t, device, ceremony, err)); !errors.Is(err, passkey.ErrFailed) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestLastCredential(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	u := register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	first, second := addPasskey(t, s, c, deviceWithPasskeys()), addPasskey(t, s, c, deviceWithPasskeys())
	change(t, db, `DELETE FROM auth.accounts WHERE user_id = $1`, u.ID)
	if err := s.RemovePasskey(t.Context(), c, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.RemovePasskey(t.Context(), c, second.ID); !errors.Is(err, authcore.ErrLastCredential) {
		t.Errorf("the last one: %v", err)
	}
	if list, err := s.Passkeys(t.Context(), c); err != nil || len(list) != 1 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}

// A passkey serves as the second factor once there is one; it makes no password
// ask for more by itself.
func TestPasskeyAsSecondFactor(t *testing.T) {
	t.Parallel()
	f := withTwoFactor(t)
	c := callerOf(t, f.Service, must(f.CompleteSignIn(t.Context(), laptop, authcore.FactorAnswer{Challenge: f.ask(t, laptop).Challenge, Code: f.phone.code(t)})).AccessToken)
	device := deviceWithPasskeys()
	addPasskey(t, f.Service, c, device)
	needed := f.ask(t, phone)
	if len(needed.Methods) != 3 || needed.Methods[2] != authcore.FactorPasskey {
		t.Errorf("the methods are %q", needed.Methods)
	}
	ceremony, err := f.UsePasskey(t.Context(), needed.Challenge)
	tokens, err := f.CompleteSignInByPasskey(t.Context(), phone, needed.Challenge, use(t, device, ceremony, err))
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := f.Verify(t.Context(), tokens.AccessToken); err != nil || claims.Methods != "pwd,hwk,mfa" {
		t.Errorf("it says %q, %v", claims.Methods, err)
	}
	if _, err := f.UsePasskey(t.Context(), needed.Challenge); !errors.Is(err, authcore.ErrSecondFactorExpired) {
		t.Errorf("the challenge afterwards: %v", err)
	}
	// An answer to the open sign-in, or another's passkey, meets no challenge.
	needed = f.ask(t, phone)
	ceremony, err = f.UsePasskey(t.Context(), "")
	if _, err := f.CompleteSignInByPasskey(t.Context(), phone, needed.Challenge, use(t, device, ceremony, err)); !errors.Is(err, passkey.ErrFailed) {
		t.Errorf("an answer to something else: %v", err)
	}
	// One that did not verify its user is one factor, and the account has another.
	device.Unverified = true
	ceremony, err = f.UsePasskey(t.Context(), "")
	if _, _, err := f.SignInByPasskey(t.Context(), phone, use(t, device, ceremony, err)); !errors.As(err, new(*authcore.SecondFactorError)) {
		t.Errorf("the possession alone: %v", err)
	}
	if err := f.DisableTwoFactor(t.Context(), c, testPassword); err != nil {
		t.Fatal(err)
	}
	signIn(t, f.Service, phone, ada)
}

func TestClonedPasskeyIsRecorded(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	u := register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	device := deviceWithPasskeys()
	addPasskey(t, s, c, device)
	clone := device.Clone()
	for i, d := range []*passkeytest.Authenticator{device, clone} {
		ceremony, err := s.UsePasskey(t.Context(), "")
		_, _, err = s.SignInByPasskey(t.Context(), phone, use(t, d, ceremony, err))
		if i == 0 && err != nil || i == 1 && !errors.Is(err, passkey.ErrCloned) {
			t.Errorf("device %d: %v", i, err)
		}
	}
	if events, err := s.Events(t.Context(), principal.Operator{}, audit.Query{UserID: u.ID, Type: "passkey_cloned"}); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// Pages of the base URL and of trusted origins below the domain may use passkeys;
// no others.
func TestOriginsOfPasskeys(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	for origin, good := range map[string]bool{
		"https://auth.example.test": true, "https://app.example.test": true,
		"http://app.example.test": false, "https://example.test.evil.test": false, "https://app.other.test": false, "null": false,
	} {
		ceremony, err := s.NewPasskey(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		device := &passkeytest.Authenticator{Origin: origin}
		response, err := device.Create(ceremony.Options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddPasskey(t.Context(), c, ceremony.State, response, ""); (err == nil) != good {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

// A service that is reached by an address has no passkeys, and all else works.
func TestNoPasskeysWithoutADomain(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t), func(c *authcore.Config) { c.BaseURL, c.CookieDomain = "http://127.0.0.1:3001", "" })
	register(t, s, ada)
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	if _, ok := s.PasskeyDomain(); ok {
		t.Error("an address is a domain")
	}
	_, fresh := s.NewPasskey(t.Context(), c)
	_, added := s.AddPasskey(t.Context(), c, "", nil, "")
	_, used := s.UsePasskey(t.Context(), "")
	_, _, signed := s.SignInByPasskey(t.Context(), laptop, authcore.PasskeyAnswer{})
	for _, err := range []error{fresh, added, used, signed} {
		if !errors.Is(err, authcore.ErrNoPasskeys) {
			t.Errorf("got %v", err)
		}
	}
}
