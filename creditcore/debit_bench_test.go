package creditcore_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations"
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

// BenchmarkChainedDebit makes the same debits with and without the hash that chains a
// row to the one before it, by turns in one run: chained/unchained is what the first
// reach of the second in debits a second, the median of all pairs of turns. PostgreSQL
// writes to the disk as it does in production. Run it with -benchtime 20x.
func BenchmarkChainedDebit(b *testing.B) {
	for _, accounts := range []int{1, 2000} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) { benchmarkChainedDebit(b, accounts) })
	}
}

// durable are two databases on a server that commits as one in production does, by
// name: as the login role, and as the superuser.
func durable(b *testing.B, names ...string) (logins, admins []string) {
	dir, err := os.MkdirTemp("", "debits")
	if err == nil {
		err = os.Chmod(dir, 0o711) //nolint:gosec // the server may run as another user
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	server, err := localpg.Start(b.Context(), localpg.Config{Dir: filepath.Join(dir, "postgres")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Stop(context.Background()) })
	admin, err := pgx.Connect(b.Context(), server.AdminDSN())
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close(b.Context())
	at := func(dsn, name string) string {
		u, err := url.Parse(dsn)
		if err != nil {
			b.Fatal(err)
		}
		u.Path = "/" + name
		return u.String()
	}
	for _, name := range names {
		if _, err := admin.Exec(b.Context(), `CREATE DATABASE `+name+` OWNER mana`); err != nil {
			b.Fatal(err)
		}
		conn, err := pgx.Connect(b.Context(), at(server.DSN(), name))
		if err == nil {
			_, err = migrations.Apply(b.Context(), conn)
		}
		if err != nil {
			b.Fatal(err)
		}
		_ = conn.Close(b.Context())
		logins, admins = append(logins, at(server.DSN(), name)), append(admins, at(server.AdminDSN(), name))
	}
	return logins, admins
}

// unchained takes what chains a row out of a database: the trigger, and the steps of
// credits.debit.
func unchained(b *testing.B, dsn string) {
	admin, err := pgx.Connect(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close(b.Context())
	var source string
	if err := admin.QueryRow(b.Context(), `SELECT pg_get_functiondef('credits.debit'::regproc)`).Scan(&source); err != nil {
		b.Fatal(err)
	}
	plain := regexp.MustCompile(`(?s)\ttail := account\.chain_hash;.*?END IF;|\ttail := credits\.chained.*?hashes := hashes \|\| tail;`).ReplaceAllString(source, "")
	for _, part := range []string{", hash)", ", c.hash", ", hashes)", ", hash);", ", chain_sequence = b.sequence + c.n, chain_hash = hashes[c.last]"} {
		with := strings.TrimLeft(part, ", abcdefghijklmnopqrstuvwxyz._+=[]")
		if !strings.Contains(plain, part) {
			continue // taken out with another
		}
		plain = strings.ReplaceAll(plain, part, with)
	}
	if strings.Contains(plain, "hash)") || strings.Contains(plain, "chain_") {
		b.Fatalf("some of the chain is left: %s", plain)
	}
	if _, err := admin.Exec(b.Context(), plain+`; ALTER TABLE credits.transactions DISABLE TRIGGER transactions_chain`, pgx.QueryExecModeSimpleProtocol); err != nil {
		b.Fatal(err)
	}
}

func benchmarkChainedDebit(b *testing.B, accounts int) {
	const debtors, each = 32, 100 // of a turn
	type side struct {
		*creditcore.Service
		took time.Duration
	}
	var ratios []float64
	var sides []*side
	logins, admins := durable(b, "chained", "plain")
	for i, dsn := range logins {
		pool, err := pgxpool.New(b.Context(), dsn)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(pool.Close)
		for _, sql := range []string{
			`INSERT INTO auth.users (id, name, email) SELECT 'user-' || i, '', i || '@example.com' FROM generate_series(0, $1::int - 1) AS i`,
			`INSERT INTO credits.balances (user_id, balance, total_earned) SELECT id, 1e12, 1e12 FROM auth.users WHERE $1::int > 0`,
		} {
			if _, err := dbscope.Exec(b.Context(), pool, dbscope.System(), sql, accounts); err != nil {
				b.Fatal(err)
			}
		}
		if i == 1 {
			unchained(b, admins[i])
		}
		sides = append(sides, &side{Service: creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: pool})})
	}
	var next atomic.Int64
	turn := func(s *side) float64 {
		begun := time.Now()
		concurrently(debtors, func(int) {
			for range each {
				d := creditcore.Debit{UserID: fmt.Sprintf("user-%d", int(next.Add(1))*7919%accounts), Amount: 1, AppID: "app", Description: "a use"}
				if _, err := s.Debit(b.Context(), d); err != nil {
					b.Error(err)
					return
				}
			}
		})
		s.took += time.Since(begun)
		return time.Since(begun).Seconds()
	}
	for _, s := range sides { // warms up
		turn(s)
		s.took = 0
	}
	b.ResetTimer()
	for i := range b.N {
		first, second := turn(sides[i%2]), turn(sides[1-i%2])
		if i%2 == 1 {
			first, second = second, first
		}
		ratios = append(ratios, second/first)
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "chained/unchained")
	b.ReportMetric(float64(b.N*debtors*each)/sides[0].took.Seconds(), "debits/s")
}
