package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

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
	metered, err := s.startEdge(ctx, "mana_auth\n\t\t@paid path /paid\n\t\tmana_credits @paid 0.001 {\n\t\t\tapp bench\n\t\t}\n\t\treverse_proxy "+s.upstream)
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
	for _, measure := range []func(context.Context, *stand, *report, *proxy, []string) error{measureBalance, measureUse, measureHotAccount, measureMetered} {
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
	sides, err := s.contest(ctx, contestant{"pgbench, indexed SELECT", bare}, contestant{"GET /health/live, no database", idle}, contestant{route, Load{
		Address: edge.Address, Clients: s.clients,
		Request: func(client, n int) []byte {
			i := int(next.Add(1))
			return get("auth.mana.localhost", "/api/v1/credits/balance", bearers[i%len(bearers)], "X-Forwarded-For: "+address(i))
		},
	}})
	if err != nil {
		return err
	}
	r.compare("Balance", sides, map[string]string{route: "rate ≥ 0.5"})
	return nil
}

// use is a load of debits through the API, of accounts chosen by which.
func (s *stand) use(edge *proxy, which func(n int) int) Load {
	var next atomic.Int64
	return Load{
		Address: edge.Address, Clients: s.clients,
		Request: func(int, int) []byte {
			n := int(next.Add(1))
			return post("auth.mana.localhost", "/api/v1/credits/use",
				`{"userId":"bench-user-`+strconv.Itoa(which(n))+`","amount":0.001,"appId":"bench","description":"a use"}`,
				"X-Service-Key: "+serviceKey, "X-Forwarded-For: "+address(n))
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
	r.compare("Debits of many accounts", sides, map[string]string{route: "rate ≥ 0.6"})
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

func measureMetered(ctx context.Context, s *stand, r *report, edge *proxy, bearers []string) error {
	load := func(path string) Load {
		var next atomic.Int64
		return Load{Address: edge.Address, Clients: s.clients, Request: func(int, int) []byte {
			return get(appHost, path, bearers[int(next.Add(1))%len(bearers)])
		}}
	}
	sides, err := s.contest(ctx, contestant{"the gate alone", load("/free")}, contestant{"the gate and a fixed price", load("/paid")})
	if err != nil {
		return err
	}
	r.compare("A metered route", sides, nil)
	return nil
}
