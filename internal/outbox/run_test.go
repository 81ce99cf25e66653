package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/pgtest"
)

func TestTwoBoxesDeliverEachMessageOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const each, writers = 500, 6
	var in inbox
	var sent atomic.Int64
	cfg := config(t, db.Pool, &in)
	cfg.Observe = func(channel, kind, outcome string, _ time.Duration) {
		if channel == "mail" && kind == "reset_password" && outcome == outbox.Sent {
			sent.Add(1)
		}
	}
	boxes := []*outbox.Box{outbox.New(cfg), outbox.New(cfg)}
	for _, b := range boxes {
		run(t, b)
	}
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			for n := 0; n < each; n += 10 {
				var batch []outbox.Message
				for i := range 10 {
					batch = append(batch, letter(fmt.Sprint(w, " ", n+i)))
				}
				err := dbscope.InTx(t.Context(), db.Pool, dbscope.System(), func(tx pgx.Tx) error {
					return boxes[w%2].Put(t.Context(), tx, batch...)
				})
				if err != nil {
					errs <- err
					return
				}
				boxes[w%2].Wake()
			}
			errs <- nil
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all are on record", func() bool { return sent.Load() >= each*writers })
	seen := map[string]int{}
	for _, m := range in.all() {
		seen[string(m.Body)]++
	}
	if len(in.all()) != each*writers || len(seen) != each*writers {
		t.Errorf("%d deliveries of %d messages, want %d", len(in.all()), len(seen), each*writers)
	}
	if waiting, dead, oldest, err := boxes[0].Counts(t.Context()); waiting != 0 || dead != 0 || oldest != 0 || err != nil {
		t.Errorf("%d wait, %d dead, oldest %s, %v", waiting, dead, oldest, err)
	}
}

// With the settings of the product a message leaves at once where Wake is
// called, and within two seconds where the edge that wrote it is gone.
func TestAMessageLeavesSoon(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	cfg := config(t, db.Pool, &in)
	cfg.Poll = 0
	b := outbox.New(cfg)
	run(t, b)
	until(t, "the first look is over", func() bool { // so that Wake, and no look of its own, is what starts it
		_, err := b.Prune(t.Context())
		return err == nil
	})
	time.Sleep(100 * time.Millisecond)
	put(t, b, db.Pool, letter("woken"))
	began := time.Now()
	b.Wake()
	until(t, "the first is delivered", func() bool { return len(in.all()) == 1 })
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("woken, it took %s", took)
	}
	dead := outbox.New(cfg) // never runs
	put(t, dead, db.Pool, letter("of another edge"))
	began = time.Now()
	until(t, "the second is delivered", func() bool { return len(in.all()) == 2 })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("of another edge, it took %s", took)
	}
}

// relayed is a pool through a relay that can be cut.
func relayed(t *testing.T, db *pgtest.Database) (*pgtest.Relay, *pgxpool.Pool) {
	t.Helper()
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	p, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return relay, p
}

// An edge dies in the midst of a delivery: nobody hears of it any more. When its
// lease ends another edge delivers.
func TestAnotherEdgeTakesOverWhenTheLeaseEnds(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, p := relayed(t, db)
	begun := make(chan struct{})
	dying := inbox{deliver: func(ctx context.Context, _ outbox.Message) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}}
	cfg := config(t, p, &dying)
	cfg.Grace = time.Millisecond
	first := outbox.New(cfg)
	put(t, first, db.Pool, letter("once"))
	stop := run(t, first)
	<-begun
	relay.Cut(true)
	stop()

	var in inbox
	run(t, outbox.New(config(t, db.Pool, &in)))
	time.Sleep(300 * time.Millisecond)
	// A delivery may take five seconds, its record some more.
	if r := one(t, db); !r.Leased || r.Pause < 5 || r.Sent || len(in.all()) != 0 {
		t.Fatalf("while it is leased: %+v, %d deliveries", r, len(in.all()))
	}
	shift(t, db, 20*time.Second) // five seconds of delivery and the margin
	until(t, "the other edge has delivered", func() bool { return one(t, db).Sent })
	if got := in.all(); len(got) != 1 || got[0].Attempts != 2 {
		t.Errorf("delivered %+v", got)
	}
	if len(dying.all()) != 0 {
		t.Errorf("the first edge delivered %+v", dying.all())
	}
}

