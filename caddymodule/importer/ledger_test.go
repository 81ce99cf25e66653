package importer_test

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// Whatever a ledger of the source looks like, here it is sound and ends with the balance
// of the source; so it stays when the source goes on.
func TestAnyLedger(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 1)
	to := pgtest.New(t)
	seed := float64(rand.IntN(1000)) / 1000
	t.Logf("seed %v", seed)
	at(t, from, `INSERT INTO auth.users (id, name, email) SELECT 'u' || i, '', 'u' || i || '@example.com' FROM generate_series(1, 300) AS i`)
	const more = `
		INSERT INTO credits.transactions (user_id, type, status, amount, balance_before, balance_after, app_id, description, metadata, idempotency_key, created_at)
		SELECT 'u' || i, (enum_range(NULL::public.transaction_type))[1 + floor(random() * 11)], CASE WHEN random() < 0.9 THEN 'completed' ELSE 'failed' END::public.transaction_status,
			floor(random() * 41) - 20 + CASE WHEN random() < 0.1 THEN 0.0625 ELSE 0 END, 0, 0, 'app' || floor(random() * 3), '',
			CASE WHEN random() < 0.2 THEN '{"purchaseId": "x"}'::jsonb END, CASE WHEN random() < 0.3 THEN gen_random_uuid()::text END,
			now() - random() * interval '3 days'
		FROM generate_series(1, 300) AS i, generate_series(1, 8) AS n WHERE random() < 0.5`
	at(t, from, `SELECT setseed(`+strconv.FormatFloat(seed, 'f', 6, 64)+`)`, more, `INSERT INTO credits.balances (user_id, balance) SELECT 'u' || i, floor(random() * 80) - 20 FROM generate_series(1, 300) AS i WHERE random() < 0.9`)
	for round := range 3 {
		carryOver(t, from, to)
		if report := wantSound(t, to); report.Accounts != 301 {
			t.Errorf("%d accounts", report.Accounts)
		}
		there, owners := balancesOf(t, from)
		here := value(t, to, `SELECT (sum(balance) / 1000)::bigint || ' ' || (sum(debt) / 1000)::bigint FROM credits.balances WHERE user_id = ANY ($1)`, owners)
		if there != here {
			t.Errorf("round %d: balances and debts %s, at the source %s", round, here, there)
		}
		at(t, from, more, `UPDATE credits.balances SET balance = floor(random() * 80) - 20 WHERE random() < 0.7`)
	}
}

// balancesOf are the sums of balances above and below zero, and whose they are.
func balancesOf(t *testing.T, from *pgtest.Database) (sums string, owners []string) {
	t.Helper()
	err := from.Pool.QueryRow(t.Context(), `
		SELECT sum(greatest(balance, 0))::bigint || ' ' || sum(greatest(-balance, 0))::bigint, array_agg(user_id) FROM credits.balances`).Scan(&sums, &owners)
	if err != nil {
		t.Fatal(err)
	}
	return sums, owners
}

// The ledger goes on as if it had always been here: old charges can be refunded, old
// purchases taken back, and old gifts claimed and cancelled.
func TestImportedLedgerGoesOn(t *testing.T) {
	t.Parallel()
	from, _ := oldDatabase(t, 50)
	to := pgtest.New(t)
	carryOver(t, from, to)
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: to.Pool})
	user := func(i string) string { return value(t, to, `SELECT md5('user' || $1)`, i) }
	balance := func(i, want string) {
		t.Helper()
		if got := value(t, to, `SELECT balance || ' ' || debt FROM credits.balances WHERE user_id = md5('user' || $1)`, i); got != want {
			t.Errorf("person %s has %s, want %s", i, got, want)
		}
	}
	if _, err := ledger.Refund(t.Context(), creditcore.Refund{
		UserID: user("2"), Amount: 3000, EntryID: value(t, to, `SELECT md5('out0-2')::uuid`), AppID: "chat", Type: creditcore.Returned, Description: "back",
	}); err != nil {
		t.Errorf("a refund: %v", err)
	}
	balance("2", "16000 0")
	err := dbscope.InTx(t.Context(), to.Pool, dbscope.System(), func(tx pgx.Tx) error {
		_, err := ledger.ClawbackTx(t.Context(), tx, creditcore.Clawback{
			UserID: user("6"), Reference: "purchase:" + value(t, to, `SELECT md5('purchase6')::uuid`), Amount: 100_000, AppID: "stripe", Description: "dispute",
		})
		return err
	})
	if err != nil {
		t.Errorf("a purchase taken back: %v", err)
	}
	balance("6", "0 7000")
	gifts := gift.New(gift.Config{BaseURL: "https://auth.example.com"}, gift.Deps{Pool: to.Pool, Ledger: ledger})
	if _, err := gifts.Cancel(t.Context(), creditcore.Caller{UserID: user("31")}, value(t, to, `SELECT md5('gift31')::uuid`)); err != nil {
		t.Errorf("a gift cancelled: %v", err)
	}
	balance("31", "93000 0")
	wantSound(t, to)
}
