package audit_test

import (
	"fmt"
	"testing"
	"time"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

// Events are handed on in order, by one edge at a time, again where that was not
// noted, and by another where the first is silent.
func TestFeed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := dbscope.DB{Pool: db.Pool, Error: func(err error) error { return err }}
	first := audit.Feed{DB: pool, Edge: "first", Lag: time.Millisecond}
	second := audit.Feed{DB: pool, Edge: "second", Lag: time.Millisecond}
	record := func(n int) {
		t.Helper()
		for i := range n {
			if err := audit.Record(t.Context(), pool, audit.Event{Type: fmt.Sprintf("event_%d", i), Metadata: map[string]any{"n": i}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	next := func(f audit.Feed, want ...string) []audit.Fed {
		t.Helper()
		events, err := f.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, e.Type)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s hands on %v, want %v", f.Edge, got, want)
		}
		return events
	}
	advance := func(f audit.Feed, to audit.Fed) {
		t.Helper()
		if err := f.Advance(t.Context(), to.Position()); err != nil {
			t.Fatal(err)
		}
	}

	record(1) // before the feed is there
	time.Sleep(5 * time.Millisecond)
	next(first)
	record(3)
	next(second) // which has not got the feed
	events := next(first, "event_0", "event_1", "event_2")
	if string(events[1].Metadata) != `{"n": 1}` {
		t.Errorf("metadata %s", events[1].Metadata)
	}
	next(first, "event_0", "event_1", "event_2") // not noted, so again
	advance(first, events[1])
	last := next(first, "event_2")[0]
	advance(second, last) // changes nothing
	next(first, "event_2")

	if _, err := pool.Exec(t.Context(), dbscope.System(), `UPDATE auth.verification SET updated_at = now() - interval '31 s'`); err != nil {
		t.Fatal(err)
	}
	next(second, "event_2")
	advance(first, last) // has lost the feed
	next(first)
	advance(second, next(second, "event_2")[0])
	next(second)

	// What is too young waits.
	second.Lag = time.Hour
	record(1)
	next(second)
	second.Lag = time.Millisecond
	next(second, "event_0")
}
