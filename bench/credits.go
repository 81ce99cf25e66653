package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/localpg"
)

const (
	// creditAccounts are the many accounts of a load.
	creditAccounts = 20_000
	// creditReaders read their own balance, each by a token.
	creditReaders = 64
	serviceKey    = "bench-service-key-of-more-than-32-bytes"
)

// The same work by bare SQL, on tables of the same width, without row-level
// security, idempotency, lots or usage.
const (
	bareTables = `
		CREATE SCHEMA IF NOT EXISTS bench;
		DROP TABLE IF EXISTS bench.transactions, bench.balances;
		CREATE TABLE bench.balances (user_id text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0), total_earned bigint NOT NULL,
			total_spent bigint NOT NULL, version bigint NOT NULL, updated_at timestamptz NOT NULL) WITH (fillfactor = 70);
		CREATE TABLE bench.transactions (id text PRIMARY KEY, user_id text NOT NULL, type text NOT NULL, amount bigint NOT NULL,
			app_id text NOT NULL, description text NOT NULL, created_at timestamptz NOT NULL);
		CREATE INDEX ON bench.transactions (user_id, created_at);
		INSERT INTO bench.balances SELECT 'bench-user-' || i, 1000000000000, 1000000000000, 0, 0, now()
		FROM generate_series(0, %d) AS i`
	bareSelect = `\set id random(0, %d)
SELECT balance, total_earned, total_spent FROM bench.balances WHERE user_id = 'bench-user-' || :id;
`
	bareDebit = `\set id random(0, %d)
BEGIN;
UPDATE bench.balances SET balance = balance - 1, total_spent = total_spent + 1, version = version + 1, updated_at = now() WHERE user_id = 'bench-user-' || :id;
INSERT INTO bench.transactions VALUES (gen_random_uuid()::text, 'bench-user-' || :id, 'usage', -1, 'bench', 'a use', now());
END;
`
)

