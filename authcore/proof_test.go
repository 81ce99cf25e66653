package authcore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// mailbox takes notices, as an outbox does. What is rolled back is kept too: the
// tests below look at what a right token does.
type mailbox struct {
	mu      sync.Mutex
	notices []notice.Notice
}

func (m *mailbox) PutTx(_ context.Context, _ pgx.Tx, n notice.Notice) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices = append(m.notices, n)
	return nil
}

func (*mailbox) Wake() {}

// take empties the mailbox.
func (m *mailbox) take() []notice.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.notices
	m.notices = nil
	return all
}

// one is the only mail there is, of the kind.
func (m *mailbox) one(t *testing.T, kind notice.Kind) notice.Notice {
	t.Helper()
	all := m.take()
	if len(all) != 1 || all[0].Kind != kind {
		t.Fatalf("the mails are %+v, want one of %s", all, kind)
	}
	return all[0]
}

// strict is an edge where addresses must be proven.
func strict(t *testing.T) (*authcore.Service, *mailbox, *pgtest.Database) {
	t.Helper()
	db, mails := pgtest.New(t), new(mailbox)
	return edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails }, func(c *authcore.Config) { c.VerificationRequired = true }), mails, db
}

const ada = "ada@example.test"

func TestProofOfAddress(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	u := register(t, s, ada)
	link := mails.one(t, notice.VerifyEmail)
	if link.To != ada || link.Name != "Ada" || link.ValidFor != 24*time.Hour || link.Client.UserAgent != laptop.UserAgent {
		t.Errorf("the mail is %+v", link)
	}
	if _, err := s.SignIn(t.Context(), laptop, ada, testPassword); !errors.Is(err, authcore.ErrEmailNotVerified) {
		t.Errorf("before: %v", err)
	}
	if _, err := s.SignInBrowser(t.Context(), laptop, ada, testPassword, true); !errors.Is(err, authcore.ErrEmailNotVerified) {
		t.Errorf("before, in a browser: %v", err)
	}
	if _, err := s.SignIn(t.Context(), laptop, ada, "wrong password"); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("before, with a wrong password: %v", err)
	}
	for name, token := range map[string]string{"empty": "", "truncated": link.Token[:20], "another": "A" + link.Token[1:] + "A"} {
		if _, err := s.ConfirmEmail(t.Context(), laptop, token); !errors.Is(err, challenge.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.ResetPassword(t.Context(), laptop, link.Token, "another password"); !errors.Is(err, challenge.ErrUnknown) {
		t.Errorf("as a token of another purpose: %v", err)
	}
	for round := range 2 { // a link that is opened twice works for the person
		done, err := s.ConfirmEmail(t.Context(), phone, link.Token)
		if err != nil || done.User.ID != u.ID || !done.User.EmailVerified {
			t.Fatalf("round %d: %+v, %v", round, done, err)
		}
	}
	if tokens := signIn(t, s, laptop, ada); !tokens.User.EmailVerified {
		t.Error("the sign-in does not know of the proof")
	}
	events, err := s.Events(t.Context(), principal.Operator{}, audit.Query{UserID: u.ID, Type: "email_verified"})
	if err != nil || len(events) != 1 {
		t.Errorf("%d events of the proof, %v", len(events), err)
	}
}

// Whoever registers with an address that has an account learns nothing, and the
// owner is told.
func TestRegistrationTellsNothing(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	first := register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	again, err := s.Register(t.Context(), phone, authcore.Registration{Email: "ADA@example.test", Password: "of a stranger", Name: "Eve"})
	if err != nil || again.ID == first.ID || again.Email != ada || again.Name != "Eve" || again.EmailVerified || again.CreatedAt.IsZero() {
		t.Errorf("the second registration: %+v, %v", again, err)
	}
	if n := mails.one(t, notice.AccountExists); n.To != ada || n.Name != "Ada" || n.Token != "" || n.Client.UserAgent != phone.UserAgent {
		t.Errorf("the mail is %+v", n)
	}
	signIn(t, s, laptop, ada)
	if _, err := s.SignIn(t.Context(), phone, ada, "of a stranger"); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("the stranger signs in: %v", err)
	}
	for range 10 {
		if _, err := s.Register(t.Context(), phone, authcore.Registration{Email: ada, Password: "of a stranger"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(mails.take()); n != 4 {
		t.Errorf("%d more mails within the hour, want 4", n)
	}
	if _, err := s.Register(t.Context(), phone, authcore.Registration{Email: ada, Password: "short"}); !errors.As(err, new(*password.Error)) {
		t.Errorf("a short password: %v", err)
	}
}

// The owner of an address whom an operator has shut out is told nothing either.
func TestRegistrationOfADisabledAccount(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	u := register(t, s, ada)
	mails.take()
	if _, err := s.SetDisabled(t.Context(), principal.Operator{Name: "test"}, u.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Register(t.Context(), phone, authcore.Registration{Email: ada, Password: "of a stranger"}); err != nil || len(mails.take()) != 0 {
		t.Errorf("somebody was told: %v", err)
	}
}

// Two registrations of one address before it is proven: the one counts whose own
// mail comes back, whoever was first.
func TestTheRegistrationWhoseMailComesBackCounts(t *testing.T) {
	t.Parallel()
	for name, owner := range map[string]int{"the first": 0, "the second": 1} {
		s, mails, _ := strict(t)
		passwords, names := []string{"the first password", "the second password"}, []string{"Eve", "Ada"}
		links := make([]notice.Notice, 2)
		for i := range links {
			if _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: ada, Password: passwords[i], Name: names[i]}); err != nil {
				t.Fatal(err)
			}
			if links[i] = mails.one(t, notice.VerifyEmail); links[i].Name != names[i] {
				t.Errorf("%s: mail %d is for %q", name, i, links[i].Name)
			}
		}
		if err := s.ResendVerification(t.Context(), laptop, ada, ""); err != nil {
			t.Fatal(err)
		}
		var to []string
		for _, n := range mails.take() {
			to = append(to, n.Name)
		}
		if slices.Sort(to); !slices.Equal(to, []string{"Ada", "Eve"}) {
			t.Errorf("%s: sent again for %q", name, to)
		}
		done, err := s.ConfirmEmail(t.Context(), laptop, links[owner].Token)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := s.SignIn(t.Context(), laptop, ada, passwords[owner]); err != nil {
			t.Errorf("%s: its password: %v", name, err)
		}
		if _, err := s.SignIn(t.Context(), laptop, ada, passwords[1-owner]); !errors.Is(err, authcore.ErrInvalidCredentials) {
			t.Errorf("%s: the other password: %v", name, err)
		}
		if _, err := s.ConfirmEmail(t.Context(), laptop, links[1-owner].Token); !errors.Is(err, challenge.ErrExpired) {
			t.Errorf("%s: the other link: %v", name, err)
		}
		u, err := s.UserByIDOrEmail(t.Context(), principal.Operator{}, done.User.ID)
		if err != nil || u.Name != names[owner] || !u.EmailVerified {
			t.Errorf("%s: the account is %+v, %v", name, u, err)
		}
	}
}

func TestRegistrationsAtOnceMakeOneAccount(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	for round := range 8 {
		email := fmt.Sprintf("ada%d@example.test", round)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: email, Password: testPassword}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		users, err := s.Users(t.Context(), principal.Operator{}, authcore.UserQuery{Search: email})
		if err != nil || len(users) != 1 {
			t.Errorf("%d accounts, %v", len(users), err)
		}
		if len(mails.take()) < 5 {
			t.Error("somebody got no mail")
		}
	}
}

func TestExpiredProof(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	register(t, s, ada)
	link := mails.one(t, notice.VerifyEmail)
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `UPDATE auth.challenges SET expires_at = now()`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, link.Token); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("late: %v", err)
	}
	if err := s.ResendVerification(t.Context(), laptop, ada, "https://chat.example.test"); err != nil {
		t.Fatal(err)
	}
	again := mails.one(t, notice.VerifyEmail)
	done, err := s.ConfirmEmail(t.Context(), laptop, again.Token)
	if err != nil || done.RedirectTo != "https://chat.example.test" {
		t.Errorf("the new link: %+v, %v", done, err)
	}
	if _, err := s.SignIn(t.Context(), laptop, ada, testPassword); err != nil {
		t.Errorf("the password of the registration: %v", err)
	}
	for _, email := range []string{ada, "nobody@example.test", "no address"} {
		if err := s.ResendVerification(t.Context(), laptop, email, ""); err != nil || len(mails.take()) != 0 {
			t.Errorf("%s: %v", email, err)
		}
	}
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	db, mails := pgtest.New(t), new(mailbox)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails })
	u := register(t, s, ada)
	mails.take()
	before := signIn(t, s, phone, ada)
	for range 10 {
		_, _ = s.SignIn(t.Context(), laptop, ada, "a wrong password")
	}
	if _, err := s.SignIn(t.Context(), laptop, ada, testPassword); !errors.As(err, new(*authcore.LockedError)) {
		t.Fatalf("the account is not locked: %v", err)
	}

	if err := s.ForgotPassword(t.Context(), laptop, "nobody@example.test", "", ""); err != nil || len(mails.take()) != 0 {
		t.Errorf("nobody's: %v", err)
	}
	if err := s.ForgotPassword(t.Context(), laptop, ada, "", ""); err != nil {
		t.Fatal(err)
	}
	old := mails.one(t, notice.ResetPassword)
	if err := s.ForgotPassword(t.Context(), laptop, ada, "https://chat.example.test", ""); err != nil {
		t.Fatal(err)
	}
	link := mails.one(t, notice.ResetPassword)
	if link.ValidFor != time.Hour || link.RedirectTo != "https://chat.example.test" || link.To != ada {
		t.Errorf("the mail is %+v", link)
	}
	const next = "a new and long password"
	for name, tt := range map[string]struct {
		token, next string
		want        error
	}{
		"older link": {old.Token, next, challenge.ErrExpired},
		"unknown":    {"nothing", next, challenge.ErrUnknown},
	} {
		if _, err := s.ResetPassword(t.Context(), laptop, tt.token, tt.next); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.ResetPassword(t.Context(), laptop, link.Token, "password"); !errors.As(err, new(*password.Error)) {
		t.Errorf("a common password: %v", err)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, link.Token); !errors.Is(err, challenge.ErrUnknown) {
		t.Errorf("as a token of another purpose: %v", err)
	}
	if _, err := s.ResetPassword(t.Context(), laptop, link.Token, next); err != nil {
		t.Fatal(err)
	}
	if n := mails.one(t, notice.PasswordChanged); n.To != ada || n.UserID != u.ID {
		t.Errorf("the mail is %+v", n)
	}
	if _, err := s.ResetPassword(t.Context(), laptop, link.Token, next); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.SignIn(t.Context(), laptop, ada, testPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("the old password: %v", err)
	}
	after, err := s.SignIn(t.Context(), laptop, ada, next)
	if err != nil || !after.User.EmailVerified {
		t.Errorf("the new password: %+v, %v", after.User, err)
	}
	if _, err := s.Verify(t.Context(), before.AccessToken); err == nil {
		t.Error("a token from before passes")
	}
	if _, err := s.Refresh(t.Context(), phone, before.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("a refresh token from before: %v", err)
	}
}

