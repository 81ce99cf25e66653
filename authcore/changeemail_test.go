package authcore_test

import (
	"errors"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
)

const countess = "countess@example.test"

// moved is an account whose address was changed, and the token that undoes it.
func moved(t *testing.T) (s *authcore.Service, mails *mailbox, c principal.Caller, before authcore.Tokens, undo string) {
	t.Helper()
	s, mails, _ = strict(t)
	register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	before = signIn(t, s, laptop, ada)
	c = callerOf(t, s, before.AccessToken)
	undo = move(t, s, mails, c, countess)
	return s, mails, c, before, undo
}

func move(t *testing.T, s *authcore.Service, mails *mailbox, c principal.Caller, to string) (undo string) {
	t.Helper()
	if err := s.ChangeEmail(t.Context(), c, to, ""); err != nil {
		t.Fatal(err)
	}
	asked := mails.take()
	if len(asked) != 2 || asked[0].Kind != notice.ConfirmAddress || asked[0].To != to ||
		asked[1].Kind != notice.AddressChanging || asked[1].Token != "" {
		t.Fatalf("the mails of the request are %+v", asked)
	}
	if _, err := s.ConfirmEmailChange(t.Context(), phone, asked[0].Token); err != nil {
		t.Fatal(err)
	}
	told := mails.one(t, notice.AddressChanging)
	if told.To != asked[1].To || told.Token == "" || told.ValidFor != 7*24*time.Hour {
		t.Fatalf("the mail of the change is %+v", told)
	}
	if done, err := s.ConfirmEmailChange(t.Context(), phone, asked[0].Token); err != nil || done.User.Email != to {
		t.Errorf("a link that is opened twice: %+v, %v", done, err)
	}
	if n := len(mails.take()); n != 0 {
		t.Errorf("it mailed %d times more", n)
	}
	return told.Token
}

func TestChangeOfAddress(t *testing.T) {
	t.Parallel()
	s, _, _, before, _ := moved(t)
	after, err := s.Refresh(t.Context(), laptop, before.RefreshToken)
	if err != nil || after.User.Email != countess || !after.User.EmailVerified {
		t.Errorf("the session before: %+v, %v", after.User, err)
	}
	if _, err := s.Verify(t.Context(), before.AccessToken); err == nil {
		t.Error("a token that names the old address is taken")
	}
	signIn(t, s, laptop, countess)
	if _, err := s.SignIn(t.Context(), laptop, ada, testPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("by the old address: %v", err)
	}
}

func TestUndoChangeOfAddress(t *testing.T) {
	t.Parallel()
	s, mails, _, before, undo := moved(t)
	for round := range 2 {
		u, err := s.UndoEmailChange(t.Context(), phone, undo)
		if err != nil || u.Email != ada {
			t.Fatalf("round %d: %+v, %v", round, u, err)
		}
	}
	if n := mails.one(t, notice.AddressChangeUndone); n.To != ada {
		t.Errorf("the mail is %+v", n)
	}
	if _, err := s.Refresh(t.Context(), laptop, before.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("the session before: %v", err)
	}
	signIn(t, s, laptop, ada)
}

// Whoever took an account over cannot outrun its owner by a second change, nor
// take it back when the owner has it again.
func TestUndoOutranksLaterChanges(t *testing.T) {
	t.Parallel()
	s, mails, _, _, first := moved(t)
	c := callerOf(t, s, signIn(t, s, laptop, countess).AccessToken)
	second := move(t, s, mails, c, "mallory@example.test")
	if u, err := s.UndoEmailChange(t.Context(), phone, second); err != nil || u.Email != countess {
		t.Fatalf("the later one: %+v, %v", u, err)
	}
	if u, err := s.UndoEmailChange(t.Context(), phone, first); err != nil || u.Email != ada {
		t.Fatalf("the earlier one: %+v, %v", u, err)
	}
	s, mails, _, _, first = moved(t)
	c = callerOf(t, s, signIn(t, s, laptop, countess).AccessToken)
	second = move(t, s, mails, c, "mallory@example.test")
	if _, err := s.UndoEmailChange(t.Context(), phone, first); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UndoEmailChange(t.Context(), phone, second); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("the later one after the earlier: %v", err)
	}
	signIn(t, s, laptop, ada)
}

func TestRefusedChangesOfAddress(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	u := register(t, s, ada)
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	bob := register(t, s, "bob@example.test")
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	if err := s.ChangeEmail(t.Context(), c, "no address", ""); !errors.Is(err, authcore.ErrInvalidInput) {
		t.Errorf("no address: %v", err)
	}
	if err := s.ChangeEmail(t.Context(), c, "ADA@example.test", ""); !errors.Is(err, authcore.ErrSameEmail) {
		t.Errorf("the same: %v", err)
	}
	if err := s.ChangeEmail(t.Context(), c, bob.Email, ""); err != nil {
		t.Errorf("one with an account: %v", err)
	}
	if told := mails.take(); len(told) != 2 || told[0].Kind != notice.AccountExists || told[0].To != bob.Email {
		t.Errorf("its owner is told %+v", told)
	}
	// An address that somebody registers while the link is on its way.
	if err := s.ChangeEmail(t.Context(), c, countess, ""); err != nil {
		t.Fatal(err)
	}
	link := mails.take()[0].Token
	register(t, s, countess)
	if _, err := s.ConfirmEmailChange(t.Context(), laptop, link); !errors.Is(err, authcore.ErrEmailTaken) {
		t.Errorf("taken meanwhile: %v", err)
	}
	// A link that another request has overtaken.
	mails.take()
	if err := s.ChangeEmail(t.Context(), c, "third@example.test", ""); err != nil {
		t.Fatal(err)
	}
	overtaken := mails.take()[0].Token
	if err := s.ChangeEmail(t.Context(), c, "fourth@example.test", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmEmailChange(t.Context(), laptop, overtaken); !errors.Is(err, challenge.ErrExpired) {
		t.Errorf("overtaken: %v", err)
	}
	if _, err := s.UndoEmailChange(t.Context(), laptop, mails.take()[0].Token); !errors.Is(err, challenge.ErrUnknown) {
		t.Errorf("for another purpose: %v", err)
	}
	old(t, db, u.ID)
	if err := s.ChangeEmail(t.Context(), c, "fifth@example.test", ""); !errors.As(err, new(*authcore.ReauthenticationError)) {
		t.Errorf("without a recent proof: %v", err)
	}
	signIn(t, s, laptop, ada)
}
