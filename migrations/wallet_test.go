package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// walletSetup gives the organisation of orgSetup an account of which the owner and
// the member have spent, and to which the admin has bought.
const walletSetup = `
	INSERT INTO credits.balances (user_id) VALUES ('org:org'), ('org:other'), ('owner');
	INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description, spent_by) VALUES
		('t1', 'org:org', 1, 'purchase', 9, 0, 9, '', '', 'admin'), ('t2', 'org:org', 2, 'usage', -1, 9, 8, '', '', 'owner'),
		('t3', 'org:org', 3, 'usage', -1, 8, 7, '', '', 'member'), ('t4', 'org:org', 4, 'usage', -1, 7, 6, '', '', 'guest'),
		('t5', 'org:other', 1, 'purchase', 9, 0, 9, '', '', 'stranger');
	INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, granted, remaining) VALUES ('l1', 't1', 'org:org', 1, 'purchase', 9, 9);
	INSERT INTO credits.spending (spender, account_id, day, amount) VALUES
		('user:owner', 'org:org', current_date, 1), ('user:member', 'org:org', current_date, 1), ('user:guest', 'org:org', current_date, 1);
	INSERT INTO credits.allotments (organization_id, user_id, credits, period) VALUES
		('org', 'member', 5, 'day'), ('org', 'peer', 5, 'day'), ('org', NULL, 5, 'day'), ('other', 'stranger', 5, 'day');
	INSERT INTO credits.purchases (id, user_id, bought_by, credits, price_euro_cents) VALUES ('p1', 'org:org', 'admin', 9, 1)`

// Who may read and write what of the account of an organisation, by the policies
// alone: a member who has left has no part in it, although they spent of it.
func TestWalletPolicies(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), orgSetup+";"+walletSetup, pgx.QueryExecModeSimpleProtocol)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const everybody = "owner admin member guest stranger platform"
	undo := errors.New("undo")
	managers := map[string]int64{"owner": 1, "admin": 1}
	readers := map[string]int64{"owner": 1, "admin": 1, "platform": 1}
	for _, test := range []struct {
		sql string
		may map[string]int64 // rows by user, for those of everybody who get any
	}{
		{`SELECT FROM credits.balances WHERE user_id = 'org:org'`, map[string]int64{"owner": 1, "admin": 1, "member": 1, "platform": 1}},
		{`SELECT FROM credits.transactions WHERE user_id = 'org:org'`, map[string]int64{"owner": 4, "admin": 4, "member": 1, "platform": 4}},
		{`SELECT FROM credits.lots WHERE user_id = 'org:org'`, readers},
		{`SELECT FROM credits.purchases WHERE user_id = 'org:org'`, readers},
		{`SELECT FROM credits.spending WHERE account_id = 'org:org'`, map[string]int64{"owner": 3, "admin": 3, "member": 1}},
		{`SELECT FROM credits.allotments WHERE organization_id = 'org'`, map[string]int64{"owner": 3, "admin": 3, "member": 2, "platform": 3}},
		{`UPDATE credits.allotments SET credits = 50, updated_by = mana.user_id() WHERE organization_id = 'org' AND user_id = 'member'`, managers},
		{`UPDATE credits.allotments SET credits = 50, updated_by = 'owner' WHERE organization_id = 'org' AND user_id = 'member'`, map[string]int64{"owner": 1}},
		{`UPDATE credits.allotments SET user_id = 'owner' WHERE organization_id = 'org' AND user_id = 'member'`, nil},
		{`DELETE FROM credits.allotments WHERE organization_id = 'org' AND user_id = 'member'`, managers},
		{`DELETE FROM credits.allotments WHERE organization_id = 'org' AND user_id IS NULL`, managers},
		{`INSERT INTO credits.allotments (organization_id, user_id, credits, period, updated_by) VALUES ('org', 'admin', 5, 'day', mana.user_id())`, managers},
		{`INSERT INTO credits.allotments (organization_id, user_id, credits, period, updated_by) VALUES ('other', NULL, 5, 'day', mana.user_id())`, map[string]int64{"stranger": 1}},
		{`UPDATE credits.balances SET balance = balance WHERE user_id = 'org:org'`, nil},
		{`DELETE FROM credits.closed_accounts`, nil},
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

// An account is a user's or an organisation's, and nothing else.
func TestAccountsHaveAnOwner(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	exec := func(sql string) error {
		_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql)
		return err
	}
	for _, sql := range []string{
		`INSERT INTO auth.users (id, name, email) VALUES ('ada', 'Ada', 'ada@example.com')`,
		`INSERT INTO auth.organizations (id, name) VALUES ('acme', 'Acme')`,
		`INSERT INTO credits.balances (user_id) VALUES ('ada'), ('org:acme')`,
		`DELETE FROM auth.organizations WHERE id = 'acme'`,
		`INSERT INTO credits.purchases (user_id, bought_by, credits, price_euro_cents) VALUES ('org:acme', 'ada', 1, 1)`, // its account is still there
	} {
		if err := exec(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		`INSERT INTO auth.users (id, name, email) VALUES ('org:acme', 'Eve', 'eve@example.com')`,
		`INSERT INTO credits.balances (user_id) VALUES ('nobody')`,
		`INSERT INTO credits.balances (user_id) VALUES ('org:nothing')`,
		`INSERT INTO credits.stripe_customers (user_id, stripe_customer_id) VALUES ('nobody', 'cus')`,
		`DELETE FROM auth.users WHERE id = 'ada'`,
	} {
		if err := exec(sql); !constraint(err) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