// A stranger who asks again and again neither fills the mailbox nor kills the
// link that was sent last.
func TestForgottenManyTimes(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	register(t, s, ada)
	mails.take()
	for range 8 {
		if err := s.ForgotPassword(t.Context(), phone, ada, "", ""); err != nil {
			t.Fatal(err)
		}
	}
	links := mails.take()
	if len(links) != 5 {
		t.Errorf("%d mails within the hour, want 5", len(links))
	}
	if _, err := s.ResetPassword(t.Context(), laptop, links[len(links)-1].Token, "a new and long password"); err != nil {
		t.Errorf("the last link: %v", err)
	}
}

// One link used by many at once changes the password once.
func TestResetAtOnce(t *testing.T) {
	t.Parallel()
	s, mails, _ := strict(t)
	register(t, s, ada)
	mails.take()
	if err := s.ForgotPassword(t.Context(), laptop, ada, "", ""); err != nil {
		t.Fatal(err)
	}
	link := mails.one(t, notice.ResetPassword)
	var mu sync.Mutex
	var right []string
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			next := "the password of many " + string(rune('a'+i))
			if _, err := s.ResetPassword(t.Context(), laptop, link.Token, next); err == nil {
				mu.Lock()
				right = append(right, next)
				mu.Unlock()
			} else if !errors.Is(err, challenge.ErrExpired) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(right) != 1 {
		t.Fatalf("%d succeeded", len(right))
	}
	if _, err := s.SignIn(t.Context(), laptop, ada, right[0]); err != nil {
		t.Error(err)
	}
}

