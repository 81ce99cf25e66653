package migrations_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

func TestNobodyIsNobody(t *testing.T) {
	t.Parallel()
	db, _ := peopled(t)
	everything := append(relations(t, db, "rpf"), relations(t, db, "vm")...)
	for _, name := range everything {
		if name == "auth.my_memberships" {
			continue // mana_system has no business there
		}
		if n, err := count(t.Context(), db, dbscope.System(), name); err != nil || n < 2 {
			t.Errorf("%s: system sees %d rows, %v: nothing is proven", name, n, err)
		}
	}
	for who, scope := range map[string]dbscope.Scope{
		"empty id":         dbscope.User("", ""),
		"admin without id": dbscope.User("", "admin"),
		"unknown user":     dbscope.User("carol", "user"),
	} {
		for _, name := range everything {
			if n, err := count(t.Context(), db, scope, name); err != nil || n != 0 {
				t.Errorf("%s sees %d rows of %s, %v", who, n, name, err)
			}
		}
	}
	// Without any setting, on connections that never had one.
	for _, take := range []string{`RESET ROLE`, `SET ROLE mana_user`, `SET ROLE mana_owner`} {
		conn := connect(t, db.DSN)
		execAll(t, conn, take)
		for _, name := range everything {
			if take == `SET ROLE mana_owner` && slices.Contains([]string{"mana.schema_migrations", "mana.function_sets", "mana.schema_functions"}, name) {
				continue
			}
			var n int
			err := conn.QueryRow(t.Context(), `SELECT count(*) FROM `+name).Scan(&n)
			if err != nil && !denied(err) || n != 0 {
				t.Errorf("after %s: %d rows of %s, %v", take, n, name, err)
			}
		}
	}
}

func TestLoginRoleWritesNothing(t *testing.T) {
	t.Parallel()
	db, keys := peopled(t)
	// The settings alone, without the role, give nothing either.
	conn := connect(t, db.DSN)
	execAll(t, conn, `SET mana.user_id = 'bob'`, `SET mana.role = 'admin'`)
	for _, tab := range tables {
		if tab.insert != "" {
			if _, err := conn.Exec(t.Context(), tab.insert, "bob"); !denied(err) {
				t.Errorf("insert into %s: %v", tab.name, err)
			}
		}
		for _, sql := range []string{`DELETE FROM ` + tab.name, `UPDATE ` + tab.name + ` SET ` + tab.key + ` = ` + tab.key} {
			if tag, err := conn.Exec(t.Context(), sql); tag.RowsAffected() != 0 || err != nil && !denied(err) {
				var pg *pgconn.PgError
				if !errors.As(err, &pg) || pg.Code != "428C9" && pg.Code != "23000" { // the identity column; the append-only ledger
					t.Errorf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
				}
			}
		}
		if _, ok := keys["bob"][tab.name]; ok {
			n, err := count(t.Context(), db, dbscope.System(), tab.name)
			// What became of bob was noted for the endpoint of alice, and the debts are told.
			if tab.name == "mana.webhook_events" || tab.name == "credits.alerts" {
				n = min(n, 2)
			}
			if err != nil || n != 2 {
				t.Errorf("%s: %d rows left, %v", tab.name, n, err)
			}
		}
	}
}

