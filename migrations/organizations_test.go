package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// One organisation with an owner, an admin, two members, an invitation to
// guest@example.com and one to nobody here; another organisation of a stranger.
const orgSetup = `
	INSERT INTO auth.users (id, name, email, email_verified)
		SELECT who, who, who || '@example.com', true
		FROM unnest(ARRAY['owner', 'admin', 'member', 'peer', 'guest', 'stranger', 'platform']) who;
	INSERT INTO auth.organizations (id, name) VALUES ('org', 'Ours'), ('other', 'Theirs');
	INSERT INTO auth.members (id, organization_id, user_id, role) VALUES
		('m-owner', 'org', 'owner', 'owner'), ('m-admin', 'org', 'admin', 'admin'),
		('m-member', 'org', 'member', 'member'), ('m-peer', 'org', 'peer', 'member'),
		('m-stranger', 'other', 'stranger', 'owner');
	INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id) VALUES
		('i-guest', 'org', 'guest@example.com', 'member', now(), 'admin'),
		('i-nobody', 'org', 'nobody@example.com', 'member', now(), 'admin')`

func TestOrganizationPolicies(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), orgSetup)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const everybody = "owner admin member guest stranger platform"
	undo := errors.New("undo")
	for _, test := range []struct {
		sql string
		may map[string]int64 // rows by user, for those of everybody who get any
	}{
		{`SELECT FROM auth.organizations WHERE id = 'org'`, map[string]int64{"owner": 1, "admin": 1, "member": 1, "platform": 1}},
		{`SELECT FROM auth.members WHERE organization_id = 'org'`, map[string]int64{"owner": 4, "admin": 4, "member": 4, "platform": 4}},
		{`SELECT FROM auth.invitations`, map[string]int64{"owner": 2, "admin": 2, "member": 2, "guest": 1, "platform": 2}},
		{`SELECT FROM auth.my_memberships`, map[string]int64{"owner": 1, "admin": 1, "member": 1, "stranger": 1}},
		{`UPDATE auth.organizations SET name = 'New' WHERE id = 'org'`, map[string]int64{"owner": 1, "admin": 1}},
		{`DELETE FROM auth.organizations WHERE id = 'org'`, map[string]int64{"owner": 1}},
		{`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('new', 'org', 'guest', 'member')`, map[string]int64{"owner": 1, "admin": 1, "platform": 1}},
		{`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('new', 'org', 'guest', 'owner')`, map[string]int64{"owner": 1, "platform": 1}},
		{`UPDATE auth.members SET role = 'admin' WHERE id = 'm-peer'`, map[string]int64{"owner": 1, "admin": 1}},
		{`UPDATE auth.members SET role = 'owner' WHERE id = 'm-peer'`, map[string]int64{"owner": 1}},
		{`UPDATE auth.members SET role = 'owner' WHERE user_id = mana.user_id() AND organization_id = 'org'`, map[string]int64{"owner": 1}},
		{`UPDATE auth.members SET role = 'member' WHERE id = 'm-owner'`, map[string]int64{"owner": 1}},
		{`UPDATE auth.members SET organization_id = 'other' WHERE id = 'm-peer'`, nil},
		{`DELETE FROM auth.members WHERE id = 'm-peer'`, map[string]int64{"owner": 1, "admin": 1, "platform": 1}},
		{`DELETE FROM auth.members WHERE id = 'm-owner'`, map[string]int64{"owner": 1, "platform": 1}},
		{`DELETE FROM auth.members WHERE user_id = mana.user_id() AND organization_id = 'org'`, map[string]int64{"owner": 1, "admin": 1, "member": 1}},
		{`INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
			VALUES ('new', 'org', 'x@example.com', 'admin', now(), mana.user_id())`, map[string]int64{"owner": 1, "admin": 1, "platform": 1}},
		{`INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
			VALUES ('new', 'org', 'x@example.com', 'member', now(), 'peer')`, nil},
		{`INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
			VALUES ('new', 'org', 'x@example.com', 'owner', now(), mana.user_id())`, nil},
		{`INSERT INTO auth.members (id, organization_id, user_id, role) SELECT 'new', 'other', mana.user_id(), 'member' WHERE mana.user_id() <> 'stranger'`, map[string]int64{"platform": 1}},
		{`UPDATE auth.members SET user_id = mana.user_id() WHERE id = 'm-owner'`, nil},
		{`UPDATE auth.sessions SET active_organization_id = 'org' WHERE user_id = mana.user_id()`, nil},
		{`UPDATE auth.invitations SET role = 'owner' WHERE id = 'i-guest'`, nil},
		{`UPDATE auth.invitations SET email = 'guest@example.com' WHERE id = 'i-nobody'`, nil},
		{`UPDATE auth.invitations SET status = 'canceled' WHERE id = 'i-guest'`, map[string]int64{"owner": 1, "admin": 1, "platform": 1}},
		{`DELETE FROM auth.invitations WHERE id = 'i-guest'`, map[string]int64{"owner": 1, "admin": 1, "guest": 1, "platform": 1}},
		{`DELETE FROM auth.invitations WHERE id = 'i-nobody'`, map[string]int64{"owner": 1, "admin": 1, "platform": 1}},
	} {
		for _, who := range strings.Fields(everybody) {
			role := "user"
			if who == "platform" {
				role = "admin"
			}
			var n int64
			err := dbscope.InTx(t.Context(), db.Pool, dbscope.User(who, role), func(tx pgx.Tx) error {
				tag, err := tx.Exec(t.Context(), test.sql)
				if err != nil {
					return err
				}
				n = tag.RowsAffected()
				return undo
			})
			if want := test.may[who]; n != want || !errors.Is(err, undo) && !denied(err) {
				t.Errorf("%s: %s: %d rows, want %d (%v)", who, test.sql, n, want, err)
			}
		}
	}
}

// An invitation is for whoever has proven the address, not for whoever
// registered it.
func TestInvitationsAreForVerifiedAddresses(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), orgSetup)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, verified := range []bool{false, true} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
			`UPDATE auth.users SET email_verified = $1 WHERE id = 'guest'`, verified); err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{`SELECT FROM auth.invitations`, `DELETE FROM auth.invitations`} {
			n, err := dbscope.Exec(t.Context(), db.Pool, dbscope.User("guest", "user"), sql)
			if err != nil || (n == 1) != verified {
				t.Errorf("%s by the invited, verified %v: %d rows, %v", sql, verified, n, err)
			}
		}
	}
}
