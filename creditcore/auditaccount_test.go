package creditcore_test

import (
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/pgtest"
)

// The audit of one account finds what is broken there, and not what is elsewhere.
func TestAuditOfOneAccount(t *testing.T) {
	t.Parallel()
	for invariant, sql := range map[string]string{
		"balance is the sum of the ledger": `UPDATE credits.balances SET balance = balance + 1, total_earned = total_earned + 1 WHERE user_id = 'alice'`,
		"rows are numbered without gaps":   `DELETE FROM credits.transactions WHERE sequence = 2 AND user_id = 'alice'`,
		"held is the sum of open holds":    `UPDATE credits.balances SET held = held + 1 WHERE user_id = 'alice'`,
		"lots hold the balance":            `UPDATE credits.lots SET remaining = remaining - 1, burnt = burnt + 1 WHERE user_id = 'alice'`,
		"debt is the sum of its rows":      `UPDATE credits.balances SET debt = debt + 1 WHERE user_id = 'alice'`,
	} {
		t.Run(invariant, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			l := &ledger{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), t, db, false}
			for _, who := range []string{"alice", "bob"} {
				user := l.user(who, 100)
				l.spend(user, 10)
				l.hold(creditcore.Hold{UserID: user, Amount: 10})
			}
			for _, who := range []string{"alice", "bob"} {
				if report, err := l.AuditAccount(t.Context(), who); err != nil || len(report.Breaches) > 0 || report.Accounts != 1 || report.Entries != 2 {
					t.Fatalf("%s before: %+v, %v", who, report, err)
				}
			}
			db.Tamper(t, sql)
			report, err := l.AuditAccount(t.Context(), "alice")
			found := false
			for _, b := range report.Breaches {
				found = found || b.Invariant == invariant && b.UserID == "alice"
			}
			if err != nil || !found {
				t.Errorf("alice: %+v, %v", report, err)
			}
			if report, err := l.AuditAccount(t.Context(), "bob"); err != nil || len(report.Breaches) > 0 {
				t.Errorf("bob: %+v, %v", report, err)
			}
		})
	}
}
