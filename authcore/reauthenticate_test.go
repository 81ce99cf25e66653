package authcore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/pgtest"
)

// old makes the sessions of a user ones that were authenticated long ago.
func old(t testing.TB, db *pgtest.Database, userID string) {
	t.Helper()
	change(t, db, `UPDATE auth.sessions SET authenticated_at = now() - interval '16 minutes' WHERE user_id = $1`, userID)
}

func TestReauthentication(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	s := edges[0]
	u := register(t, s, ada)
	b, err := s.SignInBrowser(t.Context(), laptop, ada, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{cookieOf(s, b.Token)}
	app, err := s.Exchange(t.Context(), laptop, cookies)
	if err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, s, app.AccessToken)
	if err := s.RequireRecent(t.Context(), c); err != nil {
		t.Errorf("right after the sign-in: %v", err)
	}
	old(t, db, u.ID)
	var wanted *authcore.ReauthenticationError
	if err := s.RequireRecent(t.Context(), c); !errors.As(err, &wanted) {
		t.Fatalf("16 minutes after: %v", err)
	}
	if diff := cmp.Diff([]authcore.FactorKind{authcore.FactorPassword}, wanted.Methods); diff != "" {
		t.Error(diff)
	}
	// An exchange, a refresh and what is derived are no proof.
	again, err := s.Exchange(t.Context(), laptop, cookies)
	if err != nil {
		t.Fatal(err)
	}
	if again, err = s.Refresh(t.Context(), laptop, again.RefreshToken); err != nil {
		t.Fatal(err)
	}
	if claims, err := s.Verify(t.Context(), again.AccessToken); err != nil || time.Since(claims.AuthTime) < 15*time.Minute || claims.Methods != "pwd" {
		t.Errorf("a derived session was authenticated at %v by %q, %v", claims.AuthTime, claims.Methods, err)
	}
	for name, tt := range map[string]struct {
		r    authcore.Reauthentication
		want error
	}{
		"nothing":             {authcore.Reauthentication{}, authcore.ErrInvalidInput},
		"a wrong password":    {authcore.Reauthentication{Password: "wrong password"}, authcore.ErrWrongPassword},
		"a code of the mails": {authcore.Reauthentication{Code: "12345678"}, authcore.ErrSecondFactorFailed},
	} {
		if _, err := s.Reauthenticate(t.Context(), c, tt.r); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if err := s.RequireRecent(t.Context(), c); !errors.As(err, &wanted) {
		t.Fatalf("after what was wrong: %v", err)
	}
	// Every edge has the session in memory.
	for _, edge := range edges {
		if live, err := edge.BrowserSession(t.Context(), cookies); err != nil || live.Session().ID != b.Session().ID {
			t.Fatal(err)
		}
	}
	done, err := s.Reauthenticate(t.Context(), c, authcore.Reauthentication{Password: testPassword})
	if err != nil || time.Since(done.At) > time.Minute || done.ExpiresIn != s.AccessTokenTTL() {
		t.Fatalf("%+v, %v", done, err)
	}
	if claims, err := s.Verify(t.Context(), done.AccessToken); err != nil || time.Since(claims.AuthTime) > time.Minute || claims.SessionID != c.SessionID {
		t.Errorf("the token says %+v, %v", claims, err)
	}
	if err := s.RequireRecent(t.Context(), c); err != nil {
		t.Errorf("after it: %v", err)
	}
	for i, edge := range edges {
		eventually(t, 5*time.Second, "the browser session is recent", func() bool {
			live, err := edge.BrowserSession(t.Context(), cookies)
			if err != nil {
				t.Fatal(err)
			}
			_, claims, err := edge.Bearer(t.Context(), live)
			return err == nil && time.Since(claims.AuthTime) < time.Minute
		})
		_ = i
	}
	// Another device is not.
	if err := s.RequireRecent(t.Context(), principal.Caller{UserID: u.ID, SessionID: "another", Client: phone}); !errors.As(err, &wanted) {
		t.Errorf("a session that is not there: %v", err)
	}
}

func TestSignInByMail(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	u := register(t, s, ada)
	proof := mails.one(t, notice.VerifyEmail)
	ask := func() notice.Notice {
		t.Helper()
		if err := s.MailSignIn(t.Context(), phone, ada, "https://app.example.test/here"); err != nil {
			t.Fatal(err)
		}
		return mails.one(t, notice.MagicLink)
	}
	if err := s.MailSignIn(t.Context(), phone, "nobody@example.test", ""); err != nil || len(mails.take()) != 0 {
		t.Errorf("an address without an account: %v", err)
	}
	if err := s.MailSignIn(t.Context(), phone, ada, ""); err != nil {
		t.Fatal(err)
	}
	mails.one(t, notice.VerifyEmail) // whoever registered may be somebody else
	if _, err := s.ConfirmEmail(t.Context(), laptop, proof.Token); err != nil {
		t.Fatal(err)
	}
	first := ask()
	if first.To != ada || len(first.Code) != 8 || first.ValidFor != 10*time.Minute || first.RedirectTo != "https://app.example.test/here" {
		t.Errorf("the mail is %+v", first)
	}
	second := ask()
	if _, err := s.SignInByLink(t.Context(), phone, first.Token); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("the link before: %v", err)
	}
	if _, err := s.SignInByCode(t.Context(), phone, ada, first.Code); !errors.Is(err, authcore.ErrInvalidCode) && first.Code != second.Code {
		t.Errorf("the code before: %v", err)
	}
	if _, err := s.ResetPassword(t.Context(), phone, second.Token, "another password"); !errors.Is(err, challenge.ErrUnknown) {
		t.Errorf("for another purpose: %v", err)
	}
	b, err := s.SignInByLink(t.Context(), phone, second.Token)
	if err != nil || b.User().ID != u.ID || b.Session().Methods != "email" {
		t.Fatalf("the link: %+v, %v", b.Session(), err)
	}
	if _, err := s.SignInByLink(t.Context(), phone, second.Token); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.SignInByCode(t.Context(), phone, ada, second.Code); !errors.Is(err, authcore.ErrInvalidCode) {
		t.Errorf("the code of a link that was used: %v", err)
	}
	third := ask()
	tokens, err := s.SignInByCode(t.Context(), phone, " ADA@example.test", third.Code[:4]+" "+third.Code[4:])
	if err != nil || tokens.User.ID != u.ID {
		t.Fatalf("the code: %v", err)
	}
	if _, err := s.SignInByCode(t.Context(), phone, ada, third.Code); !errors.Is(err, authcore.ErrInvalidCode) {
		t.Errorf("twice: %v", err)
	}
	// A mailed code renews a proof.
	c := callerOf(t, s, tokens.AccessToken)
	old(t, db, u.ID)
	fourth := ask()
	if _, err := s.Reauthenticate(t.Context(), c, authcore.Reauthentication{Code: fourth.Code}); err != nil {
		t.Errorf("a mailed code renews nothing: %v", err)
	}
	// Codes of other accounts, and too many wrong ones; strangers learn nothing.
	ask()
	for _, address := range []string{ada, "nobody@example.test"} {
		change(t, db, `INSERT INTO auth.lockouts (subject) VALUES ('one row for the deletion')`)
		change(t, db, `DELETE FROM auth.lockouts`)
		for i := range 6 {
			_, err := s.SignInByCode(t.Context(), phone, address, "00000000")
			if i < 5 && !errors.Is(err, authcore.ErrInvalidCode) || i == 5 && !errors.As(err, new(*authcore.LockedError)) {
				t.Errorf("%s, wrong code %d: %v", address, i, err)
			}
		}
	}
}

// A code that was mistyped five times is worth nothing, also where the lock of
// the account is over.
func TestMailedCodeHasFiveTries(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	if err := s.MailSignIn(t.Context(), phone, ada, ""); err != nil {
		t.Fatal(err)
	}
	mail := mails.one(t, notice.MagicLink)
	for range 5 {
		if _, err := s.SignInByCode(t.Context(), phone, ada, "00000000"); !errors.Is(err, authcore.ErrInvalidCode) {
			t.Fatal(err)
		}
	}
	change(t, db, `DELETE FROM auth.lockouts`)
	if _, err := s.SignInByCode(t.Context(), phone, ada, mail.Code); !errors.Is(err, authcore.ErrInvalidCode) {
		t.Errorf("the sixth try: %v", err)
	}
	if _, err := s.SignInByLink(t.Context(), phone, mail.Token); err != nil {
		t.Errorf("the link of the same mail: %v", err)
	}
}
