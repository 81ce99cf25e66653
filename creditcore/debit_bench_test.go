package creditcore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// benchmarkDebit runs 32 debtors over that many accounts.
func benchmarkDebit(b *testing.B, accounts int) {
	db := pgtest.New(b)
	s := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	_, err := dbscope.Exec(b.Context(), db.Pool, dbscope.System(),
		`INSERT INTO auth.users (id, name, email) SELECT 'user-' || i, '', i || '@example.com' FROM generate_series(0, $1::int - 1) AS i`, accounts)
	if err != nil {
		b.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO credits.balances (user_id, balance, total_earned) SELECT id, 1e12, 1e12 FROM auth.users`,
	} {
		if _, err := dbscope.Exec(b.Context(), db.Pool, dbscope.System(), sql); err != nil {
			b.Fatal(err)
		}
	}
	b.SetParallelism(16)
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := int(next.Add(1))
			d := creditcore.Debit{UserID: fmt.Sprintf("user-%d", n*7919%accounts), Amount: 1, AppID: "app", Description: "a use"}
			if _, err := s.Debit(b.Context(), d); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "debits/s")
}

func BenchmarkDebitManyAccounts(b *testing.B) { benchmarkDebit(b, 20_000) }

func BenchmarkDebitHotAccount(b *testing.B) { benchmarkDebit(b, 1) }

func BenchmarkHoldAndSettle(b *testing.B) {
	db := pgtest.New(b)
	l := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	for i := range 1000 {
		user := fmt.Sprintf("user-%d", i)
		if _, err := dbscope.Exec(b.Context(), db.Pool, dbscope.System(),
			`INSERT INTO auth.users (id, name, email) VALUES ($1, '', $1)`, user); err != nil {
			b.Fatal(err)
		}
		if _, err := l.Grant(b.Context(), creditcore.Grant{UserID: user, Amount: creditcore.MaxAmount, Type: creditcore.Gift, Source: creditcore.SourceAdmin}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetParallelism(16)
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, err := l.Hold(b.Context(), creditcore.Hold{UserID: fmt.Sprintf("user-%d", next.Add(1)%1000), Amount: 5})
			if err == nil {
				_, err = l.Settle(b.Context(), h.ID, 3, nil)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}
