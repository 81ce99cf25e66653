package authcore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/membership"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// colleague is an account with a proven address and an app's session.
type colleague struct {
	authcore.User
	principal.Caller
	tokens authcore.Tokens
}

func newColleague(t testing.TB, s *authcore.Service, db *pgtest.Database, name string) colleague {
	t.Helper()
	u := register(t, s, name+"@example.test")
	change(t, db, `UPDATE auth.users SET email_verified = true, name = $2 WHERE id = $1`, u.ID, name)
	tokens := signIn(t, s, laptop, u.Email)
	return colleague{tokens.User, callerOf(t, s, tokens.AccessToken), tokens}
}

// team is an organisation with an owner, an admin and a member.
type team struct {
	organization.Organization
	owner, admin, member colleague
}

func newTeam(t testing.TB, s *authcore.Service, db *pgtest.Database) team {
	t.Helper()
	made := team{owner: newColleague(t, s, db, "owner"), admin: newColleague(t, s, db, "admin"), member: newColleague(t, s, db, "member")}
	var err error
	if made.Organization, err = s.CreateOrganization(t.Context(), made.owner.Caller, organization.New{Name: "Analytical Engines"}); err != nil {
		t.Fatal(err)
	}
	join(t, s, made.owner, made.ID(), made.admin, organization.RoleAdmin)
	join(t, s, made.owner, made.ID(), made.member, organization.RoleMember)
	return made
}

func (o team) ID() string { return o.Organization.ID }

