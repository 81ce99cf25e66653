package services_test

import (
	"fmt"
	"testing"
	"time"

	"mana.how/edge/authcore/revocation"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// A runtime that only an old stream still needs keeps nothing but its ear on
// the database, and goes when the stream does: reloads with other settings
// cannot use up the connections of the server.
func TestOldRuntimesKeepNoIdleConnections(t *testing.T) {
	edgetest.StopAtEnd(t)
	services.SetLinger(0, time.Minute)
	t.Cleanup(func() { services.SetLinger(0, 50*time.Millisecond) })
	db, address := pgtest.New(t), freeport.Address(t)
	const reloads = 5
	var streams []func()
	var runtimes []*services.Runtime
	ended := 0
	for i := range reloads {
		if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.With(edgetest.ExternalApp(db), "audience", fmt.Sprint("a", i)))); err != nil {
			t.Fatal(err)
		}
		rt := edgetest.LiveRuntime(t)
		runtimes, streams = append(runtimes, rt), append(streams, watch(rt, func() { ended++ }))
		busy(t, rt)
	}
	if n := edgetest.OpenRuntimes(); n != reloads {
		t.Errorf("%d runtimes are open for %d streams", n, reloads)
	}
	for _, old := range runtimes[:reloads-1] { // its jobs go on, and use one now and then
		edgetest.Eventually(t, "an old runtime has no connection that is idle", func() bool { return old.Pool.Stat().IdleConns() == 0 })
	}
	for i, stop := range streams[:reloads-1] {
		stop()
		edgetest.Eventually(t, "a runtime goes with its last stream", func() bool { return edgetest.OpenRuntimes() == reloads-1-i })
	}
	live := edgetest.LiveRuntime(t).Pool
	edgetest.Eventually(t, "its connections go too", func() bool { return backends(t, db) <= int(live.Stat().TotalConns())+1 })
	if ended > 0 {
		t.Errorf("%d streams were ended", ended)
	}
	edgetest.WantGuarded(t, address)
	streams[reloads-1]()
}

// Some request may stay for ever.
func TestOldRuntimeEndsWhatLastsTooLong(t *testing.T) {
	edgetest.StopAtEnd(t)
	services.SetLinger(0, 200*time.Millisecond)
	t.Cleanup(func() { services.SetLinger(0, 50*time.Millisecond) })
	db, address := pgtest.New(t), freeport.Address(t)
	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop := watch(edgetest.LiveRuntime(t), func() { close(ended) })
	defer stop()
	if err := edgetest.Load(t, edgetest.Site(t, address, edgetest.With(edgetest.ExternalApp(db), "audience", "other"))); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the stream lives on")
	}
	edgetest.Eventually(t, "its runtime is closed", func() bool { return edgetest.OpenRuntimes() == 1 })
}

// watch is an open stream.
func watch(rt *services.Runtime, revoked func()) (stop func()) {
	w := &revocation.Watch{SessionID: "session", UserID: "user", Revoked: revoked}
	rt.Auth.Watch(w)
	return func() { rt.Auth.Unwatch(w) }
}

// busy makes a pool open several connections.
func busy(t testing.TB, rt *services.Runtime) {
	t.Helper()
	for range 4 {
		conn, err := rt.Pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
}

// backends counts the edge's connections to a database.
func backends(t testing.TB, db *pgtest.Database) int {
	t.Helper()
	var n int
	if err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = $1`, db.Name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n - int(db.Pool.Stat().TotalConns())
}
