package authcore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/internal/pgtest"
)

// An invitation is for whoever has proven the address it was sent to.
func TestInvitations(t *testing.T) {
	t.Parallel()
	db, mails := pgtest.New(t), new(mailbox)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Mailer = mails })
	o := newTeam(t, s, db)
	mails.take()
	change(t, db, `UPDATE auth.users SET email_verified = false WHERE id = $1`, o.admin.User.ID)
	if _, err := s.Invite(t.Context(), o.admin.Caller, o.ID(), "guest@example.test", organization.RoleMember); !errors.Is(err, authcore.ErrEmailNotVerified) {
		t.Errorf("by who has proven no address: %v", err)
	}
	for email, want := range map[string]error{
		o.member.User.Email: organization.ErrAlreadyMember, "MEMBER@Example.test": organization.ErrAlreadyMember, "no address": authcore.ErrInvalidInput,
	} {
		if _, err := s.Invite(t.Context(), o.owner.Caller, o.ID(), email, organization.RoleMember); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", email, err, want)
		}
	}
	if _, err := s.Invite(t.Context(), o.owner.Caller, o.ID(), "guest@example.test", organization.RoleOwner); !errors.Is(err, authcore.ErrInvalidInput) {
		t.Errorf("as an owner: %v", err)
	}
	if sent := mails.take(); len(sent) > 0 {
		t.Errorf("refused, and mailed: %+v", sent)
	}

	i, err := s.Invite(t.Context(), o.owner.Caller, o.ID(), " Guest@Example.test ", organization.RoleAdmin)
	if err != nil || i.Email != "guest@example.test" || i.Role != organization.RoleAdmin || i.Status != organization.StatusPending || *i.InviterID != o.owner.User.ID {
		t.Fatalf("%+v, %v", i, err)
	}
	if left := time.Until(i.ExpiresAt); left < 47*time.Hour || left > 48*time.Hour+time.Minute {
		t.Errorf("it is good for %v", left)
	}
	n := mails.one(t, notice.Invitation)
	if n.To != "guest@example.test" || n.UserID != "" || n.Invitation.ID != i.ID || n.Invitation.OrganizationName != o.Name ||
		n.Invitation.InviterName != "owner" || n.ValidFor != 48*time.Hour || n.Client.IP.IsValid() || n.Client.UserAgent != "" {
		t.Errorf("the mail: %+v", n)
	}
	if _, err := s.Invite(t.Context(), o.owner.Caller, o.ID(), "guest@example.test", organization.RoleMember); !errors.Is(err, organization.ErrAlreadyInvited) {
		t.Errorf("twice: %v", err)
	}

	stranger := newColleague(t, s, db, "stranger")
	if _, err := s.AcceptInvitation(t.Context(), stranger.Caller, i.ID); !errors.Is(err, organization.ErrNotRecipient) {
		t.Errorf("accepted by a stranger: %v", err)
	}
	if _, err := s.EndInvitation(t.Context(), stranger.Caller, i.ID); !errors.Is(err, organization.ErrForbidden) {
		t.Errorf("ended by a stranger: %v", err)
	}
	if _, err := s.EndInvitation(t.Context(), o.member.Caller, i.ID); !errors.Is(err, organization.ErrForbidden) {
		t.Errorf("ended by a member: %v", err)
	}
	guest := newColleague(t, s, db, "guest")
	for _, proven := range []bool{false, true} {
		change(t, db, `UPDATE auth.users SET email_verified = $2 WHERE id = $1`, guest.User.ID, proven)
		own, err := s.OwnInvitations(t.Context(), guest.Caller)
		if err != nil || (len(own) == 1) != proven {
			t.Errorf("proven %v: %+v, %v", proven, own, err)
		}
		if proven {
			break
		}
		if _, err := s.AcceptInvitation(t.Context(), guest.Caller, i.ID); !errors.Is(err, authcore.ErrEmailNotVerified) {
			t.Errorf("accepted by who has not proven the address: %v", err)
		}
		if _, err := s.EndInvitation(t.Context(), guest.Caller, i.ID); !errors.Is(err, authcore.ErrEmailNotVerified) {
			t.Errorf("rejected by who has not proven the address: %v", err)
		}
	}
	done, err := s.AcceptInvitation(t.Context(), guest.Caller, i.ID)
	if err != nil || done.Invitation.Status != organization.StatusAccepted || done.Member.Role != organization.RoleAdmin || done.Member.UserID != guest.User.ID || done.Organization.ID != o.ID() {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := orgOf(t, s, done.AccessToken); got != o.ID()+" admin" {
		t.Errorf("the token says %q", got)
	}
	if _, err := s.AcceptInvitation(t.Context(), guest.Caller, i.ID); !errors.Is(err, organization.ErrInvitationNotFound) {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.EndInvitation(t.Context(), o.owner.Caller, i.ID); !errors.Is(err, organization.ErrInvitationNotFound) {
		t.Errorf("canceled after it: %v", err)
	}
	if list, err := s.Invitations(t.Context(), o.owner.Caller, o.ID()); err != nil || len(list) != 0 {
		t.Errorf("open still: %+v, %v", list, err)
	}

	// Rejected by the invited, canceled by an admin, and too old.
	for name, end := range map[string]func(organization.Invitation) (organization.Invitation, error){
		"rejected": func(i organization.Invitation) (organization.Invitation, error) {
			return s.EndInvitation(t.Context(), stranger.Caller, i.ID)
		},
		"canceled": func(i organization.Invitation) (organization.Invitation, error) {
			return s.EndInvitation(t.Context(), o.admin.Caller, i.ID)
		},
		"pending": func(i organization.Invitation) (organization.Invitation, error) {
			change(t, db, `UPDATE auth.invitations SET expires_at = now() WHERE id = $1`, i.ID)
			return i, nil
		},
	} {
		i, err := s.Invite(t.Context(), o.owner.Caller, o.ID(), stranger.User.Email, organization.RoleMember)
		if err != nil {
			t.Fatal(err)
		}
		ended, err := end(i)
		if err != nil || string(ended.Status) != name {
			t.Errorf("%s: %+v, %v", name, ended, err)
		}
		if _, err := s.AcceptInvitation(t.Context(), stranger.Caller, i.ID); !errors.Is(err, organization.ErrInvitationNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.AcceptInvitation(t.Context(), stranger.Caller, "nothing"); !errors.Is(err, organization.ErrInvitationNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

// However accepting, canceling and inviting interleave, an invitation leads to one
// thing, and an address to one membership.
func TestInvitationsAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	s := edges[0]
	o := newTeam(t, s, db)
	for round := range 8 {
		guest := newColleague(t, s, db, fmt.Sprintf("guest%d", round))
		var wg sync.WaitGroup
		made := make([]organization.Invitation, 4)
		for i := range made {
			wg.Go(func() {
				var err error
				by := []colleague{o.owner, o.admin}[i%2]
				if made[i], err = edges[i%2].Invite(t.Context(), by.Caller, o.ID(), guest.User.Email, organization.RoleMember); err != nil && !errors.Is(err, organization.ErrAlreadyInvited) {
					t.Errorf("invite: %v", err)
				}
			})
		}
		wg.Wait()
		var id string
		for _, i := range made {
			if id != "" && i.ID != "" {
				t.Errorf("round %d: two invitations", round)
			}
			id += i.ID
		}
		acts := []func(s *authcore.Service) error{
			func(s *authcore.Service) error {
				_, err := s.AcceptInvitation(t.Context(), guest.Caller, id)
				return err
			},
			func(s *authcore.Service) error {
				_, err := s.AcceptInvitation(t.Context(), guest.Caller, id)
				return err
			},
			func(s *authcore.Service) error {
				_, err := s.EndInvitation(t.Context(), o.admin.Caller, id)
				return err
			},
			func(s *authcore.Service) error { _, err := s.EndInvitation(t.Context(), guest.Caller, id); return err },
		}
		won := make([]bool, len(acts))
		for i, act := range acts {
			wg.Go(func() {
				err := act(edges[(i+round)%2])
				if won[i] = err == nil; err != nil && !errors.Is(err, organization.ErrInvitationNotFound) {
					t.Errorf("round %d, %d: %v", round, i, err)
				}
			})
		}
		wg.Wait()
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		members := names(t, db, `SELECT role AS name FROM auth.members WHERE organization_id = $1 AND user_id = $2`, o.ID(), guest.User.ID)
		if joined := won[0] || won[1]; n != 1 || joined != (len(members) == 1) || len(members) > 1 {
			t.Errorf("round %d: won %v, members %v", round, won, members)
		}
	}
}

// Neither members nor invitations, nor mails to one address, grow without bound.
func TestLimitsOfAnOrganization(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	o := newTeam(t, s, db)
	invite := func(id, email string) error {
		_, err := s.Invite(t.Context(), o.owner.Caller, id, email, organization.RoleMember)
		return err
	}
	guest := newColleague(t, s, db, "guest")
	i, err := s.Invite(t.Context(), o.owner.Caller, o.ID(), guest.User.Email, organization.RoleMember)
	if err != nil {
		t.Fatal(err)
	}
	// One of many organisations after the other may not fill a mailbox.
	var last error
	for n := range 6 {
		other, err := s.CreateOrganization(t.Context(), o.owner.Caller, organization.New{Name: fmt.Sprintf("Other %d", n)})
		if err != nil {
			t.Fatal(err)
		}
		if last = invite(other.ID, guest.User.Email); last != nil {
			break
		}
	}
	if !errors.Is(last, organization.ErrInvitedTooOften) {
		t.Errorf("many invitations to one address: %v", last)
	}

	change(t, db, `INSERT INTO auth.invitations (id, organization_id, email, role, expires_at)
		SELECT 'i' || n, $1, 'g' || n || '@example.test', 'member', now() + interval '1 day' FROM generate_series(1, $2::int) n`, o.ID(), organization.MaxPending-2)
	if err := invite(o.ID(), "hundredth@example.test"); err != nil {
		t.Errorf("the last one: %v", err)
	}
	if err := invite(o.ID(), "more@example.test"); !errors.Is(err, organization.ErrTooManyInvited) {
		t.Errorf("one more: %v", err)
	}
	change(t, db, `UPDATE auth.invitations SET status = 'canceled' WHERE organization_id = $1 AND id <> $2`, o.ID(), i.ID)
	if err := invite(o.ID(), "more@example.test"); err != nil {
		t.Errorf("after they were canceled: %v", err)
	}
	change(t, db, `INSERT INTO auth.users (id, name, email) SELECT 'u' || n, '', 'u' || n || '@example.test' FROM generate_series(1, $1::int) n`, organization.MaxMembers-3)
	change(t, db, `INSERT INTO auth.members (id, organization_id, user_id, role) SELECT 'm' || id, $1, id, 'member' FROM auth.users WHERE id ~ '^u[0-9]+$'`, o.ID())
	if err := invite(o.ID(), "again@example.test"); !errors.Is(err, organization.ErrFull) {
		t.Errorf("into a full organisation: %v", err)
	}
	if _, err := s.AcceptInvitation(t.Context(), guest.Caller, i.ID); !errors.Is(err, organization.ErrFull) {
		t.Errorf("into a full organisation: %v", err)
	}
	change(t, db, `DELETE FROM auth.members WHERE id = 'mu1'`)
	if _, err := s.AcceptInvitation(t.Context(), guest.Caller, i.ID); err != nil {
		t.Errorf("with a free place: %v", err)
	}
}

func TestOldInvitationsArePruned(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	o := newTeam(t, s, db)
	change(t, db, `INSERT INTO auth.invitations (id, organization_id, email, role, expires_at) VALUES
		('old', $1, 'a@example.test', 'member', now() - interval '31 days'), ('young', $1, 'b@example.test', 'member', now() - interval '29 days')`, o.ID())
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := names(t, db, `SELECT id AS name FROM auth.invitations WHERE id IN ('old', 'young')`); strings.Join(left, " ") != "young" {
		t.Errorf("left: %q", left)
	}
}

// An organisation is registered with its owner or not at all, and where addresses
// must be proven nobody learns which have an account.
func TestRegisterOrganization(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	registerTeam := func(email, name, password string) (authcore.User, organization.Organization) {
		t.Helper()
		u, o, err := s.RegisterOrganization(t.Context(), laptop, authcore.OrganizationRegistration{
			Registration: authcore.Registration{Email: email, Password: password, Name: "Ada"}, Organization: name,
		})
		if err != nil {
			t.Fatal(err)
		}
		return u, o
	}
	const all = `SELECT o.name || ' ' || o.slug || ' ' || m.role || ' ' || u.email AS name FROM auth.organizations AS o
		JOIN auth.members AS m ON m.organization_id = o.id JOIN auth.users AS u ON u.id = m.user_id ORDER BY 1`
	u, o := registerTeam(ada, "Engines", testPassword)
	first := mails.one(t, notice.VerifyEmail)
	if got := names(t, db, all); strings.Join(got, ", ") != "Engines engines owner "+ada || *o.Slug != "engines" {
		t.Errorf("at once: %q, told %+v", got, o)
	}
	if found := names(t, db, `SELECT id AS name FROM auth.organizations WHERE id = $1`, o.ID); len(found) != 1 {
		t.Error("the answer names another organisation")
	}
	if _, _, err := s.RegisterOrganization(t.Context(), laptop, authcore.OrganizationRegistration{
		Registration: authcore.Registration{Email: "bob@example.test", Password: testPassword}, Organization: "x",
	}); !errors.Is(err, organization.ErrInvalidInput) {
		t.Errorf("a short name: %v", err)
	}
	if _, _, err := s.RegisterOrganization(t.Context(), laptop, authcore.OrganizationRegistration{
		Registration: authcore.Registration{Email: "bob@example.test", Password: "short"}, Organization: "Bobs",
	}); err == nil {
		t.Error("a short password is taken")
	}
	if got := names(t, db, `SELECT email AS name FROM auth.users`); len(got) != 1 {
		t.Errorf("accounts %q", got)
	}

	// Somebody else registers with the address: it is theirs whose mail comes back.
	again, told := registerTeam(ada, "Engines", "of the owner of the address")
	second := mails.one(t, notice.VerifyEmail)
	if again.ID == u.ID || again.Email != ada || told.ID == o.ID || *told.Slug != "engines-2" {
		t.Errorf("the second is told %+v %+v", again, told)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, second.Token); err != nil {
		t.Fatal(err)
	}
	if got := names(t, db, all); strings.Join(got, ", ") != "Engines engines owner "+ada {
		t.Errorf("proven: %q", got)
	}
	if found := names(t, db, `SELECT id AS name FROM auth.organizations`); strings.Join(found, "") != told.ID {
		t.Errorf("the organisation is %q, told %s", found, told.ID)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, first.Token); err == nil {
		if found := names(t, db, `SELECT id AS name FROM auth.organizations`); strings.Join(found, "") != told.ID {
			t.Errorf("the dead registration came back: %q", found)
		}
	}
	third, elsewhere := registerTeam(ada, "Evil", "of a stranger again")
	mails.one(t, notice.AccountExists)
	if third.ID == u.ID || third.EmailVerified || elsewhere.Name != "Evil" || *elsewhere.Slug != "evil" {
		t.Errorf("the third is told %+v %+v", third, elsewhere)
	}
	if got := names(t, db, all); len(got) != 1 {
		t.Errorf("made: %q", got)
	}

	// Where nothing need be proven, who asks is told, and nothing is made.
	open := edge(t, db)
	if _, _, err := open.RegisterOrganization(t.Context(), laptop, authcore.OrganizationRegistration{
		Registration: authcore.Registration{Email: ada, Password: testPassword}, Organization: "More",
	}); !errors.Is(err, authcore.ErrEmailTaken) {
		t.Errorf("a taken address: %v", err)
	}
	if got := names(t, db, all); len(got) != 1 {
		t.Errorf("made: %q", got)
	}
}

// The first registration keeps what it has made.
func TestConfirmedRegistrationKeepsItsOrganization(t *testing.T) {
	t.Parallel()
	s, mails, db := strict(t)
	_, o, err := s.RegisterOrganization(t.Context(), laptop, authcore.OrganizationRegistration{
		Registration: authcore.Registration{Email: ada, Password: testPassword}, Organization: "Engines",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ConfirmEmail(t.Context(), laptop, mails.one(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	if found := names(t, db, `SELECT id AS name FROM auth.organizations`); strings.Join(found, "") != o.ID {
		t.Errorf("there is %q, registered was %s", found, o.ID)
	}
	c := callerOf(t, s, signIn(t, s, laptop, ada).AccessToken)
	if list, err := s.Organizations(t.Context(), c); err != nil || len(list) != 1 || list[0].ID != o.ID {
		t.Errorf("%+v, %v", list, err)
	}
}
