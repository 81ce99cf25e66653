package develop

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/localpg"
)

// longestTravel bounds one travel. Far dates would leave the range of some column.
const longestTravel = 10 * 365 * 24 * time.Hour

// accessTokenLife is how long access tokens of the family are taken.
const accessTokenLife = 15 * time.Minute

// ageTries is how often the rows are aged anew where a transaction of the edge
// was in the way.
const ageTries = 5

// travel lets d pass for all that is stored, in the database and at Stripe: it
// becomes older, and clocks stay as they are. Then Stripe does what is due, and
// where access tokens would be over by now, none that was issued is taken any
// more.
func (f *family) travel(ctx context.Context, d time.Duration) error {
	if d < time.Second || d > longestTravel {
		return fmt.Errorf("by: between a second and ten years can pass at once, not %v", d)
	}
	// What happened before is told before.
	if err := f.payments.tell(ctx); err != nil {
		return err
	}
	dsn, err := localpg.AdminDSN(filepath.Join(f.dir, "postgres"))
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = ageRows(ctx, dsn, d)
		var refused *pgconn.PgError
		if err == nil || try == ageTries || !errors.As(err, &refused) || refused.Code != "40P01" { // deadlock
			break
		}
	}
	if err != nil {
		return fmt.Errorf("age the rows: %w", err)
	}
	if d >= accessTokenLife {
		if err := f.endAccessTokens(ctx); err != nil {
			return fmt.Errorf("end the access tokens: %w", err)
		}
	}
	f.payments.stripe.Age(d)
	return f.payments.do(ctx, func() { f.payments.stripe.CatchUp() })
}

// endAccessTokens takes the keys away that signed them.
func (f *family) endAccessTokens(ctx context.Context) error {
	keys, err := f.rt.Auth.Keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if _, err := f.rt.Auth.RevokeKey(ctx, operator, key.ID); err != nil {
			return err
		}
	}
	return nil
}

// timeColumns are those of all tables of ours: of moments, and of days.
const timeColumns = `
	SELECT format('%I.%I', n.nspname, c.relname),
		array_agg(quote_ident(a.attname) ORDER BY a.attnum) FILTER (WHERE a.atttypid <> 'date'::regtype),
		array_agg(quote_ident(a.attname) ORDER BY a.attnum) FILTER (WHERE a.atttypid = 'date'::regtype)
	FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema)' AND a.attnum > 0 AND NOT a.attisdropped
		AND a.attgenerated = '' AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
	GROUP BY 1 ORDER BY 1`

// detour is far enough that no row meets another one on the way whose day, or
// moment, is part of a key.
const detour = 100_000 * 24 * time.Hour

// chainAnew gives the rows of the ledger, whose times are others now, hashes that fit.
// Roots of what was are gone; the next one follows none.
const chainAnew = `
	DO $$
	DECLARE
		account text;
		r       credits.transactions;
		tail    bytea;
	BEGIN
		FOR r IN SELECT * FROM credits.transactions ORDER BY user_id, sequence LOOP
			IF account IS DISTINCT FROM r.user_id THEN
				account := r.user_id; tail := NULL;
			END IF;
			tail := credits.chained(tail, r.user_id, r.sequence, r.id, r.type, r.status, r.amount, r.balance_before, r.balance_after, r.app_id,
				r.operation, r.description, r.metadata, r.idempotency_key, r.internal_key, r.reverses, r.hold_id, r.api_key_id, r.spent_by,
				r.created_at, r.completed_at);
			UPDATE credits.transactions SET hash = tail WHERE id = r.id;
		END LOOP;
		UPDATE credits.balances SET chain_sequence = NULL, chain_hash = NULL WHERE chain_sequence IS NOT NULL;
		DELETE FROM credits.checkpoints;
		DELETE FROM credits.roots;
	END $$`

// ageRows moves all moments of all rows back by d, and days by the whole days in
// it. Triggers do not fire: nothing else about a row changes.
func ageRows(ctx context.Context, dsn string, d time.Duration) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica; SET LOCAL timezone = 'UTC'"); err != nil {
			return err
		}
		type table struct {
			Name          string
			Moments, Days []string
		}
		rows, err := tx.Query(ctx, timeColumns)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
		if err != nil {
			return err
		}
		names := make([]string, len(tables))
		for i, t := range tables {
			names[i] = t.Name
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN EXCLUSIVE MODE"); err != nil {
			return err
		}
		days := int(d / (24 * time.Hour))
		for _, t := range tables {
			for _, by := range []struct {
				moments time.Duration
				days    int
			}{{d + detour, days + int(detour/(24*time.Hour))}, {-detour, -int(detour / (24 * time.Hour))}} {
				var set []string
				for _, column := range t.Moments {
					set = append(set, fmt.Sprintf("%s = %[1]s - make_interval(secs => %f)", column, by.moments.Seconds()))
				}
				for _, column := range t.Days {
					set = append(set, fmt.Sprintf("%s = %[1]s - %d", column, by.days))
				}
				if _, err := tx.Exec(ctx, "UPDATE "+t.Name+" SET "+strings.Join(set, ", ")); err != nil {
					return fmt.Errorf("%s: %w", t.Name, err)
				}
			}
		}
		if _, err := tx.Exec(ctx, chainAnew, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("chain the ledger anew: %w", err)
		}
		// Edges have accounts and sessions in memory.
		_, err = tx.Exec(ctx, "SELECT pg_notify('mana_users', id) FROM auth.users")
		return err
	})
}
