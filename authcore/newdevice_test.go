package authcore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/preference"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/pgtest"
)

// told is an edge whose mails are kept, and an account with a proven address.
func told(t *testing.T) (*authcore.Service, *mailbox, *pgtest.Database) {
	t.Helper()
	db, mails := pgtest.New(t), new(mailbox)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails })
	register(t, s, ada)
	change(t, db, `UPDATE auth.users SET email_verified = true`)
	mails.take()
	return s, mails, db
}

func TestSignInFromANewDeviceIsTold(t *testing.T) {
	t.Parallel()
	s, mails, db := told(t)
	tokens := signIn(t, s, laptop, ada) // the account's first
	if got := mails.take(); len(got) != 0 {
		t.Errorf("the first sign-in is told: %+v", got)
	}
	signIn(t, s, phone, ada)
	if mail := mails.one(t, notice.NewDevice); mail.To != ada || mail.Name != "Ada" || mail.Client.DeviceName != "My phone" || mail.Client.IP != phone.IP {
		t.Errorf("the mail is %+v", mail)
	}
	for _, known := range []principal.Client{phone, laptop} {
		signIn(t, s, known, ada)
	}
	if _, err := s.SignInBrowser(t.Context(), laptop, ada, testPassword, true); err != nil {
		t.Fatal(err)
	}
	if got := mails.take(); len(got) != 0 {
		t.Errorf("a known device is told: %+v", got)
	}
	// A client that names no device is known by its agent, and by no device's.
	bot := principal.Client{IP: phone.IP, UserAgent: "Bot/1.0"}
	signIn(t, s, bot, ada)
	mails.one(t, notice.NewDevice)
	signIn(t, s, bot, ada)
	if got := mails.take(); len(got) != 0 {
		t.Errorf("a known agent is told: %+v", got)
	}
	twin := phone
	twin.DeviceID = "another with the agent of the phone"
	signIn(t, s, twin, ada)
	mails.one(t, notice.NewDevice)

	caller := callerOf(t, s, tokens.AccessToken)
	if _, err := s.ChangeSettings(t.Context(), caller, func(set *preference.Set) { set.TellNewDevice(false) }); err != nil {
		t.Fatal(err)
	}
	signIn(t, s, principal.Client{DeviceID: "tablet"}, ada)
	if got := mails.take(); len(got) != 0 {
		t.Errorf("who does not want to know is told: %+v", got)
	}
	if _, err := s.ChangeSettings(t.Context(), caller, func(set *preference.Set) { set.TellNewDevice(true) }); err != nil {
		t.Fatal(err)
	}
	change(t, db, `UPDATE auth.users SET email_verified = false`)
	signIn(t, s, principal.Client{DeviceID: "car"}, ada)
	if got := mails.take(); len(got) != 0 {
		t.Errorf("an address that nobody has proven is told: %+v", got)
	}
	change(t, db, `UPDATE auth.users SET email_verified = true`)
	signIn(t, s, principal.Client{DeviceID: "fridge"}, ada)
	mails.one(t, notice.NewDevice)
}

// brokenMail takes no mail.
type brokenMail struct{ kind notice.Kind }

var errNoMail = errors.New("no mail")

func (b brokenMail) PutTx(_ context.Context, _ pgx.Tx, n notice.Notice) error {
	if n.Kind == b.kind {
		return errNoMail
	}
	return nil
}

func (brokenMail) Wake() {}

// The mail commits with its cause, or neither does.
func TestNewDeviceAndItsMailAreOne(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = brokenMail{notice.NewDevice} })
	register(t, s, ada)
	change(t, db, `UPDATE auth.users SET email_verified = true`)
	signIn(t, s, laptop, ada)
	if _, err := s.SignIn(t.Context(), phone, ada, testPassword); !errors.Is(err, errNoMail) {
		t.Errorf("got %v", err)
	}
	if got := names(t, db, `SELECT device_id AS name FROM auth.sessions`); !slices.Equal(got, []string{"laptop"}) {
		t.Errorf("sessions of %q", got)
	}
}