// An edge that stops in order lets deliveries end, and hands back at once what
// does not end.
func TestStoppingHandsBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	begun := make(chan struct{}, 2)
	slow := inbox{deliver: func(ctx context.Context, m outbox.Message) error {
		begun <- struct{}{}
		if string(m.Body) == `"hangs"` {
			<-ctx.Done()
			return ctx.Err()
		}
		time.Sleep(200 * time.Millisecond)
		return ctx.Err()
	}}
	cfg := config(t, db.Pool, &slow)
	cfg.Grace = time.Second
	b := outbox.New(cfg)
	put(t, b, db.Pool, letter("slow"), letter("hangs"))
	stop := run(t, b)
	<-begun
	<-begun
	stop()
	list := rows(t, db)
	if !list[0].Sent || list[1].Sent || list[1].Leased || list[1].Attempts != 0 || list[1].Pause > 0 || list[1].LastError != nil {
		t.Errorf("after the stop: %+v", list)
	}
}

// The time of a delivery ends, whether it heeds its context or not, and no
// worker of another channel waits for it.
func TestADeliveryThatHangsIsCut(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	release := make(chan struct{})
	defer close(release)
	hanging := inbox{deliver: func(ctx context.Context, m outbox.Message) error {
		if string(m.Body) == `"deaf"` {
			<-release
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	var in inbox
	cfg := config(t, db.Pool, &hanging)
	cfg.Channels["webhook"] = in.take
	cfg.Timeout = 300 * time.Millisecond
	cfg.Workers = 2
	b := outbox.New(cfg)
	put(t, b, db.Pool, letter("polite"), letter("deaf"), outbox.Message{Channel: "webhook", Kind: "x"})
	run(t, b)
	until(t, "the other channel delivers", func() bool { return len(in.all()) == 1 })
	if r := rows(t, db)[0]; r.Sent {
		t.Errorf("the mail: %+v", r)
	}
	until(t, "both are written down", func() bool {
		list := rows(t, db)
		return list[0].LastError != nil && list[1].LastError != nil
	})
	for _, r := range rows(t, db)[:2] {
		if r.Sent || r.Dead || r.Pause < 20 {
			t.Errorf("after the cut: %+v", r)
		}
	}
}

// No connection is kept, and no transaction, while a message is delivered.
func TestNoTransactionDuringADelivery(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	open := make(chan int, 1)
	in := inbox{deliver: func(ctx context.Context, _ outbox.Message) error {
		var n int
		admin, err := pgx.Connect(ctx, db.AdminDSN())
		if err != nil {
			return err
		}
		defer admin.Close(ctx)
		err = admin.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = $1 AND pid <> pg_backend_pid() AND xact_start < now() - interval '100 ms'`, db.Name).Scan(&n)
		open <- n
		return err
	}}
	b := outbox.New(config(t, db.Pool, &in))
	put(t, b, db.Pool, letter("x"))
	run(t, b)
	if n := <-open; n != 0 {
		t.Errorf("%d transactions are open", n)
	}
}

func TestPausesGrowUntilItIsDead(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	in := inbox{deliver: func(context.Context, outbox.Message) error { return errors.New("451 try\x00 later\n") }}
	cfg := config(t, db.Pool, &in)
	died := make(chan struct{}, 1)
	cfg.Observe = func(_, _, outcome string, _ time.Duration) {
		if outcome == outbox.Died {
			died <- struct{}{}
		}
	}
	b := outbox.New(cfg)
	put(t, b, db.Pool, letter("x"))
	run(t, b)
	var elapsed time.Duration
	tries := 0
	for {
		var r row
		until(t, "the next try is written down", func() bool {
			r = one(t, db)
			return r.Dead || r.Attempts == tries+1 && !r.Leased
		})
		tries++
		if r.Dead {
			break
		}
		want := outbox.DefaultPauses()[min(tries, 7)-1].Seconds()
		left := (72*time.Hour - elapsed).Seconds()
		if low := min(0.9*want, left) - 5; r.Pause < low || r.Pause > 1.1*want+1 {
			t.Fatalf("after try %d it waits for %.0f s, want about %.0f", tries, r.Pause, want)
		}
		step := time.Duration((r.Pause + 0.5) * float64(time.Second))
		elapsed += step
		shift(t, db, step)
		b.Wake()
	}
	<-died
	r := one(t, db)
	if tries < 70 || tries > 90 || elapsed < 71*time.Hour+59*time.Minute || elapsed > 72*time.Hour+2*time.Minute {
		t.Errorf("dead after %d tries and %s", tries, elapsed)
	}
	if r.LastError == nil || *r.LastError != "451 try later" || len(r.Body) == 0 {
		t.Errorf("dead: %+v", r)
	}
}

func TestOwnPauses(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	in := inbox{deliver: func(context.Context, outbox.Message) error { return errors.New("busy") }}
	cfg := config(t, db.Pool, &in)
	cfg.Pauses = map[string][]time.Duration{"mail": {10 * time.Minute}}
	b := outbox.New(cfg)
	put(t, b, db.Pool, letter("x"))
	run(t, b)
	until(t, "the try is written down", func() bool { return one(t, db).LastError != nil })
	if r := one(t, db); r.Pause < 500 || r.Pause > 700 {
		t.Errorf("%+v", r)
	}
}

func TestDeadAndRetried(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var mended atomic.Bool
	in := inbox{deliver: func(context.Context, outbox.Message) error {
		if mended.Load() {
			return nil
		}
		return fmt.Errorf("send: %w", outbox.Permanent(errors.New("550 no such user")))
	}}
	b := outbox.New(config(t, db.Pool, &in))
	put(t, b, db.Pool, letter("x"))
	run(t, b)
	until(t, "it is dead", func() bool { return one(t, db).Dead })
	letters, err := b.Dead(t.Context(), 0)
	if err != nil || len(letters) != 1 {
		t.Fatalf("%+v, %v", letters, err)
	}
	l := letters[0]
	if l.Kind != "reset_password" || l.UserID != "ada" || l.Attempts != 1 || !strings.Contains(l.LastError, "550 no such user") || l.DeadAt.IsZero() {
		t.Errorf("%+v", l)
	}
	if waiting, dead, _, err := b.Counts(t.Context()); waiting != 0 || dead != 1 || err != nil {
		t.Errorf("%d wait, %d dead, %v", waiting, dead, err)
	}
	shift(t, db, 5*24*time.Hour) // older than what is tried
	mended.Store(true)
	if err := b.Retry(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	until(t, "it is sent", func() bool { return one(t, db).Sent })
	if err := b.Retry(t.Context(), l.ID); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("retry of what was sent: %v", err)
	}
	if got := in.all(); len(got) != 1 || string(got[0].Body) != `"x"` {
		t.Errorf("delivered %+v", got)
	}
}

// A dead message that is tried again has all the time of a new one.
func TestRetriedIsAsNew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	in := inbox{deliver: func(context.Context, outbox.Message) error { return errors.New("busy") }}
	b := outbox.New(config(t, db.Pool, &in))
	put(t, b, db.Pool, letter("x"))
	shift(t, db, 73*time.Hour)
	run(t, b)
	until(t, "it is dead", func() bool { return one(t, db).Dead })
	if err := b.Retry(t.Context(), one(t, db).ID); err != nil {
		t.Fatal(err)
	}
	until(t, "it was tried", func() bool { r := one(t, db); return r.Attempts == 1 && !r.Leased })
	if r := one(t, db); r.Dead || r.Pause < 20 || r.Pause > 40 {
		t.Errorf("%+v", r)
	}
	if waiting, dead, oldest, err := b.Counts(t.Context()); waiting != 1 || dead != 0 || oldest < 73*time.Hour || err != nil {
		t.Errorf("%d wait, %d dead, oldest %s, %v", waiting, dead, oldest, err)
	}
}

func TestAPanicIsAFailure(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	in := inbox{deliver: func(context.Context, outbox.Message) error { panic("boom") }}
	b := outbox.New(config(t, db.Pool, &in))
	put(t, b, db.Pool, letter("x"))
	run(t, b)
	until(t, "it is written down", func() bool { return one(t, db).LastError != nil })
	if r := one(t, db); r.Dead || !strings.Contains(*r.LastError, "boom") {
		t.Errorf("%+v", r)
	}
}

// The database goes away after deliveries and comes back: each is on record
// then, nothing is delivered again, and what waits is delivered.
func TestTheDatabaseGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, p := relayed(t, db)
	var cut atomic.Bool
	in := inbox{}
	in.deliver = func(context.Context, outbox.Message) error {
		if cut.CompareAndSwap(false, true) {
			relay.Cut(true)
		}
		return nil
	}
	cfg := config(t, p, &in)
	b := outbox.New(cfg)
	for n := range 20 {
		put(t, b, db.Pool, letter(fmt.Sprint(n)))
	}
	run(t, b)
	until(t, "it is cut", cut.Load)
	time.Sleep(500 * time.Millisecond)
	// All this time the leases end: the process knows by itself what it has delivered.
	shift(t, db, time.Minute)
	relay.Cut(false)
	until(t, "all are on record", func() bool {
		for _, r := range rows(t, db) {
			if !r.Sent {
				return false
			}
		}
		return true
	})
	seen := map[string]int{}
	for _, m := range in.all() {
		seen[string(m.Body)]++
	}
	if len(seen) != 20 || len(in.all()) != 20 {
		t.Errorf("%d deliveries of %d messages", len(in.all()), len(seen))
	}
}

// Where the lease ends before a delivery is on record, the process that knows
// of the delivery leases the message again, does not deliver it again, and counts
// no try.
func TestAProcessKnowsWhatItHasDelivered(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, p := relayed(t, db)
	in := inbox{deliver: func(context.Context, outbox.Message) error { relay.Cut(true); return nil }}
	cfg := config(t, p, &in)
	cfg.Poll = time.Second // and as long until the record is tried again
	b := outbox.New(cfg)
	put(t, b, db.Pool, letter("once"))
	run(t, b)
	until(t, "it is delivered", func() bool { return len(in.all()) == 1 })
	time.Sleep(100 * time.Millisecond)
	shift(t, db, time.Minute)
	relay.Cut(false)
	until(t, "it is on record", func() bool { b.Wake(); return one(t, db).Sent })
	if n, r := len(in.all()), one(t, db); n != 1 || r.Attempts != 1 {
		t.Errorf("%d deliveries, %+v", n, r)
	}
}

// What is being leased when the Box stops is delivered, or everybody would wait
// for the end of the lease.
func TestStoppingWhileLeasing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	b := outbox.New(config(t, db.Pool, &in))
	put(t, b, db.Pool, letter("x"))
	admin, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	if _, err := admin.Exec(t.Context(), `BEGIN; LOCK TABLE mana.outbox IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	stop := run(t, b)
	until(t, "it waits for the lock", func() bool {
		var waiting bool
		err := db.Pool.QueryRow(t.Context(), `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock' AND query LIKE '%SKIP LOCKED%')`,
			db.Name).Scan(&waiting)
		return err == nil && waiting
	})
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	time.Sleep(100 * time.Millisecond)
	if _, err := admin.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if r := one(t, db); !r.Sent || len(in.all()) != 1 {
		t.Errorf("after the stop: %+v, %d deliveries", r, len(in.all()))
	}
}

// A failure that is written down late changes nothing about a later try.
func TestALateFailureChangesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	begun, release := make(chan struct{}), make(chan struct{})
	late := inbox{deliver: func(context.Context, outbox.Message) error {
		close(begun)
		<-release
		return outbox.Permanent(errors.New("late"))
	}}
	var told atomic.Int32
	cfg := config(t, db.Pool, &late)
	cfg.Workers = 1 // none is free to take it again itself
	cfg.Observe = func(string, string, string, time.Duration) { told.Add(1) }
	b := outbox.New(cfg)
	put(t, b, db.Pool, letter("x"))
	stop := run(t, b)
	<-begun
	shift(t, db, time.Minute)
	hold := make(chan struct{})
	second := inbox{deliver: func(context.Context, outbox.Message) error { <-hold; return nil }}
	run(t, outbox.New(config(t, db.Pool, &second)))
	until(t, "the second has it", func() bool { return one(t, db).Attempts == 2 })
	close(release)
	until(t, "the first has ended", func() bool { return told.Load() == 1 })
	stop()
	if r := one(t, db); r.Dead || !r.Leased || r.LastError != nil {
		t.Errorf("after the late failure: %+v", r)
	}
	close(hold)
	until(t, "it is sent", func() bool { return one(t, db).Sent })
}

func TestPrune(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var in inbox
	b := outbox.New(config(t, db.Pool, &in))
	_, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		INSERT INTO mana.outbox (id, channel, kind, body, give_up_at, sent_at, dead_at)
		SELECT 'm' || n, 'mail', 'x', '', now(),
		       CASE WHEN n % 3 = 0 THEN now() - age END, CASE WHEN n % 3 = 1 THEN now() - age END
		FROM generate_series(0, 6005) AS n, LATERAL (SELECT make_interval(days => CASE WHEN n < 6000 THEN 31 ELSE 29 END)) AS a (age)`)
	if err != nil {
		t.Fatal(err)
	}
	n, err := b.Prune(t.Context())
	if err != nil || n != 4000 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if left := len(rows(t, db)); left != 2006 {
		t.Errorf("%d are left, want those that wait and the young ones", left)
	}
}

// What is looked for each second is found in an index of what waits, however
// much was sent.
func TestTheLookIsCheap(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), `
		INSERT INTO mana.outbox (id, channel, kind, body, give_up_at, sent_at)
		SELECT 'm' || n, 'mail', 'x', '', now(), now() FROM generate_series(1, 20000) AS n`); err != nil {
		t.Fatal(err)
	}
	plan, err := dbscope.Rows[struct {
		Plan string `db:"QUERY PLAN"`
	}](t.Context(), db.Pool, dbscope.System(), `EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) `+outbox.Claim, "mail", 4, 45.0)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, line := range plan {
		text.WriteString(line.Plan + "\n")
	}
	if !strings.Contains(text.String(), "outbox_channel_due_at_idx") || strings.Contains(text.String(), "Seq Scan on outbox") {
		t.Errorf("plan:\n%s", text.String())
	}
}