// join has somebody invited and accept.
func join(t testing.TB, s *authcore.Service, by colleague, id string, who colleague, role organization.Role) membership.AcceptedInvitation {
	t.Helper()
	i, err := s.Invite(t.Context(), by.Caller, id, who.User.Email, role)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.AcceptInvitation(t.Context(), who.Caller, i.ID)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// memberID is what a user is called in an organisation.
func memberID(t testing.TB, db *pgtest.Database, id, userID string) string {
	t.Helper()
	list := names(t, db, `SELECT id AS name FROM auth.members WHERE organization_id = $1 AND user_id = $2`, id, userID)
	if len(list) != 1 {
		t.Fatalf("%d memberships", len(list))
	}
	return list[0]
}

// roles are those of an organisation's members by name, in the order of the names.
func roles(t testing.TB, db *pgtest.Database, id string) string {
	t.Helper()
	return strings.Join(names(t, db, `SELECT u.name || ' ' || m.role AS name FROM auth.members AS m JOIN auth.users AS u ON u.id = m.user_id
		WHERE m.organization_id = $1 ORDER BY u.name`, id), ", ")
}

// orgOf is what a token says of the organisation.
func orgOf(t testing.TB, s *authcore.Service, accessToken string) string {
	t.Helper()
	c, err := s.Verify(t.Context(), accessToken)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(c.OrganizationID + " " + c.OrganizationRole)
}

func TestMakingAnOrganization(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	c := callerOf(t, s, signIn(t, s, laptop, u.Email).AccessToken)
	if _, err := s.CreateOrganization(t.Context(), c, organization.New{Name: "Acme"}); !errors.Is(err, authcore.ErrEmailNotVerified) {
		t.Errorf("with an address that is not proven: %v", err)
	}
	change(t, db, `UPDATE auth.users SET email_verified = true WHERE id = $1`, u.ID)
	if _, err := s.CreateOrganization(t.Context(), c, organization.New{Name: "x"}); !errors.Is(err, organization.ErrInvalidInput) {
		t.Errorf("with a short name: %v", err)
	}

	// Everybody asks for more than there may be, under one name.
	var wg sync.WaitGroup
	slugs := make([]string, 2*organization.MaxPerUser)
	refused := make([]error, len(slugs))
	for i := range slugs {
		wg.Go(func() {
			o, err := s.CreateOrganization(t.Context(), c, organization.New{Name: "Acme & Co", Metadata: []byte(`{"n": 1}`)})
			if refused[i] = err; err == nil {
				slugs[i] = *o.Slug
			}
		})
	}
	wg.Wait()
	made := slices.DeleteFunc(slugs, func(slug string) bool { return slug == "" })
	slices.Sort(made)
	if len(made) != organization.MaxPerUser || len(slices.Compact(slices.Clone(made))) != len(made) || made[0] != "acme-co" {
		t.Errorf("made %q", made)
	}
	for _, err := range refused {
		if err != nil && !errors.Is(err, organization.ErrTooMany) {
			t.Errorf("refused: %v", err)
		}
	}
	list, err := s.Organizations(t.Context(), c)
	if err != nil || len(list) != organization.MaxPerUser || list[0].Name != "Acme & Co" || string(list[0].Metadata) != `{"n": 1}` {
		t.Errorf("the list: %+v, %v", list, err)
	}

	// People race for one slug, too: who asked for it by name learns that, others get another.
	others := make([]colleague, 6)
	for i := range others {
		others[i] = newColleague(t, s, db, fmt.Sprintf("other%d", i))
	}
	taken := make([]error, len(others))
	for i, who := range others {
		wg.Go(func() {
			n := organization.New{Name: "Wanted"}
			if i%2 == 0 {
				n.Slug = "wanted"
			}
			_, taken[i] = s.CreateOrganization(t.Context(), who.Caller, n)
		})
	}
	wg.Wait()
	got := names(t, db, `SELECT slug AS name FROM auth.organizations WHERE name = 'Wanted' ORDER BY slug`)
	for i, err := range taken {
		if i%2 == 1 && err != nil || i%2 == 0 && err != nil && !errors.Is(err, organization.ErrSlugTaken) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if got[0] != "wanted" || len(got) < 3 {
		t.Errorf("slugs %q", got)
	}
}

// What a session says of the organisation is in the tokens of every way to get
// one, and is the membership as it is, not what was.
func TestTheActiveOrganization(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, other := edge(t, db), edge(t, db)
	o := newTeam(t, s, db)
	in := o.ID() + " admin"
	who := o.admin
	if _, err := s.SetActiveOrganization(t.Context(), who.Caller, "nothing"); !errors.Is(err, organization.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	stranger := newColleague(t, s, db, "stranger")
	if _, err := s.SetActiveOrganization(t.Context(), stranger.Caller, o.ID()); !errors.Is(err, organization.ErrNotFound) {
		t.Errorf("somebody else's: %v", err)
	}

	// Accepting has made it the active one of that session; leaving it changes no other.
	refreshed, err := other.Refresh(t.Context(), laptop, who.tokens.RefreshToken)
	if err != nil || orgOf(t, s, refreshed.AccessToken) != in {
		t.Errorf("after accepting: %q, %v", orgOf(t, s, refreshed.AccessToken), err)
	}
	if got := orgOf(t, s, signIn(t, s, laptop, who.User.Email).AccessToken); got != "" {
		t.Errorf("another sign-in begins in %q", got)
	}
	none, err := s.SetActiveOrganization(t.Context(), who.Caller, "")
	if err != nil || none.Organization != nil || orgOf(t, other, none.AccessToken) != "" {
		t.Errorf("without one: %+v, %v", none, err)
	}
	again, err := other.SetActiveOrganization(t.Context(), who.Caller, o.ID())
	if err != nil || again.Organization.Name != o.Name || orgOf(t, s, again.AccessToken) != in {
		t.Errorf("with it again: %+v, %v", again, err)
	}

	// A browser session, in memory on two edges, and what is exchanged from it.
	browser, err := s.SignInBrowser(t.Context(), laptop, who.User.Email, testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookies := []string{cookieOf(s, browser.Token)}
	byCookie := func(s *authcore.Service) string {
		t.Helper()
		live, err := s.BrowserSession(t.Context(), cookies)
		if err != nil {
			t.Fatal(err)
		}
		bearer, claims, err := s.Bearer(t.Context(), live)
		if err != nil {
			t.Fatal(err)
		}
		if said := orgOf(t, s, bearer); said != strings.TrimSpace(claims.OrganizationID+" "+claims.OrganizationRole) {
			t.Errorf("the token says %q, the claims %+v", said, claims)
		}
		return orgOf(t, s, bearer)
	}
	for _, at := range []*authcore.Service{s, other} {
		if got := byCookie(at); got != "" {
			t.Errorf("a new browser session is in %q", got)
		}
	}
	inBrowser := who.Caller
	inBrowser.SessionID = browser.Session().ID
	if _, err := s.SetActiveOrganization(t.Context(), inBrowser, o.ID()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []*authcore.Service{s, other} {
		eventually(t, 3*time.Second, "the cookie's session follows", func() bool { return byCookie(at) == in })
	}
	app, err := other.Exchange(t.Context(), phone, cookies)
	if err != nil || orgOf(t, s, app.AccessToken) != in {
		t.Errorf("exchanged: %q, %v", orgOf(t, s, app.AccessToken), err)
	}

	// A row that says more than is true counts for nothing.
	change(t, db, `UPDATE auth.sessions SET active_organization_id = $2 WHERE user_id = $1`, stranger.User.ID, o.ID())
	if stranger.tokens, err = s.Refresh(t.Context(), laptop, stranger.tokens.RefreshToken); err != nil || orgOf(t, s, stranger.tokens.AccessToken) != "" {
		t.Errorf("a stranger's stale row: %q, %v", orgOf(t, s, stranger.tokens.AccessToken), err)
	}
	if _, ses, err := s.Session(t.Context(), stranger.Caller); err != nil || ses.ActiveOrganizationID != nil || ses.OrganizationRole != nil {
		t.Errorf("a stranger's session: %+v, %v", ses, err)
	}
	if _, ses, err := s.Session(t.Context(), who.Caller); err != nil || *ses.ActiveOrganizationID != o.ID() || *ses.OrganizationRole != organization.RoleAdmin {
		t.Errorf("a member's session: %+v, %v", ses, err)
	}
}

// Who loses a membership, or gets another role, loses it at every edge at once,
// and for every token that was made before. Their sessions live on.
func TestWhoLosesAMembershipLosesItEverywhere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lose func(*testing.T, *authcore.Service, *pgtest.Database, team) error
		want organization.Role // of the admin
	}{
		"removed": {func(t *testing.T, s *authcore.Service, _ *pgtest.Database, o team) error {
			return s.RemoveMember(t.Context(), o.owner.Caller, o.ID(), o.admin.User.Email)
		}, ""},
		"left": {func(t *testing.T, s *authcore.Service, _ *pgtest.Database, o team) error {
			return s.LeaveOrganization(t.Context(), o.admin.Caller, o.ID())
		}, ""},
		"deleted": {func(t *testing.T, s *authcore.Service, _ *pgtest.Database, o team) error {
			return s.DeleteOrganization(t.Context(), o.owner.Caller, o.ID())
		}, ""},
		"deleted by an operator": {func(t *testing.T, s *authcore.Service, _ *pgtest.Database, o team) error {
			return s.RemoveOrganization(t.Context(), operator, o.ID())
		}, ""},
		"demoted": {func(t *testing.T, s *authcore.Service, db *pgtest.Database, o team) error {
			_, err := s.SetMemberRole(t.Context(), o.owner.Caller, o.ID(), memberID(t, db, o.ID(), o.admin.User.ID), organization.RoleMember)
			return err
		}, organization.RoleMember},
		"made the owner": {func(t *testing.T, s *authcore.Service, _ *pgtest.Database, o team) error {
			_, err := s.TransferOrganization(t.Context(), o.owner.Caller, o.ID(), o.admin.User.Email, false)
			return err
		}, organization.RoleOwner},
		"inherited": {func(t *testing.T, s *authcore.Service, _ *pgtest.Database, o team) error {
			return s.DeleteAccount(t.Context(), o.owner.Caller, testPassword, "")
		}, organization.RoleOwner},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			s, other := edge(t, db), edge(t, db)
			o := newTeam(t, s, db)
			who := o.admin
			active, err := s.SetActiveOrganization(t.Context(), who.Caller, o.ID())
			if err != nil {
				t.Fatal(err)
			}
			browser, err := s.SignInBrowser(t.Context(), laptop, who.User.Email, testPassword, true)
			if err != nil {
				t.Fatal(err)
			}
			inBrowser := who.Caller
			inBrowser.SessionID = browser.Session().ID
			if _, err := s.SetActiveOrganization(t.Context(), inBrowser, o.ID()); err != nil {
				t.Fatal(err)
			}
			cookies := []string{cookieOf(s, browser.Token)}
			says := func(at *authcore.Service) string {
				t.Helper()
				live, err := at.BrowserSession(t.Context(), cookies)
				if err != nil {
					t.Fatal(err)
				}
				_, claims, err := at.Bearer(t.Context(), live)
				if err != nil {
					t.Fatal(err)
				}
				return strings.TrimSpace(claims.OrganizationID + " " + claims.OrganizationRole)
			}
			for _, at := range []*authcore.Service{s, other} {
				eventually(t, 3*time.Second, "it is in the organisation", func() bool { return says(at) == o.ID()+" admin" })
			}
			app, err := s.Exchange(t.Context(), phone, cookies)
			if err != nil {
				t.Fatal(err)
			}
			old := []string{active.AccessToken, app.AccessToken}
			for _, bearer := range old {
				if got := orgOf(t, other, bearer); got != o.ID()+" admin" {
					t.Fatalf("before: %q", got)
				}
			}

			if err := test.lose(t, s, db, o); err != nil {
				t.Fatal(err)
			}
			want := ""
			if test.want != "" {
				want = o.ID() + " " + string(test.want)
			}
			for _, bearer := range old {
				if _, err := s.Verify(t.Context(), bearer); !errors.Is(err, token.ErrInvalid) {
					t.Errorf("on the edge where it happened the token is good: %v", err)
				}
				eventually(t, 3*time.Second, "the other edge refuses the token", func() bool {
					_, err := other.Verify(t.Context(), bearer)
					return errors.Is(err, token.ErrInvalid)
				})
			}
			for at, refresh := range map[*authcore.Service]string{s: who.tokens.RefreshToken, other: app.RefreshToken} {
				next, err := at.Refresh(t.Context(), laptop, refresh)
				if err != nil {
					t.Fatalf("the session has ended: %v", err)
				}
				if got := orgOf(t, at, next.AccessToken); got != want {
					t.Errorf("refreshed: %q, want %q", got, want)
				}
				if got := says(at); got != want {
					t.Errorf("by cookie: %q, want %q", got, want)
				}
			}
			if stale := names(t, db, `SELECT id AS name FROM auth.sessions WHERE user_id = $1 AND active_organization_id IS NOT NULL`, who.User.ID); test.want == "" && len(stale) > 0 {
				t.Errorf("sessions %q are in it still", stale)
			}
			if got := orgOf(t, s, signIn(t, s, phone, who.User.Email).AccessToken); got != "" {
				t.Errorf("a new sign-in: %q", got)
			}
			events := names(t, db, `SELECT event_type || ' ' || COALESCE(host(NULLIF(ip_address, '')::inet), '-') AS name FROM auth.security_events
				WHERE user_id = $1 AND event_type LIKE 'organization\_%' ORDER BY created_at DESC LIMIT 1`, who.User.ID)
			if name != "left" && !strings.HasSuffix(strings.Join(events, ""), " -") {
				t.Errorf("the member's event is %q: it must not tell from where somebody else acted", events)
			}
		})
	}
}

// However owners leave, demote each other and delete their accounts at once, an
// organisation with members has an owner.
func TestAnOrganizationAlwaysHasAnOwner(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	s := edges[0]
	people := make([]colleague, 4)
	for i := range people {
		people[i] = newColleague(t, s, db, fmt.Sprintf("p%d", i))
	}
	leave := func(s *authcore.Service, id string, by, _ colleague) error {
		return s.LeaveOrganization(t.Context(), by.Caller, id)
	}
	demoteOther := func(s *authcore.Service, id string, by, other colleague) error {
		_, err := s.SetMemberRole(t.Context(), by.Caller, id, other.User.Email, organization.RoleMember)
		return err
	}
	demoteSelf := func(s *authcore.Service, id string, by, _ colleague) error {
		_, err := s.SetMemberRole(t.Context(), by.Caller, id, by.User.Email, organization.RoleAdmin)
		return err
	}
	removeOther := func(s *authcore.Service, id string, by, other colleague) error {
		return s.RemoveMember(t.Context(), by.Caller, id, other.User.Email)
	}
	transfer := func(s *authcore.Service, id string, by, other colleague) error {
		_, err := s.TransferOrganization(t.Context(), by.Caller, id, other.User.Email, false)
		return err
	}
	type act = func(*authcore.Service, string, colleague, colleague) error
	for name, pair := range map[string][2]act{
		"both leave": {leave, leave}, "both step down": {demoteSelf, demoteSelf}, "each demotes the other": {demoteOther, demoteOther},
		"each removes the other": {removeOther, removeOther}, "one leaves, one steps down": {leave, demoteSelf},
		"one leaves while demoted": {leave, demoteOther}, "one transfers to who leaves": {leave, transfer}, "each transfers to the other": {transfer, transfer},
		"one leaves while removed": {leave, removeOther},
	} {
		for round := range 6 {
			o, err := s.CreateOrganization(t.Context(), people[0].Caller, organization.New{Name: "Round"})
			if err != nil {
				t.Fatal(err)
			}
			join(t, s, people[0], o.ID, people[1], organization.RoleMember)
			join(t, s, people[0], o.ID, people[2], organization.RoleMember)
			if _, err := s.TransferOrganization(t.Context(), people[0].Caller, o.ID, people[1].User.Email, true); err != nil {
				t.Fatal(err)
			}
			if got := roles(t, db, o.ID); got != "p0 owner, p1 owner, p2 member" {
				t.Fatalf("before: %s", got)
			}
			var wg sync.WaitGroup
			var errs [2]error
			for i := range 2 {
				wg.Go(func() { errs[i] = pair[i](edges[(i+round)%2], o.ID, people[i], people[1-i]) })
			}
			wg.Wait()
			for _, err := range errs {
				if err != nil && !errors.Is(err, organization.ErrLastOwner) && !errors.Is(err, organization.ErrForbidden) && !errors.Is(err, organization.ErrNotFound) &&
					!errors.Is(err, organization.ErrMemberNotFound) && !errors.Is(err, organization.ErrOwnerRole) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if errs[0] != nil && errs[1] != nil {
				t.Errorf("%s: nobody could: %v", name, errs)
			}
			if got := roles(t, db, o.ID); !strings.Contains(got, " owner") {
				t.Errorf("%s: %s", name, got)
			}
			change(t, db, `DELETE FROM auth.organizations WHERE id = $1`, o.ID)
		}
	}
}

// The last owner is told so, in whichever way they try.
func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	o := newTeam(t, s, db)
	me := memberID(t, db, o.ID(), o.owner.User.ID)
	for range 2 {
		if err := s.LeaveOrganization(t.Context(), o.owner.Caller, o.ID()); !errors.Is(err, organization.ErrLastOwner) {
			t.Errorf("leaving: %v", err)
		}
		if err := s.RemoveMember(t.Context(), o.owner.Caller, o.ID(), me); !errors.Is(err, organization.ErrLastOwner) {
			t.Errorf("removing oneself: %v", err)
		}
		if _, err := s.SetMemberRole(t.Context(), o.owner.Caller, o.ID(), me, organization.RoleAdmin); !errors.Is(err, organization.ErrLastOwner) {
			t.Errorf("stepping down: %v", err)
		}
		if _, err := s.TransferOrganization(t.Context(), o.owner.Caller, o.ID(), me, false); !errors.Is(err, organization.ErrInvalidInput) {
			t.Errorf("to oneself: %v", err)
		}
		// An owner who is barred can do nothing for the organisation, and does not count.
		if _, err := s.TransferOrganization(t.Context(), o.owner.Caller, o.ID(), o.member.User.Email, true); err != nil {
			if !errors.Is(err, organization.ErrMemberNotFound) {
				t.Fatal(err)
			}
			continue
		}
		if _, err := s.SetDisabled(t.Context(), operator, o.member.User.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SetMemberRole(t.Context(), o.owner.Caller, o.ID(), me, organization.RoleOwner); !errors.Is(err, organization.ErrInvalidInput) {
		t.Errorf("as an owner by a change of role: %v", err)
	}
	old(t, db, o.owner.User.ID)
	if _, err := s.TransferOrganization(t.Context(), o.owner.Caller, o.ID(), o.admin.User.Email, false); !errors.As(err, new(*authcore.ReauthenticationError)) {
		t.Errorf("without a recent proof: %v", err)
	}
	if got := roles(t, db, o.ID()); got != "admin admin, member owner, owner owner" {
		t.Errorf("in the end: %s", got)
	}
}

// Who deletes their account leaves no organisation without an owner.
func TestErasurePassesOrganizationsOn(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	o := newTeam(t, s, db)
	change(t, db, `UPDATE auth.members SET created_at = now() - interval '1 day' WHERE user_id = $1`, o.member.User.ID)
	alone, err := s.CreateOrganization(t.Context(), o.owner.Caller, organization.New{Name: "Alone"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Invite(t.Context(), o.owner.Caller, alone.ID, "guest@example.test", organization.RoleMember); err != nil {
		t.Fatal(err)
	}
	delete := func(who colleague) {
		t.Helper()
		if err := s.DeleteAccount(t.Context(), who.Caller, testPassword, ""); err != nil {
			t.Fatal(err)
		}
	}
	delete(o.owner)
	if got := roles(t, db, o.ID()); got != "admin owner, member member" {
		t.Errorf("the admin comes before the older member: %s", got)
	}
	if left := names(t, db, `SELECT name FROM auth.organizations WHERE id = $1`, alone.ID); len(left) > 0 {
		t.Errorf("%q has no members and is there", left)
	}
	if left := names(t, db, `SELECT email AS name FROM auth.invitations WHERE organization_id = $1`, alone.ID); len(left) > 0 {
		t.Errorf("invited into nothing: %q", left)
	}
	got := names(t, db, `SELECT metadata->>'to' AS name FROM auth.security_events WHERE event_type = 'organization_role_changed' AND user_id = $1`, o.admin.User.ID)
	if strings.Join(got, " ") != "owner" {
		t.Errorf("the heir's events: %q", got)
	}
	// A barred heir comes after everybody else, but before nobody.
	third := newColleague(t, s, db, "third")
	join(t, s, o.admin, o.ID(), third, organization.RoleAdmin)
	if _, err := s.SetDisabled(t.Context(), operator, third.User.ID, true); err != nil {
		t.Fatal(err)
	}
	delete(o.admin)
	if got := roles(t, db, o.ID()); got != "member owner, third admin" {
		t.Errorf("after the second: %s", got)
	}
	delete(o.member)
	if got := roles(t, db, o.ID()); got != "third owner" {
		t.Errorf("after the third: %s", got)
	}
	if err := s.DeleteUser(t.Context(), operator, third.User.ID); err != nil {
		t.Fatal(err)
	}
	if left := names(t, db, `SELECT name FROM auth.organizations`); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Accounts are closed while their owners leave, accept and close others.
func TestErasureAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, other := edge(t, db), edge(t, db)
	for round := range 6 {
		person := func(name string) colleague { return newColleague(t, s, db, fmt.Sprintf("%s%d", name, round)) }
		a, b, c, d := person("a"), person("b"), person("c"), person("d")
		o, err := s.CreateOrganization(t.Context(), a.Caller, organization.New{Name: "Round"})
		if err != nil {
			t.Fatal(err)
		}
		join(t, s, a, o.ID, b, organization.RoleAdmin)
		join(t, s, a, o.ID, c, organization.RoleMember)
		i, err := s.Invite(t.Context(), a.Caller, o.ID, d.User.Email, organization.RoleMember)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		run := func(what string, fn func() error, but ...error) {
			wg.Go(func() {
				err := fn()
				for _, ok := range but {
					if errors.Is(err, ok) {
						return
					}
				}
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		run("a goes", func() error { return s.DeleteAccount(t.Context(), a.Caller, testPassword, "") })
		run("b goes", func() error { return other.DeleteUser(t.Context(), operator, b.User.ID) })
		run("c leaves", func() error { return other.LeaveOrganization(t.Context(), c.Caller, o.ID) },
			organization.ErrLastOwner, organization.ErrNotFound)
		run("d accepts", func() error { _, err := s.AcceptInvitation(t.Context(), d.Caller, i.ID); return err },
			organization.ErrInvitationNotFound, authcore.ErrUserNotFound, authcore.ErrSessionNotFound)
		run("d goes", func() error { return other.DeleteUser(t.Context(), operator, d.User.ID) })
		wg.Wait()
		if got := roles(t, db, o.ID); got != "" && got != fmt.Sprintf("c%d owner", round) {
			t.Errorf("round %d: %s", round, got)
		}
	}
	if left := names(t, db, `SELECT o.id AS name FROM auth.organizations AS o
		WHERE NOT EXISTS (SELECT FROM auth.members AS m JOIN auth.users AS u ON u.id = m.user_id WHERE m.organization_id = o.id AND u.deleted_at IS NULL)`); len(left) > 0 {
		t.Errorf("without anybody: %q", left)
	}
	if dead := names(t, db, `SELECT m.id AS name FROM auth.members AS m JOIN auth.users AS u ON u.id = m.user_id WHERE u.deleted_at IS NOT NULL`); len(dead) > 0 {
		t.Errorf("members who are gone: %q", dead)
	}
}

// What each may do, by the core itself: the routes say the same in their words.
func TestRolesInAnOrganization(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	o := newTeam(t, s, db)
	outsider, platform := newColleague(t, s, db, "outsider"), newColleague(t, s, db, "platform")
	platform.Caller.Role = principal.RoleAdmin
	peer, chief := newColleague(t, s, db, "peer"), newColleague(t, s, db, "chief")
	name := "Another"
	never := errors.New("nothing")
	for what, test := range map[string]struct {
		do   func(principal.Caller) error
		want [5]error // owner, admin, member, outsider, admin of the platform
	}{
		"read": {func(c principal.Caller) error { _, err := s.Organization(t.Context(), c, o.ID()); return err },
			[5]error{nil, nil, nil, organization.ErrNotFound, nil}},
		"members": {func(c principal.Caller) error { _, err := s.Members(t.Context(), c, o.ID()); return err },
			[5]error{nil, nil, nil, organization.ErrNotFound, nil}},
		"invitations": {func(c principal.Caller) error { _, err := s.Invitations(t.Context(), c, o.ID()); return err },
			[5]error{nil, nil, organization.ErrForbidden, organization.ErrNotFound, nil}},
		"update": {func(c principal.Caller) error {
			_, err := s.UpdateOrganization(t.Context(), c, o.ID(), organization.Change{Name: &name})
			return err
		}, [5]error{nil, nil, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"invite": {func(c principal.Caller) error {
			i, err := s.Invite(t.Context(), c, o.ID(), "somebody@example.test", organization.RoleAdmin)
			if err == nil {
				change(t, db, `DELETE FROM auth.invitations WHERE id = $1`, i.ID)
			}
			return err
		}, [5]error{nil, nil, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"remove a member": {func(c principal.Caller) error {
			change(t, db, `INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('peer', $1, $2, 'member') ON CONFLICT (id) DO UPDATE SET role = 'member'`, o.ID(), peer.User.ID)
			return s.RemoveMember(t.Context(), c, o.ID(), "peer")
		}, [5]error{nil, nil, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"remove an owner": {func(c principal.Caller) error {
			change(t, db, `INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('chief', $1, $2, 'owner') ON CONFLICT (id) DO UPDATE SET role = 'owner'`, o.ID(), chief.User.ID)
			return s.RemoveMember(t.Context(), c, o.ID(), "chief")
		}, [5]error{nil, organization.ErrForbidden, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"change a role": {func(c principal.Caller) error {
			change(t, db, `INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('peer', $1, $2, 'member') ON CONFLICT (id) DO UPDATE SET role = 'member'`, o.ID(), peer.User.ID)
			_, err := s.SetMemberRole(t.Context(), c, o.ID(), "peer", organization.RoleAdmin)
			return err
		}, [5]error{nil, nil, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"change an owner's role": {func(c principal.Caller) error {
			change(t, db, `INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('chief', $1, $2, 'owner') ON CONFLICT (id) DO UPDATE SET role = 'owner'`, o.ID(), chief.User.ID)
			_, err := s.SetMemberRole(t.Context(), c, o.ID(), "chief", organization.RoleMember)
			return err
		}, [5]error{nil, organization.ErrOwnerRole, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"transfer": {func(c principal.Caller) error {
			_, err := s.TransferOrganization(t.Context(), c, o.ID(), "nobody", true)
			return err
		}, [5]error{organization.ErrMemberNotFound, organization.ErrForbidden, organization.ErrForbidden, organization.ErrNotFound, organization.ErrForbidden}},
		"activate": {func(c principal.Caller) error { _, err := s.SetActiveOrganization(t.Context(), c, o.ID()); return err },
			[5]error{nil, nil, nil, organization.ErrNotFound, organization.ErrNotFound}},
		"delete what is not there": {func(c principal.Caller) error { return s.DeleteOrganization(t.Context(), c, "nothing") },
			[5]error{organization.ErrNotFound, organization.ErrNotFound, organization.ErrNotFound, organization.ErrNotFound, organization.ErrNotFound}},
	} {
		for i, c := range []principal.Caller{o.owner.Caller, o.admin.Caller, o.member.Caller, outsider.Caller, platform.Caller} {
			want := test.want[i]
			if want == nil {
				want = never
			}
			if err := test.do(c); !errors.Is(errors.Join(err), want) && !(err == nil && want == never) {
				t.Errorf("%s, caller %d: %v, want %v", what, i, err, test.want[i])
			}
		}
	}
	for i, who := range []principal.Caller{outsider.Caller, platform.Caller, o.member.Caller, o.admin.Caller} {
		if err := s.DeleteOrganization(t.Context(), who, o.ID()); !errors.Is(err, organization.ErrForbidden) && !errors.Is(err, organization.ErrNotFound) {
			t.Errorf("deleted by %d: %v", i, err)
		}
	}
	if err := s.DeleteOrganization(t.Context(), o.owner.Caller, o.ID()); err != nil {
		t.Error(err)
	}

	m, err := s.Membership(t.Context(), o.ID(), o.owner.User.ID)
	if !errors.Is(err, organization.ErrMemberNotFound) {
		t.Errorf("a member of nothing: %+v, %v", m, err)
	}
}

func TestMemberships(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	o := newTeam(t, s, db)
	m, err := s.Membership(t.Context(), o.ID(), o.admin.User.ID)
	if err != nil || m.Role != organization.RoleAdmin || m.Name != o.Name || *m.Slug != *o.Slug {
		t.Errorf("%+v, %v", m, err)
	}
	list, err := s.Memberships(t.Context(), o.member.User.ID)
	if err != nil || len(list) != 1 || list[0].OrganizationID != o.ID() || list[0].Role != organization.RoleMember {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.SetDisabled(t.Context(), operator, o.admin.User.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Membership(t.Context(), o.ID(), o.admin.User.ID); !errors.Is(err, organization.ErrMemberNotFound) {
		t.Errorf("of who is barred: %v", err)
	}
	if list, err := s.Memberships(t.Context(), o.admin.User.ID); err != nil || len(list) != 0 {
		t.Errorf("of who is barred: %+v, %v", list, err)
	}
}
