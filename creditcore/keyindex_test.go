package creditcore_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
	"mana.how/edge/migrations/functions"
)

// What one key costs to look for does not grow with the keys of others, in a debit, a hold
// and a settlement that comes late.
func TestKeyIsFoundAmongMany(t *testing.T) {
	t.Parallel()
	l := &ledger{t: t, db: pgtest.New(t)}
	l.exec(`INSERT INTO auth.users (id, name, email) SELECT id, id, id || '@example.com' FROM unnest(ARRAY['ada', 'bob']) AS id`)
	l.exec(`INSERT INTO credits.balances (user_id, balance, total_earned) SELECT id, 1000, 1000 FROM auth.users`)
	l.exec(`INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description, idempotency_key, fingerprint, hash)
		SELECT 'charge-' || i, 'bob', i, 'usage', -1, 2, 1, 'app', '', 'key-' || i, '\x00', '\x00' FROM generate_series(1, 20000) AS i`)
	l.exec(`INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, idempotency_key, fingerprint, expires_at, state, settled_amount, resolved_at)
		SELECT 'hold-' || i, 'bob', 1, 'app', '', '', 'key-' || i, '\x00', now(), 'settled', 0, now() FROM generate_series(1, 20000) AS i`)
	for _, kind := range []string{"debit", "hold", "settle"} {
		err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			var read []int
			for _, key := range []any{nil, "warm", nil, "mine"} { // the first two fill the caches of the session
				n, err := pagesOf(t.Context(), tx, kind, key)
				if err != nil {
					return err
				}
				read = append(read, n)
			}
			if without, with := read[2], read[3]; without == 0 || with > without+20 {
				t.Errorf("%s: %d pages with a key, %d without", kind, with, without)
			}
			return errUndone
		})
		if !errors.Is(err, errUndone) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// pagesOf is how many pages PostgreSQL looks at to carry out an item of ada's.
func pagesOf(ctx context.Context, tx pgx.Tx, kind string, key any) (int, error) {
	late := unique()
	if _, err := tx.Exec(ctx, `INSERT INTO credits.holds (id, user_id, amount, app_id, operation, description, idempotency_key, fingerprint, expires_at, state, resolved_at)
		VALUES ($1, 'ada', 1, 'app', '', '', $2, '\x00', now(), 'expired', now())`, late, key); err != nil {
		return 0, err
	}
	var raw []byte
	err := tx.QueryRow(ctx, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM `+functions.Schema+`.batch(
		false, ARRAY[$1], ARRAY['ada'], ARRAY[$2 || 'x'], ARRAY[$2], ARRAY['usage'], ARRAY[1::bigint], ARRAY['app'], ARRAY[''], ARRAY[''],
		ARRAY[NULL], ARRAY[$3], ARRAY['\x00'::bytea], ARRAY[interval '1 minute'], ARRAY[NULL], ARRAY[NULL::bytea], ARRAY[NULL], ARRAY[NULL])`,
		kind, late, key).Scan(&raw)
	if err != nil {
		return 0, err
	}
	var plan []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(raw, &plan); err != nil {
		return 0, err
	}
	return plan[0].Plan.Hit + plan[0].Plan.Read, nil
}