// fill gives every seeded user credits, and makes the tables of the bare side.
func (s *stand) fill(ctx context.Context) error {
	dsn, _, err := localpg.Attach(ctx, s.databaseDir())
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			SELECT set_config('role', 'mana_system', true);
			INSERT INTO credits.balances (user_id, balance, total_earned, sequence, version)
			SELECT id, 1000000000000, 1000000000000, 1, 1 FROM auth.users WHERE id LIKE 'bench-user-%'
			ON CONFLICT DO NOTHING;
			INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description, completed_at)
			SELECT 'grant-' || user_id, user_id, 1, 'gift', 1000000000000, 0, 1000000000000, 'bench', 'seed', now() FROM credits.balances;
			INSERT INTO credits.lots (transaction_id, user_id, sequence, source, granted, remaining)
			SELECT 'grant-' || user_id, user_id, 1, 'admin', 1000000000000, 1000000000000 FROM credits.balances`,
			pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		return fmt.Errorf("grant: %w", err)
	}
	results := conn.PgConn().Exec(ctx, fmt.Sprintf(bareTables, creditAccounts-1))
	if err := results.Close(); err != nil {
		return fmt.Errorf("bare tables: %w", err)
	}
	for _, sql := range []string{`VACUUM ANALYZE bench.balances`, `SET ROLE mana_owner`, `ANALYZE credits.balances, credits.transactions, credits.lots`} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// measureCredits compares the credit routes with the same work by pgbench on
// the same cluster, and a metered route with the gate alone.
func measureCredits(ctx context.Context, s *stand, r *report) error {
	metered, err := s.startEdge(ctx, `mana_auth
		@paid path /paid /failing /stream-paid
		mana_credits @paid 0.001 {
			app bench
		}
		@open path /open
		mana_credits @open 0.002 {
			app bench
			cost_from X-Mana-Cost
		}
		@batched path /batched
		mana_credits @batched 0.001 {
			app bench
			durability batched
		}
		@tokens path /stream-metered
		mana_credits @tokens 1 {
			app bench
			cost_tokens bench.token
		}
		reverse_proxy `+s.upstream)
	if err != nil {
		return err
	}
	if _, err := s.seed(ctx, creditAccounts, 0); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	bearers := make([]string, creditReaders)
	for i := range bearers {
		signedIn, err := login(ctx, metered, i)
		if err != nil {
			return err
		}
		bearers[i] = "Authorization: Bearer " + signedIn.AccessToken
	}
	for _, measure := range []func(context.Context, *stand, *report, *proxy, []string) error{measureBalance, measureHistory, measureUse, measureHotAccount, measureLockedAccount, measureBatch, measureMetered, measureTokens} {
		if err := measure(ctx, s, r, metered, bearers); err != nil {
			return err
		}
	}
	return nil
}

func measureBalance(ctx context.Context, s *stand, r *report, edge *proxy, bearers []string) error {
	bare, err := s.newPgbench(ctx, "select", fmt.Sprintf(bareSelect, creditAccounts-1))
	if err != nil {
		return err
	}
	const route = "GET /api/v1/credits/balance"
	var next atomic.Int64
	// A route that asks nobody shows what HTTP alone can do here.
	idle := Load{Address: edge.Address, Clients: s.clients, Request: func(int, int) []byte {
		return get("auth.mana.localhost", "/health/live", "X-Forwarded-For: "+address(int(next.Add(1))))
	}}
	sides, err := s.contest(ctx, contestant{"GET /health/live, no database", idle}, contestant{"pgbench, indexed SELECT", bare}, contestant{route, Load{
		Address: edge.Address, Clients: s.clients,
		Request: func(client, n int) []byte {
			i := int(next.Add(1))
			return get("auth.mana.localhost", "/api/v1/credits/balance", bearers[i%len(bearers)], "X-Forwarded-For: "+address(i))
		},
	}})
	if err != nil {
		return err
	}
	r.compare("Balance", sides, map[string]string{route: "rate ≥ 0.7"})
	return nil
}

// debit is a request that charges a user.
func (s *stand) debit(user, n int) []byte {
	return post("auth.mana.localhost", "/api/v1/credits/use",
		`{"userId":"bench-user-`+strconv.Itoa(user)+`","amount":0.001,"appId":"bench","description":"a use"}`,
		"X-Service-Key: "+serviceKey, "X-Forwarded-For: "+address(n))
}

// use is a load of debits through the API, of accounts chosen by which.
func (s *stand) use(edge *proxy, which func(n int) int) Load {
	var next atomic.Int64
	return Load{
		Address: edge.Address, Clients: s.clients,
		Request: func(int, int) []byte {
			n := int(next.Add(1))
			return s.debit(which(n), n)
		},
		Answer: func(_, _, status int, body []byte) error {
			if status != 201 {
				return fmt.Errorf("status %d: %.200s", status, body)
			}
			return nil
		},
	}
}

func measureUse(ctx context.Context, s *stand, r *report, edge *proxy, _ []string) error {
	bare, err := s.newPgbench(ctx, "debit", fmt.Sprintf(bareDebit, creditAccounts-1))
	if err != nil {
		return err
	}
	const route = "POST /api/v1/credits/use"
	spread := func(n int) int { return n * 7919 % creditAccounts }
	sides, err := s.contest(ctx, contestant{"pgbench, UPDATE and INSERT", bare}, contestant{route, s.use(edge, spread)})
	if err != nil {
		return err
	}
	r.compare("Debits of many accounts", sides, map[string]string{route: "rate ≥ 0.8"})
	return s.measureChain(ctx, r, median(sides[1].rates()))
}

// measureChain times what chains a row of the ledger to the one before. No row is without, so
// there is no other side: it is PostgreSQL's time for as many hashes, beside the cores that
// the debits had.
func (s *stand) measureChain(ctx context.Context, r *report, debits float64) error {
	const rows = 100_000
	dsn, _, err := localpg.Attach(ctx, s.databaseDir())
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	timed := func(value string) (time.Duration, error) {
		var took []float64
		for range 5 {
			began := time.Now()
			if _, err := conn.Exec(ctx, `BEGIN; SELECT set_config('role', 'mana_system', true);
				SELECT count(`+value+`) FROM generate_series(1, `+strconv.Itoa(rows)+`) AS i; COMMIT`, pgx.QueryExecModeSimpleProtocol); err != nil {
				return 0, err
			}
			took = append(took, float64(time.Since(began)))
		}
		return time.Duration(median(took)), nil
	}
	bare, err := timed(`sha256('\x00')`)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	chained, err := timed(`credits.chained(sha256('\x00'), 'bench-user-0', i, 'bench-id', 'usage', 'completed', -1, 1000000, 999999, 'bench', NULL, 'a use',
		NULL, NULL, NULL, NULL, NULL, NULL, NULL, now(), now())`)
	if err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	hash := (chained - bare) / rows
	r.line("")
	r.fact("what chains a row, in CPU of PostgreSQL", fmt.Sprintf("%v, %.1f %% of the cores at that rate", hash.Round(100*time.Nanosecond),
		100*hash.Seconds()*debits/float64(runtime.NumCPU())), "")
	return nil
}

func measureHotAccount(ctx context.Context, s *stand, r *report, edge *proxy, _ []string) error {
	bare, err := s.newPgbench(ctx, "hot", fmt.Sprintf(bareDebit, 0))
	if err != nil {
		return err
	}
	const route = "POST /api/v1/credits/use"
	sides, err := s.contest(ctx, contestant{"pgbench, UPDATE and INSERT", bare}, contestant{route, s.use(edge, func(int) int { return 0 })})
	if err != nil {
		return err
	}
	r.compare("Debits of one account", sides, map[string]string{route: "rate ≥ 5"})
	return nil
}

// measureLockedAccount locks an account from outside and sends it one request
// in a hundred.
func measureLockedAccount(ctx context.Context, s *stand, r *report, edge *proxy, _ []string) error {
	const locked, beside = 1, "beside a locked account"
	dsn, _, err := localpg.Attach(ctx, s.databaseDir())
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	free := s.use(edge, func(n int) int { return 2 + n*7919%(creditAccounts-2) })
	with := free
	with.Request = func(client, n int) []byte {
		if client == 0 {
			return s.debit(locked, n)
		}
		return free.Request(client, n)
	}
	with.Answer = func(client, n, status int, body []byte) error {
		if client == 0 && status == 503 {
			return nil
		}
		return free.Answer(client, n, status, body)
	}
	lock := func() error {
		_, err := conn.Exec(ctx, `BEGIN; SELECT set_config('role', 'mana_system', true);
			SELECT 1 FROM credits.balances WHERE user_id = 'bench-user-`+strconv.Itoa(locked)+`' FOR UPDATE`, pgx.QueryExecModeSimpleProtocol)
		return err
	}
	unlock := func() error {
		_, err := conn.Exec(ctx, `ROLLBACK`)
		return err
	}
	sides, err := s.contest(ctx, contestant{"debits", free}, contestant{beside, during{with, lock, unlock}})
	if err != nil {
		return err
	}
	r.compare("Debits beside an account that somebody else has locked", sides, map[string]string{beside: "rate ≥ 0.9"})
	return nil
}

// during runs a load between two steps.
type during struct {
	load          Load
	before, after func() error
}

// Run implements loader.
func (d during) Run(ctx context.Context, span time.Duration) (Sample, error) {
	if err := d.before(); err != nil {
		return Sample{}, err
	}
	sample, err := d.load.Run(ctx, span)
	return sample, errors.Join(err, d.after())
}

// measureHistory compares the first and the ten-thousandth page of a ledger of
// a million rows.
func measureHistory(ctx context.Context, s *stand, r *report, edge *proxy, bearers []string) error {
	const rows, limit, deep = 1_000_000, 50, "offset 499 950"
	if err := s.lengthen(ctx, rows); err != nil {
		return err
	}
	page := func(query string) Load {
		return Load{Address: edge.Address, Clients: s.clients, Request: func(_, n int) []byte {
			return get("auth.mana.localhost", "/api/v1/credits/transactions?limit="+strconv.Itoa(limit)+query, bearers[0], "X-Forwarded-For: "+address(n))
		}}
	}
	sides, err := s.contest(ctx, contestant{"the first page", page("")}, contestant{deep, page("&offset=499950")},
		contestant{"before=500050", page("&before=500050")})
	if err != nil {
		return err
	}
	r.compare("History of a million rows, pages of 50", sides, map[string]string{deep: "p99 ≤ 2", "before=500050": "p99 ≤ 2"})
	return nil
}

// lengthen gives the first user a ledger of so many rows.
func (s *stand) lengthen(ctx context.Context, rows int) error {
	dsn, _, err := localpg.Attach(ctx, s.databaseDir())
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf(`BEGIN;
		SELECT set_config('role', 'mana_system', true);
		INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description, completed_at)
		SELECT 'long-' || i, 'bench-user-0', i, 'usage', -1, 1000000000001 - (i - 1), 1000000000000 - (i - 1), 'bench', 'a use', now()
		FROM generate_series(2, %[1]d) AS i;
		UPDATE credits.balances SET sequence = %[1]d, version = %[1]d, balance = balance - %[1]d + 1, total_spent = total_spent + %[1]d - 1,
			unburnt = unburnt + %[1]d - 1 WHERE user_id = 'bench-user-0';
		INSERT INTO credits.usage_watermarks AS w (user_id, sequence) VALUES ('bench-user-0', %[1]d)
		ON CONFLICT (user_id) DO UPDATE SET sequence = EXCLUDED.sequence;
		COMMIT; SET ROLE mana_owner; ANALYZE credits.transactions`, rows), pgx.QueryExecModeSimpleProtocol)
	return err
}

func measureMetered(ctx context.Context, s *stand, r *report, edge *proxy, bearers []string) error {
	var key atomic.Int64
	load := func(path string, status int, headers ...string) Load {
		var next atomic.Int64
		return Load{
			Address: edge.Address, Clients: s.clients,
			Request: func(int, int) []byte {
				lines := append([]string{bearers[int(next.Add(1))%len(bearers)]}, headers...)
				if len(headers) > 0 {
					lines[len(lines)-1] += strconv.FormatInt(key.Add(1), 10)
				}
				return get(appHost, path, lines...)
			},
			Answer: func(_, _, got int, body []byte) error {
				if got != status {
					return fmt.Errorf("status %d: %.200s", got, body)
				}
				return nil
			},
		}
	}
	const batched = "the same, durability batched"
	const fixed, failing, keyed, open = "the gate and a fixed price", "the same, the app answers 502", "the same with a key", "cost_from"
	sides, err := s.contest(ctx, contestant{"the gate alone", load("/free", 200)}, contestant{fixed, load("/paid", 200)}, contestant{batched, load("/batched", 200)})
	if err != nil {
		return err
	}
	r.compare("A metered route", sides, map[string]string{fixed: "rate ≥ 0.55", batched: "rate ≥ 0.85"})
	sides, err = s.contest(ctx, contestant{fixed, load("/paid", 200)}, contestant{failing, load("/failing", 502)},
		contestant{keyed, load("/paid", 200, "Idempotency-Key: bench-")}, contestant{open, load("/open", 200)})
	if err != nil {
		return err
	}
	const half = "rate ≥ 0.5"
	r.compare("A metered route that fails, or whose price is reserved first", sides, map[string]string{failing: half, keyed: half, open: half})
	return nil
}
