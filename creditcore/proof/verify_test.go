package proof_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
)

var someDay = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

// asSuperuser runs statements past triggers and row security.
func (b *book) asSuperuser(statements ...string) {
	b.t.Helper()
	admin, err := pgx.Connect(b.t.Context(), b.db.AdminDSN())
	if err != nil {
		b.t.Fatal(err)
	}
	defer admin.Close(context.Background())
	for _, sql := range append([]string{`SET session_replication_role = replica`}, statements...) {
		if _, err := admin.Exec(b.t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			b.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Whatever a superuser changes of a row is found, and the row is named.
func TestAlteredRowIsNamed(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.user("alice", 4)
	b.user("bob", 2)
	if found, report := b.verify(proof.Scope{}); len(found) > 0 || report.Accounts != 2 || report.Rows != 8 || report.Unchained != 0 {
		t.Fatalf("before: %+v, %+v", found, report)
	}
	for _, change := range []string{
		"amount = amount - 1, balance_after = balance_after - 1", "balance_before = balance_before + 1, balance_after = balance_after + 1",
		"type = 'gift'", "status = 'failed'", "app_id = ''", "operation = 'ai'", "description = ''", "metadata = NULL", `metadata = '{}'`,
		"idempotency_key = 'k'", "internal_key = 'k'", "reverses = (SELECT id FROM credits.transactions WHERE user_id = 'bob' LIMIT 1)", "hold_id = 'h'",
		"api_key_id = ''", "spent_by = 'bob'", "created_at = created_at + interval '1 microsecond'", "completed_at = NULL", "id = 'another'",
		`hash = '\x00'`,
	} {
		t.Run(change, func(t *testing.T) {
			b := &book{b.Service, b.ledger, b.notary, t, b.db}
			b.asSuperuser(`CREATE TABLE saved AS SELECT * FROM credits.transactions WHERE user_id = 'alice' AND sequence = 3`,
				`UPDATE credits.transactions SET `+change+` WHERE user_id = 'alice' AND sequence = 3`)
			row, err := dbscope.Row[struct{ ID string }](t.Context(), b.db.Pool, dbscope.System(), `SELECT id FROM credits.transactions WHERE user_id = 'alice' AND sequence = 3`)
			if err != nil {
				t.Fatal(err)
			}
			found, _ := b.verify(proof.Scope{})
			if len(found) == 0 || found[0].Kind != proof.Altered || found[0].Account != "alice" || found[0].Sequence != 3 || found[0].ID != row.ID {
				t.Errorf("found %+v", found)
			}
			for _, x := range found {
				if x.Account != "alice" {
					t.Errorf("also found %+v", x)
				}
			}
			b.asSuperuser(`DELETE FROM credits.transactions WHERE user_id = 'alice' AND sequence = 3`,
				`INSERT INTO credits.transactions SELECT * FROM saved`, `DROP TABLE saved`)
		})
	}
	if found, _ := b.verify(proof.Scope{}); len(found) > 0 {
		t.Errorf("after: %+v", found)
	}
}

// Who hides a change leaves another trace.
func TestHiddenChangesAreFound(t *testing.T) {
	t.Parallel()
	const change = `UPDATE credits.transactions SET description = 'x' WHERE user_id = 'alice' AND sequence = 2`
	const note = `UPDATE credits.balances AS b SET chain_sequence = t.sequence, chain_hash = t.hash FROM credits.transactions AS t
		WHERE t.user_id = b.user_id AND t.sequence = b.sequence`
	const checkpoints = `UPDATE credits.checkpoints AS c SET hash = t.hash FROM credits.transactions AS t
		WHERE t.user_id = c.user_id AND t.sequence = c.sequence`
	for name, tt := range map[string]struct {
		do   []string
		want proof.Breach // without Detail
		says string
	}{
		"a deleted row": {[]string{`DELETE FROM credits.transactions WHERE user_id = 'alice' AND sequence = 2`},
			proof.Breach{Kind: proof.Missing, Account: "alice", Sequence: 2}, "rows 2 to 2"},
		"deleted rows at the end": {[]string{`DELETE FROM credits.transactions WHERE user_id = 'alice' AND sequence >= 4`},
			proof.Breach{Kind: proof.Missing, Account: "alice", Sequence: 4}, "rows 4 to 5"},
		"rows that changed places": {[]string{`UPDATE credits.transactions SET sequence = 105 - sequence WHERE user_id = 'alice' AND sequence IN (2, 3)`,
			`UPDATE credits.transactions SET sequence = sequence - 100 WHERE user_id = 'alice' AND sequence > 100`},
			proof.Breach{Kind: proof.Altered, Account: "alice", Sequence: 2}, "its hash"},
		"a hash taken away": {[]string{`UPDATE credits.transactions SET hash = NULL WHERE user_id = 'alice' AND sequence = 3`},
			proof.Breach{Kind: proof.Unchained, Account: "alice", Sequence: 3}, "no hash"},
		"a chain made anew": {[]string{change, rechain},
			proof.Breach{Kind: proof.Rechained, Account: "alice", Sequence: 5}, "the account has noted"},
		"and noted": {[]string{change, rechain, note},
			proof.Breach{Kind: proof.Rechained, Account: "alice", Sequence: 5, Day: someDay}, "the root of the day has"},
		"and noted for the root": {[]string{change, rechain, note, checkpoints},
			proof.Breach{Kind: proof.RootBroken, Day: someDay}, "whose SHA-256 begins with 2b"},
		"an account that is gone": {[]string{`DELETE FROM credits.transactions WHERE user_id = 'alice'`, `DELETE FROM credits.balances WHERE user_id = 'alice'`},
			proof.Breach{Kind: proof.Missing, Account: "alice", Sequence: 5, Day: someDay}, "the root of the day has the row"},
		"a root of their own": {[]string{change, rechain, note, checkpoints, `UPDATE credits.roots SET hash = sha256('')`},
			proof.Breach{Kind: proof.RootBroken, Day: someDay}, "the root is"},
		"a statement of their own": {[]string{`UPDATE credits.roots SET statement = 'e30.e30.e30'`},
			proof.Breach{Kind: proof.RootBroken, Day: someDay}, "not signed"},
		"a root taken out": {[]string{`DELETE FROM credits.roots WHERE day = '2026-11-28'`},
			proof.Breach{Kind: proof.RootBroken, Day: someDay}, "is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.user("alice", 3)
			b.user("bob", 1)
			b.root(someDay.AddDate(0, 0, -1))
			b.spend("alice", 1)
			b.root(someDay)
			if found, report := b.verify(proof.Scope{}); len(found) > 0 || report.Roots != 2 {
				t.Fatalf("before: %+v, %+v", found, report)
			}
			b.asSuperuser(tt.do...)
			found, report := b.verify(proof.Scope{})
			if int(report.Breaches) != len(found) {
				t.Errorf("%d breaches are counted, %d were found", report.Breaches, len(found))
			}
			for _, x := range found {
				detail := x.Detail
				if x.Detail, x.ID = "", ""; x == tt.want && strings.Contains(detail, tt.says) {
					return
				}
			}
			t.Errorf("found %+v, want %+v, %q", found, tt.want, tt.says)
		})
	}
}

// The ledger from before there were hashes is taken as it is; its last row of each
// account is what the chain begins with.
func TestChainBeginsWithWhatIsThere(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.user("alice", 3)
	b.user("bob", 0)
	b.asSuperuser(`UPDATE credits.transactions SET hash = NULL`, `UPDATE credits.balances SET chain_sequence = NULL, chain_hash = NULL`)
	b.root(someDay.AddDate(0, 0, -1))
	b.spend("alice", 2)
	if _, err := b.ledger.Grant(t.Context(), creditcore.Grant{UserID: "bob", Amount: 1, Type: creditcore.Gift, Source: creditcore.SourceAdmin}); err != nil {
		t.Fatal(err)
	}
	b.root(someDay)
	if found, report := b.verify(proof.Scope{}); len(found) > 0 || report.Rows != 8 || report.Unchained != 5 {
		t.Fatalf("found %+v, %+v", found, report)
	}
	b.asSuperuser(`UPDATE credits.transactions SET amount = 1, balance_before = balance_after - 1 WHERE user_id = 'alice' AND sequence = 4`)
	found, _ := b.verify(proof.Scope{})
	if len(found) == 0 || found[0].Kind != proof.Altered || found[0].Sequence != 5 || found[0].Account != "alice" {
		t.Errorf("found %+v", found)
	}
}

// What came since a root is verified without what stood before it, and one account
// without the others.
func TestVerifyTakesUpAtARoot(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.user("alice", 3)
	b.user("bob", 1)
	b.root(someDay)
	b.spend("alice", 2)
	b.root(someDay.AddDate(0, 0, 1))
	b.spend("bob", 1)
	since := proof.Scope{Since: someDay.AddDate(0, 0, 1).Add(5 * time.Hour)}
	if found, report := b.verify(since); len(found) > 0 || report.Rows != 3+2 || report.Roots != 1 || report.Accounts != 2 {
		t.Errorf("since: %+v, %+v", found, report)
	}
	if found, report := b.verify(proof.Scope{Account: "bob"}); len(found) > 0 || report.Rows != 3 || report.Accounts != 1 {
		t.Errorf("of one account: %+v, %+v", found, report)
	}
	b.asSuperuser(`UPDATE credits.transactions SET description = 'x' WHERE user_id = 'alice' AND sequence = 2`)
	if found, _ := b.verify(since); len(found) > 0 {
		t.Errorf("what is older is found: %+v", found)
	}
	if found, _ := b.verify(proof.Scope{Account: "bob"}); len(found) > 0 {
		t.Errorf("what is another's is found: %+v", found)
	}
	b.asSuperuser(`UPDATE credits.transactions SET description = 'x' WHERE user_id = 'alice' AND sequence = 5`)
	if found, _ := b.verify(since); len(found) != 1 || found[0].Sequence != 5 {
		t.Errorf("found %+v", found)
	}
}

// More accounts than one page, and more rows than one batch.
func TestVerifyReadsInPages(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.asSuperuser(`INSERT INTO auth.users (id, name, email) SELECT 'u' || i, '', i || '@example.com' FROM generate_series(1, 1203) AS i`)
	if _, err := dbscope.Exec(t.Context(), b.db.Pool, dbscope.System(),
		`INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description)
		 SELECT u || '-' || n, u, n, 'gift', 1, n - 1, n, 'admin', '' FROM (SELECT id AS u FROM auth.users) AS u, generate_series(1, 3) AS n ORDER BY n`); err != nil {
		t.Fatal(err)
	}
	b.asSuperuser(`INSERT INTO credits.balances (user_id, balance, total_earned, sequence) SELECT id, 3, 3, 3 FROM auth.users`)
	if found, report := b.verify(proof.Scope{}); len(found) > 0 || report.Accounts != 1203 || report.Rows != 3609 {
		t.Errorf("%+v, %+v", found, report)
	}
	b.asSuperuser(`UPDATE credits.transactions SET app_id = 'x' WHERE id IN ('u7-2', 'u900-3')`)
	if found, _ := b.verify(proof.Scope{}); len(found) != 2 || found[0].ID != "u7-2" || found[1].ID != "u900-3" {
		t.Errorf("%+v", found)
	}
}

// Rows come in the order of their numbers or not at all.
func TestRowWithoutPredecessorIsRefused(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.user("alice", 1)
	_, err := dbscope.Exec(t.Context(), b.db.Pool, dbscope.System(),
		`INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description)
		 VALUES ('x', 'alice', 4, 'gift', 1, 0, 1, 'admin', '')`)
	if err == nil || !strings.Contains(err.Error(), "row 4 of account alice comes without the row before it") {
		t.Error(err)
	}
}