func TestUsersAreApart(t *testing.T) {
	t.Parallel()
	db, keys := peopled(t)
	alice := dbscope.User("alice", "user")
	for _, tab := range tables {
		if tab.insert == "" {
			continue
		}
		t.Run(tab.name, func(t *testing.T) {
			hers, his := keys["alice"][tab.name], keys["bob"][tab.name]
			visible(t, db, alice, tab, hers, tab.reads)
			visible(t, db, alice, tab, his, false)
			visible(t, db, dbscope.User("carol", "admin"), tab, his, tab.admin)

			before := version(t, db, tab, his)
			for _, column := range columns(t, db, tab.name) {
				set := fmt.Sprintf(`UPDATE %s SET %s = %s`, tab.name, column, column)
				harmless(t, db, alice, set+where(tab, his))
				harmless(t, db, dbscope.User("alice", "service"), set+where(tab, his))
				inVain(t, db, alice, set) // hers at most
				// Reads nothing, so that the policies for SELECT do not help.
				inVain(t, db, alice, fmt.Sprintf(`UPDATE %s SET %s = DEFAULT`, tab.name, column))
				if !tab.rules {
					harmless(t, db, dbscope.User("carol", "admin"), set+where(tab, his))
				}
			}
			harmless(t, db, alice, `DELETE FROM `+tab.name+where(tab, his))
			if !tab.rules {
				harmless(t, db, dbscope.User("carol", "admin"), `DELETE FROM `+tab.name+where(tab, his))
			}
			if !tab.open {
				if _, err := dbscope.Exec(t.Context(), db.Pool, alice, tab.insert, "bob"); !denied(err) {
					t.Errorf("insert for bob: %v", err)
				}
			}
			if slices.Contains(columns(t, db, tab.name), "user_id") {
				move := `UPDATE ` + tab.name + ` SET user_id = 'bob'` + where(tab, hers)
				if n, err := dbscope.Exec(t.Context(), db.Pool, alice, move); n != 0 || err == nil {
					t.Errorf("move her row to bob: %d rows, %v", n, err)
				}
			}
			sweep(t, db, alice, tab, his)
			if after := version(t, db, tab, his); after != before {
				t.Errorf("bob's row was written: version %s, now %s", before, after)
			}
		})
	}
}

func TestUserChangesOwnProfileOnly(t *testing.T) {
	t.Parallel()
	db, _ := peopled(t)
	alice := dbscope.User("alice", "admin")
	for _, column := range columns(t, db, "auth.users") {
		want := slices.Contains([]string{"name", "image", "updated_at"}, column)
		n, err := dbscope.Exec(t.Context(), db.Pool, alice, `UPDATE auth.users SET `+column+` = `+column+` WHERE id = 'alice'`)
		if (n == 1) != want || denied(err) == want {
			t.Errorf("update of %s: %d rows, %v", column, n, err)
		}
	}
}

func TestImportedRefreshTokensAreHidden(t *testing.T) {
	t.Parallel()
	db, _ := peopled(t)
	var hidden []string
	for _, column := range columns(t, db, "auth.sessions") {
		_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.User("alice", "admin"), `SELECT `+column+` FROM auth.sessions`)
		if denied(err) {
			hidden = append(hidden, column)
		} else if err != nil {
			t.Errorf("%s: %v", column, err)
		}
	}
	if got := strings.Join(hidden, " "); got != "refresh_token" {
		t.Errorf("columns hidden from users: %q", got)
	}
}

func TestDeletingAUserCascades(t *testing.T) {
	t.Parallel()
	db, keys := peopledIn(t, identityTables)
	n, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `DELETE FROM auth.users WHERE id = 'bob'`)
	if n != 1 || err != nil {
		t.Fatalf("delete: %d rows, %v", n, err)
	}
	// What is kept: what is not a user's own, and what outlives them.
	kept := map[string]bool{
		"auth.verification": true, "auth.jwks": true, "auth.proof_keys": true, "auth.organizations": true, "auth.invitations": true,
		"auth.oauth_applications": true, "auth.security_events": true, "auth.revocations": true,
		"auth.lockouts": true, "auth.passkey_challenges": true, "auth.proofs_of_work": true, "mana.data_steps": true, "mana.outbox": true,
		"mana.imported": true, "mana.webhook_events": true, "mana.webhook_endpoints": true, "mana.webhook_deliveries": true,
	}
	for _, tab := range identityTables {
		if tab.insert == "" {
			continue
		}
		for user, want := range map[string]bool{"alice": true, "bob": kept[tab.name]} {
			visible(t, db, dbscope.System(), tab, keys[user][tab.name], want)
		}
		if tab.name != "auth.revocations" && tab.name != "mana.outbox" && slices.Contains(columns(t, db, tab.name), "user_id") {
			if n, err := count(t.Context(), db, dbscope.System(), tab.name+` WHERE user_id = 'bob'`); n != 0 || err != nil {
				t.Errorf("%s: %d rows still name bob, %v", tab.name, n, err)
			}
		}
	}
}

// Who has an account in the ledger is erased in place, never deleted.
func TestLedgerOutlivesItsUser(t *testing.T) {
	t.Parallel()
	db, _ := peopled(t)
	n, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `DELETE FROM auth.users WHERE id = 'bob'`)
	if n != 0 || !constraint(err) {
		t.Errorf("delete: %d rows, %v", n, err)
	}
}