func TestALockIsTold(t *testing.T) {
	t.Parallel()
	s, mails, db := told(t)
	stranger := principal.Client{IP: phone.IP, UserAgent: "Guess/1.0"}
	guess := func(email string) {
		t.Helper()
		for range 10 {
			if _, err := s.SignIn(t.Context(), stranger, email, wrongPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
				t.Fatal(err)
			}
		}
	}
	guess("nobody@example.test")
	if got := mails.take(); len(got) != 0 {
		t.Errorf("nobody is told: %+v", got)
	}
	guess(ada)
	if mail := mails.one(t, notice.AccountLocked); mail.To != ada || mail.Client.UserAgent != stranger.UserAgent {
		t.Errorf("the mail is %+v", mail)
	}
	// Whoever keeps at it does not fill the mailbox.
	later(t, db, 16*time.Minute)
	guess(ada)
	if got := mails.take(); len(got) != 0 {
		t.Errorf("the second lock of a day is told: %+v", got)
	}
	later(t, db, 25*time.Hour)
	guess(ada)
	mails.one(t, notice.AccountLocked)
	later(t, db, 25*time.Hour)
	change(t, db, `UPDATE auth.users SET email_verified = false`)
	guess(ada)
	if got := mails.take(); len(got) != 0 {
		t.Errorf("an address that nobody has proven is told: %+v", got)
	}
}

func TestALockByCodesIsTold(t *testing.T) {
	t.Parallel()
	s, mails, _ := told(t)
	for i := range 5 {
		if _, err := s.SignInByCode(t.Context(), phone, ada, "00000000"); !errors.Is(err, authcore.ErrInvalidCode) {
			t.Fatalf("try %d: %v", i+1, err)
		}
	}
	mails.one(t, notice.AccountLocked)
}

// A mail is in the language that its user has chosen, whoever causes it.
func TestMailsAreInTheUsersLanguage(t *testing.T) {
	t.Parallel()
	s, mails, _ := told(t)
	caller := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	stranger := principal.Client{Language: "en"}
	forgot := func() notice.Notice {
		t.Helper()
		if err := s.ForgotPassword(t.Context(), stranger, ada, "", ""); err != nil {
			t.Fatal(err)
		}
		return mails.one(t, notice.ResetPassword)
	}
	if _, err := s.ChangeSettings(t.Context(), caller, func(set *preference.Set) {
		set.MergeGlobal(preference.Object{"theme": preference.Object{"mode": "dark"}})
	}); err != nil {
		t.Fatal(err)
	}
	if mail := forgot(); mail.Language != "" || mail.Client.Language != "en" {
		t.Errorf("nobody has chosen %q", mail.Language)
	}
	if _, err := s.ChangeSettings(t.Context(), caller, func(set *preference.Set) { set.SetLocale("de-AT") }); err != nil {
		t.Fatal(err)
	}
	if mail := forgot(); mail.Language != "de-AT" {
		t.Errorf("the mail is in %q", mail.Language)
	}
	if err := s.DeleteAccount(t.Context(), caller, testPassword, ""); err != nil {
		t.Fatal(err)
	}
	if mail := mails.one(t, notice.AccountDeleted); mail.Language != "de-AT" {
		t.Errorf("the receipt is in %q", mail.Language)
	}
}

func TestPendingEmailIsTheNewestOne(t *testing.T) {
	t.Parallel()
	s, _, _ := told(t)
	caller := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	for _, want := range []string{"", "one@example.test", "two@example.test"} {
		if want != "" {
			if err := s.ChangeEmail(t.Context(), caller, want, ""); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.PendingEmail(t.Context(), caller); err != nil || got != want {
			t.Errorf("pending %q, %v, want %q", got, err, want)
		}
	}
}
