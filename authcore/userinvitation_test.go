package authcore_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

const week = 7 * 24 * time.Hour

// inviting are two edges where accounts are made by invitation only.
func inviting(t *testing.T) (one, other *authcore.Service, mails *mailbox, db *pgtest.Database) {
	t.Helper()
	db, mails = pgtest.New(t), new(mailbox)
	mailing := func(d *authcore.Deps) { d.Mailer = mails }
	only := func(c *authcore.Config) { c.InvitationRequired, c.VerificationRequired = true, true }
	return edgeWith(t, db, mailing, only), edgeWith(t, db, mailing, only), mails, db
}

func invite(t *testing.T, s *authcore.Service, mails *mailbox, email string, role principal.Role) string {
	t.Helper()
	mails.take()
	if _, err := s.InviteUser(t.Context(), principal.Operator{Name: "test"}, email, role, week, "en"); err != nil {
		t.Fatal(err)
	}
	n := mails.one(t, notice.AccountInvitation)
	if n.To != email || n.UserID != "" || n.ValidFor != week || n.Client.Language != "en" {
		t.Errorf("the mail is %+v", n)
	}
	return n.Token
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	s, other, mails, db := inviting(t)
	if _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: ada, Password: testPassword}); !errors.Is(err, authcore.ErrInvitationRequired) {
		t.Errorf("without one: %v", err)
	}
	token := invite(t, s, mails, ada, principal.RoleAdmin)
	for range 2 { // opening the page consumes nothing
		if i, err := other.Invitation(t.Context(), token); err != nil || i.Address != ada || i.Role != principal.RoleAdmin {
			t.Errorf("%+v, %v", i, err)
		}
	}
	for name, r := range map[string]authcore.Registration{
		"guessed":         {Email: ada, Invitation: strings.Repeat("A", 43)},
		"another address": {Email: "eve@example.test", Invitation: token},
		"no address":      {Email: "ada", Invitation: token},
		"cut":             {Email: ada, Invitation: token[:42]},
	} {
		r.Password = testPassword
		if _, err := s.Register(t.Context(), laptop, r); !errors.Is(err, authcore.ErrInvitation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	u, err := other.Register(t.Context(), laptop, authcore.Registration{Email: " ADA@example.test", Password: testPassword, Invitation: token})
	if err != nil || u.Email != ada || u.Role != principal.RoleAdmin || !u.EmailVerified {
		t.Fatalf("%+v, %v", u, err)
	}
	signIn(t, s, laptop, ada) // nothing is to be confirmed
	if _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: ada, Password: testPassword, Invitation: token}); !errors.Is(err, authcore.ErrInvitation) {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.InviteUser(t.Context(), principal.Operator{}, ada, principal.RoleUser, week, ""); !errors.Is(err, authcore.ErrEmailTaken) {
		t.Errorf("who has an account is invited: %v", err)
	}

	first := invite(t, s, mails, "bob@example.test", principal.RoleUser)
	second := invite(t, s, mails, "bob@example.test", principal.RoleUser)
	if _, err := s.Invitation(t.Context(), first); !errors.Is(err, authcore.ErrInvitation) {
		t.Errorf("one that another has replaced: %v", err)
	}
	change(t, db, `UPDATE auth.challenges SET expires_at = now() WHERE address = 'bob@example.test'`)
	if _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: "bob@example.test", Password: testPassword, Invitation: second}); !errors.Is(err, authcore.ErrInvitation) {
		t.Errorf("too old: %v", err)
	}
	// A token for something else invites nobody.
	if err := s.ForgotPassword(t.Context(), laptop, ada, "", ""); err != nil {
		t.Fatal(err)
	}
	mails.take()
	for range 3 {
		invite(t, s, mails, "bob@example.test", principal.RoleUser)
	}
	if _, err := s.InviteUser(t.Context(), principal.Operator{}, "bob@example.test", principal.RoleUser, week, ""); !errors.Is(err, challenge.ErrTooMany) {
		t.Errorf("the sixth in an hour: %v", err)
	}
	for name, tt := range map[string]struct {
		email string
		role  principal.Role
		valid time.Duration
	}{
		"address": {"no address", principal.RoleUser, week}, "role": {"c@example.test", "owner", week},
		"short": {"c@example.test", principal.RoleUser, time.Minute}, "long": {"c@example.test", principal.RoleUser, 365 * 24 * time.Hour},
	} {
		if _, err := s.InviteUser(t.Context(), principal.Operator{}, tt.email, tt.role, tt.valid, ""); !errors.Is(err, authcore.ErrInvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One invitation makes one account, however many edges are asked at once.
func TestInvitationAtOnce(t *testing.T) {
	t.Parallel()
	one, other, mails, db := inviting(t)
	token := invite(t, one, mails, ada, principal.RoleUser)
	var made, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		s := one
		if i%2 == 1 {
			s = other
		}
		all.Go(func() {
			switch _, err := s.Register(t.Context(), laptop, authcore.Registration{Email: ada, Password: testPassword, Invitation: token}); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, authcore.ErrInvitation):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || refused.Load() != 15 {
		t.Errorf("%d made, %d refused", made.Load(), refused.Load())
	}
	// The address is erased with the account.
	u, err := one.UserByIDOrEmail(t.Context(), principal.Operator{}, ada)
	if err != nil {
		t.Fatal(err)
	}
	if err := one.DeleteUser(t.Context(), principal.Operator{Name: "test"}, u.ID); err != nil {
		t.Fatal(err)
	}
	left, err := dbscope.Row[struct{ N int }](t.Context(), db.Pool, dbscope.System(), `SELECT count(*) AS n FROM auth.challenges WHERE address = $1`, ada)
	if err != nil || left.N != 0 {
		t.Errorf("%d challenges name the address, %v", left.N, err)
	}
}
