package outbox_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/pgtest"
)

func TestRolledBackCauseLeavesNoMessage(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	b := outbox.New(config(t, db.Pool, &in))
	undo := errors.New("undo")
	err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		if err := b.Put(t.Context(), tx, letter("never")); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) || len(rows(t, db)) != 0 {
		t.Errorf("%v, %d messages", err, len(rows(t, db)))
	}
}

// A user's transaction writes a message, acts for the user afterwards, and
// reads no message at any time.
func TestPutUnderTheScopeOfAUser(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	b := outbox.New(config(t, db.Pool, &in))
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(),
		`INSERT INTO auth.users (id, name, email) VALUES ('ada', 'Ada', 'ada@example.com'), ('bob', 'Bob', 'bob@example.com')`); err != nil {
		t.Fatal(err)
	}
	for _, scope := range []dbscope.Scope{dbscope.User("ada", "user"), dbscope.User("ada", "admin"), dbscope.User("", "")} {
		err := dbscope.InTx(t.Context(), db.Pool, scope, func(tx pgx.Tx) error {
			var before, after string
			const who = `SELECT concat_ws(' ', current_user, mana.user_id(), (SELECT count(*) FROM auth.users))`
			if err := tx.QueryRow(t.Context(), who).Scan(&before); err != nil {
				return err
			}
			if err := b.Put(t.Context(), tx, letter("one"), letter("two")); err != nil {
				return err
			}
			if err := tx.QueryRow(t.Context(), who).Scan(&after); err != nil {
				return err
			}
			if before != after {
				t.Errorf("%q before, %q after", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{
			`SELECT count(*) FROM mana.outbox`, `UPDATE mana.outbox SET due_at = now()`, `DELETE FROM mana.outbox`,
			`INSERT INTO mana.outbox (id, channel, kind, body, give_up_at) VALUES ('x', 'mail', 'x', '', now())`,
		} {
			_, err := dbscope.Exec(t.Context(), db.Pool, scope, sql)
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != "42501" {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
	if n := len(rows(t, db)); n != 6 {
		t.Errorf("%d messages", n)
	}
	run(t, b)
	until(t, "all are delivered", func() bool { return len(in.all()) == 6 })
}

func TestPutRefusesWhatNobodyWouldDeliver(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	b := outbox.New(config(t, db.Pool, &in))
	for _, m := range []outbox.Message{{Channel: "pigeon", Kind: "x"}, {Kind: "x"}, {Channel: "mail"}} {
		err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error { return b.Put(t.Context(), tx, m) })
		if err == nil {
			t.Errorf("%+v is taken", m)
		}
	}
}

// A body is unreadable in the database, and gone when it was sent. It opens for
// its own message alone, and with a key that seals no more.
func TestBodies(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	cfg := config(t, db.Pool, &in)
	put(t, outbox.New(cfg), db.Pool, letter("token-of-ada"))
	if r := one(t, db); len(r.Body) == 0 || bytes.Contains(r.Body, []byte("token")) {
		t.Errorf("stored body %q", r.Body)
	}
	cfg.Sealer = keys(t, 2, 1)
	stop := run(t, outbox.New(cfg))
	until(t, "it is on record", func() bool { return one(t, db).Sent })
	if got := in.all(); len(got) != 1 || string(got[0].Body) != `"token-of-ada"` || got[0].UserID != "ada" || got[0].Attempts != 1 {
		t.Errorf("delivered %+v", got)
	}
	if r := one(t, db); len(r.Body) != 0 || r.Leased {
		t.Errorf("after it was sent: %+v", r)
	}
	stop()

	put(t, outbox.New(cfg), db.Pool, letter("hers"), letter("his"))
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		UPDATE mana.outbox AS o SET body = (SELECT p.body FROM mana.outbox AS p WHERE p.id <> o.id AND p.sent_at IS NULL)
		WHERE o.sent_at IS NULL`); err != nil {
		t.Fatal(err)
	}
	run(t, outbox.New(cfg))
	until(t, "both are refused", func() bool {
		list := rows(t, db)
		return list[1].LastError != nil && list[2].LastError != nil
	})
	if got := in.all(); len(got) != 1 {
		t.Errorf("bodies of other messages were delivered: %+v", got[1:])
	}
}

// Poolers allow some ways of asking only.
func TestEveryModeOfExecution(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		cfg, err := pgxpool.ParseConfig(db.DSN)
		if err != nil {
			t.Fatal(err)
		}
		cfg.ConnConfig.DefaultQueryExecMode = mode
		p, err := pgxpool.NewWithConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		in := inbox{}
		b := outbox.New(config(t, p, &in))
		err = dbscope.InTx(t.Context(), p, dbscope.User("ada", "user"), func(tx pgx.Tx) error {
			return b.Put(t.Context(), tx, letter("x"), letter("y"))
		})
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		stop := run(t, b)
		until(t, "both are delivered", func() bool { return len(in.all()) == 2 })
		stop()
		if waiting, dead, _, err := b.Counts(t.Context()); waiting != 0 || dead != 0 || err != nil {
			t.Errorf("%s: %d wait, %d dead, %v", mode, waiting, dead, err)
		}
	}
}

// What somebody delivers by themselves waits meanwhile, and is not delivered
// again.
func TestSettled(t *testing.T) {
	t.Parallel()
	p := pgtest.New(t).Pool
	var in inbox
	b := outbox.New(config(t, p, &in))
	waits, settled, other := letter("waits"), letter("settled"), letter("other")
	waits.After, waits.UserID = time.Hour, "u"
	settled.After, settled.UserID, settled.Kind = 300*time.Millisecond, "u", "settled"
	other.After, other.UserID, other.Kind = 300*time.Millisecond, "another", "settled"
	put(t, b, p, waits, settled, other)
	if err := b.Settle(t.Context(), settled.Channel, "settled", "u"); err != nil {
		t.Fatal(err)
	}
	defer run(t, b)()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && len(in.all()) == 0; time.Sleep(10 * time.Millisecond) {
	}
	time.Sleep(500 * time.Millisecond)
	if got := in.all(); len(got) != 1 || got[0].UserID != "another" {
		t.Errorf("delivered: %+v", got)
	}
}
