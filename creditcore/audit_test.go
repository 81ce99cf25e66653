package creditcore_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/pgtest"
)

// Every invariant that the audit names is one it can find broken.
func TestAuditFindsEveryBreach(t *testing.T) {
	t.Parallel()
	const unguarded = `SET session_replication_role = replica; `
	for invariant, sql := range map[string]string{
		"balance is the sum of the ledger": `UPDATE credits.balances SET balance = balance + 1, total_earned = total_earned + 1`,
		"rows are numbered without gaps":   `DELETE FROM credits.transactions WHERE sequence = 2`,
		"each row begins where the one before ended": `UPDATE credits.transactions
			SET balance_before = balance_before + 1, balance_after = balance_after + 1 WHERE sequence = 2`,
		"balance is earned minus spent": `ALTER TABLE credits.balances DROP CONSTRAINT balances_check1, DROP CONSTRAINT balances_check;
			UPDATE credits.balances SET total_spent = total_spent + 1`,
		"total earned is the sum of grants": `UPDATE credits.balances SET total_earned = total_earned + 1, total_spent = total_spent + 1`,
		"held is the sum of open holds":     `UPDATE credits.balances SET held = held + 1`,
		"lots hold the balance":             `UPDATE credits.lots SET remaining = remaining - 1, burnt = burnt + 1`,
		"a lot is what became of it": `ALTER TABLE credits.lots DROP CONSTRAINT lots_check;
			UPDATE credits.lots SET granted = granted + 1`,
		"nothing that expired lives on": `UPDATE credits.lots SET expires_at = now() WHERE sequence = 1`,
		"debt is the sum of its rows":   `UPDATE credits.balances SET debt = debt + 1`,
		"a paid debt has its ledger row": `INSERT INTO credits.debts (user_id, reference, kind, amount) VALUES ('alice', 'x', 'incurred', 5);
			INSERT INTO credits.debts (user_id, reference, kind, amount, transaction_id)
			SELECT 'alice', 'x', 'paid', -5, id FROM credits.transactions WHERE sequence = 1`,
		"a gift has what lots gave it": `INSERT INTO credits.draws (transaction_id, position, user_id, lot_id, amount)
			SELECT t.id, 1, 'alice', l.id, 9 FROM credits.transactions AS t, credits.lots AS l WHERE t.sequence = 2 AND l.sequence = 1`,
		"what a gift passed on are lots": `INSERT INTO credits.draws (transaction_id, position, user_id, lot_id, amount, passed_on)
			SELECT t.id, 1, 'alice', l.id, 10, 10 FROM credits.transactions AS t, credits.lots AS l WHERE t.sequence = 2 AND l.sequence = 1`,
		"a settled hold has its ledger row":   `UPDATE credits.holds SET settled_amount = settled_amount - 1 WHERE state = 'settled'`,
		"no more comes back than was charged": `UPDATE credits.transactions SET amount = 50, balance_after = balance_before + 50 WHERE type = 'refund'`,
		"what an edge left in flight came back": `INSERT INTO credits.edges (id, horizon, seen_at) VALUES ('gone', '', now() - interval '2 minutes');
			UPDATE credits.transactions SET edge = 'gone' WHERE hold_id IS NOT NULL`,
		"usage is added up to a row of the ledger": `UPDATE credits.usage_watermarks SET sequence = 1000`,
		"usage is what was charged":                `UPDATE credits.usage_stats SET credits_used = credits_used + 1`,
	} {
		t.Run(invariant, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			l := &ledger{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), t, db, false}
			alice := l.user("alice", 100)
			charge := l.spend(alice, 10)
			if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 5, EntryID: charge.Entry.ID}); err != nil {
				t.Fatal(err)
			}
			settled := l.hold(creditcore.Hold{UserID: alice, Amount: 10})
			if _, err := l.Settle(t.Context(), settled.ID, 10, nil); err != nil {
				t.Fatal(err)
			}
			l.hold(creditcore.Hold{UserID: alice, Amount: 10})
			l.rollUp()
			if report, err := l.Audit(t.Context()); err != nil || len(report.Breaches) > 0 || report.Accounts != 1 || report.Entries != 4 {
				t.Fatalf("before: %+v, %v", report, err)
			}
			admin, err := pgx.Connect(t.Context(), db.AdminDSN())
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close(t.Context())
			if _, err := admin.Exec(t.Context(), unguarded+sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
			report, err := l.Audit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range report.Breaches {
				if b.Invariant == invariant && b.UserID == "alice" {
					return
				}
			}
			t.Errorf("not found; breaches: %+v", report.Breaches)
		})
	}
}