// Another address of the account makes its links worthless, and so does its end.
func TestLinksAreBoundToTheAddress(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	u := register(t, s, ada)
	verify := mails.one(t, notice.VerifyEmail)
	if err := s.ForgotPassword(t.Context(), laptop, ada, "", ""); err != nil {
		t.Fatal(err)
	}
	reset := mails.one(t, notice.ResetPassword)
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `UPDATE auth.users SET email = 'new@example.test' WHERE id = $1`, u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, verify.Token); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("verify: %v", err)
	}
	if _, err := s.ResetPassword(t.Context(), laptop, reset.Token, "a new and long password"); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("reset: %v", err)
	}
	if err := s.DeleteUser(t.Context(), principal.Operator{Name: "test"}, u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, verify.Token); !errors.Is(err, challenge.ErrUnknown) {
		t.Errorf("verify, of a deleted account: %v", err)
	}
}

func TestPasswordChangeIsTold(t *testing.T) {
	t.Parallel()
	db, mails := pgtest.New(t), new(mailbox)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails })
	register(t, s, ada)
	mails.take()
	tokens := signIn(t, s, laptop, ada)
	c := principal.Caller{UserID: tokens.User.ID, Email: ada, Role: principal.RoleUser, SessionID: tokens.SessionID, Client: laptop}
	if err := s.ChangePassword(t.Context(), c, testPassword, "a new and long password"); err != nil {
		t.Fatal(err)
	}
	if n := mails.one(t, notice.PasswordChanged); n.To != ada {
		t.Errorf("the mail is %+v", n)
	}
}
