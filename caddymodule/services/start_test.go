package services_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// A database that comes up after the edge is waited for; meanwhile the process
// lives and says what it waits for.
func TestDatabaseComesUpLater(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	relay.Cut(true)
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": dsn}))); err != nil {
		t.Fatalf("the start was refused: %v", err)
	}
	for target, status := range map[string]int{"/": 503, "/health": 200, "/health/ready": 503, "/api/v1/auth/login": 503} {
		method, body := http.MethodGet, ""
		if strings.HasPrefix(target, "/api") {
			method, body = http.MethodPost, `{"email":"ada@example.com","password":"correct horse"}`
		}
		began := time.Now()
		resp := edgetest.Fetch(t, method, "http://"+address+target, body)
		if took := time.Since(began); resp.StatusCode != status || took > 2*time.Second {
			t.Errorf("%s: %d after %v, want %d at once", target, resp.StatusCode, took, status)
		}
		if status == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", target)
		}
	}
	// The same config again is not stuck behind the wait.
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": dsn}))); err != nil {
		t.Fatal(err)
	}
	relay.Cut(false)
	edgetest.Eventually(t, "the gate works", func() bool { return edgetest.Fetch(t, "GET", "http://"+address+"/", "").StatusCode == 401 })
	if resp := edgetest.Fetch(t, "GET", "http://"+address+"/health/ready", ""); resp.StatusCode != 200 {
		t.Errorf("ready: %d", resp.StatusCode)
	}
}

// A config whose database never comes up can be replaced, and leaves nothing.
func TestWaitingStartCanBeReplaced(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	nowhere := map[string]any{"url": "postgres://mana:pw@" + freeport.Address(t) + "/mana"}
	for range 2 {
		if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(db), "database", nowhere))); err != nil {
			t.Fatal(err)
		}
	}
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	edgetest.WantGuarded(t, address)
	if n := edgetest.OpenRuntimes(); n != 1 {
		t.Errorf("%d runtimes are open", n)
	}
}

// A reload with other options of the block while the database is away loses
// nothing that serves, and heals.
func TestReloadWhileTheDatabaseIsAway(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	app := edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": dsn})
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	first := edgetest.LiveRuntime(t)
	relay.Cut(true)
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(app, "audience", "other"))); err != nil {
		t.Fatalf("the reload was refused: %v", err)
	}
	for range 5 {
		edgetest.WantGuarded(t, address)
	}
	if edgetest.LiveRuntime(t) != first {
		t.Error("another runtime serves, without a database")
	}
	relay.Cut(false)
	edgetest.Eventually(t, "the new runtime serves", func() bool { return edgetest.LiveRuntime(t) != first })
	edgetest.Eventually(t, "the old one is closed", func() bool { return edgetest.OpenRuntimes() == 1 })
	edgetest.WantGuarded(t, address)
}

// What waiting does not mend refuses the start, and says what to do.
func TestStartRefusesWhatWaitingDoesNotMend(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	changed := func(change func(*url.URL)) string {
		u, err := url.Parse(db.DSN)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	newer := pgtest.New(t)
	if _, err := newer.Pool.Exec(t.Context(), `SET ROLE mana_owner; INSERT INTO mana.schema_migrations (version, name) VALUES (9999, 'later'); RESET ROLE`); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ dsn, want string }{
		"password":     {changed(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong") }), "password"},
		"no database":  {changed(func(u *url.URL) { u.Path = "/nothing_here" }), "does not exist"},
		"newer schema": {newer.DSN, "newer"},
	} {
		began := time.Now()
		err := edgetest.Load(t, edgetest.Whole(t, freeport.Address(t), edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": tt.dsn})))
		if err == nil || !strings.Contains(err.Error(), tt.want) || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %v after %v, want a refusal that says %q", name, err, time.Since(began), tt.want)
		}
	}
}

// A start that hangs stalls neither a scrape nor other work on the runtimes.
func TestScrapeDuringASlowStart(t *testing.T) {
	edgetest.StopAtEnd(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	started := make(chan error, 1)
	go func() {
		started <- caddy.Load(edgetest.Whole(t, freeport.Address(t), map[string]any{
			"database": map[string]any{"url": "postgres://mana:pw@" + l.Addr().String() + "/mana?sslmode=disable"},
			"base_url": "https://auth.example.com", "encryption_key": edgetest.SomeKey,
		}), true)
	}()
	for range 5 {
		began := time.Now()
		if err := edgetest.WriteMetrics(io.Discard); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("a scrape took %v", took)
		}
		time.Sleep(100 * time.Millisecond)
	}
	select {
	case err := <-started:
		t.Fatalf("the start did not hang: %v", err)
	default:
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
}

// A server that takes no writes is not ready, and its connections are given up.
func TestReadOnlyServerIsNotReady(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	_, dsn := pgtest.NewRelay(t, db.DSN)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	// Of several hosts the one that takes writes is found.
	query := u.Query()
	query.Set("target_session_attrs", "read-write")
	u.RawQuery = query.Encode()
	u.Host = freeport.Address(t) + "," + u.Host
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": u.String()}))); err != nil {
		t.Fatal(err)
	}
	rt := edgetest.LiveRuntime(t)
	ready := "http://" + address + "/health/ready"
	if resp := edgetest.Fetch(t, "GET", ready, ""); resp.StatusCode != 200 {
		t.Fatalf("ready: %d", resp.StatusCode)
	}
	execute := func(sql string) {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}

	// One connection is left on a server that has become read-only.
	conn, err := rt.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `CREATE TEMPORARY TABLE t (); SET ROLE mana_system; DELETE FROM auth.jwks WHERE false`)
	if err == nil || !strings.Contains(err.Error(), "25006") {
		t.Fatalf("a write on a read-only connection: %v", err)
	}
	edgetest.Eventually(t, "the connection is closed", func() bool { return conn.Conn().IsClosed() })
	conn.Release()

	// All of the server is.
	execute(`ALTER DATABASE ` + db.Name + ` SET default_transaction_read_only = on`)
	execute(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + db.Name + `' AND pid <> pg_backend_pid() AND application_name = 'mana-edge'`)
	edgetest.Eventually(t, "it is not ready", func() bool { return edgetest.Fetch(t, "GET", ready, "").StatusCode == 503 })
	body, _ := io.ReadAll(edgetest.Fetch(t, "GET", ready, "").Body)
	if !strings.Contains(string(body), `"database":{"status":"error"`) {
		t.Errorf("ready says %s", body)
	}
	if found, err := edgetest.Findings(t, edgetest.ExternalApp(db)); err == nil || found["database"].Status != "fail" || !strings.Contains(found["database"].Detail, "read-only") {
		t.Errorf("doctor: %v, %+v", err, found["database"])
	}
	execute(`SET default_transaction_read_only = off; ALTER DATABASE ` + db.Name + ` RESET default_transaction_read_only`)
	edgetest.Eventually(t, "it is ready again", func() bool { return edgetest.Fetch(t, "GET", ready, "").StatusCode == 200 })
}

// A refused config takes no measurement away from the admin endpoint.
func TestRefusedConfigKeepsTheMetrics(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address, admin := pgtest.New(t), freeport.Address(t), freeport.Address(t)
	config := func(app map[string]any) []byte {
		return []byte(strings.Replace(string(edgetest.Whole(t, address, app)), `"disabled":true`, `"listen":"`+admin+`"`, 1))
	}
	wantMetrics := func(when string) {
		t.Helper()
		body, err := io.ReadAll(edgetest.Fetch(t, "GET", "http://"+admin+"/metrics", "").Body)
		if err != nil || !strings.Contains(string(body), "mana_database_connections") || !strings.Contains(string(body), "auth_users_total") {
			t.Errorf("%s: %v, the metrics lack ours:\n%.300s", when, err, body)
		}
	}
	good := config(edgetest.ExternalApp(db))
	if err := edgetest.Load(t, good); err != nil {
		t.Fatal(err)
	}
	wantMetrics("at first")
	for name, bad := range map[string][]byte{
		"app at fault":     config(edgetest.With(edgetest.ExternalApp(db), "base_url", "nonsense")),
		"unknown handler":  []byte(strings.Replace(string(good), "static_response", "no_such_handler", 1)),
		"unknown app":      []byte(strings.Replace(string(good), `"apps":{`, `"apps":{"nope":{},`, 1)),
		"without our app":  []byte(strings.Replace(strings.Replace(string(good), `"mana":{`, `"nope":{`, 1), "static_response", "no_such_handler", 1)),
		"storage at fault": []byte(strings.Replace(string(good), "file_system", "no_such_storage", 1)),
	} {
		if err := edgetest.Load(t, bad); err == nil {
			t.Fatalf("%s: taken", name)
		}
		wantMetrics(name)
	}
	if err := edgetest.Load(t, good); err != nil {
		t.Fatal(err)
	}
	wantMetrics("at the end")
}

// An edge that cannot listen reads over the pool and serves; after a while it
// asks to be left out, until it hears again.
func TestDeafEdgeIsNotReady(t *testing.T) {
	edgetest.StopAtEnd(t)
	before := services.DeafTimeout
	services.DeafTimeout = 4 * time.Second
	defer func() { services.DeafTimeout = before }()
	db, address := pgtest.New(t), freeport.Address(t)
	relay, direct := pgtest.NewRelay(t, db.DSN)
	if err := edgetest.Load(t, edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": db.DSN, "direct": direct}))); err != nil {
		t.Fatal(err)
	}
	ready := func() int { return edgetest.Fetch(t, "GET", "http://"+address+"/health/ready", "").StatusCode }
	edgetest.Eventually(t, "it is ready", func() bool { return ready() == 200 })
	relay.Cut(true)
	if code := ready(); code != 200 {
		t.Errorf("not ready at once: %d", code)
	}
	edgetest.Eventually(t, "it is not ready", func() bool { return ready() == 503 })
	relay.Cut(false)
	edgetest.Eventually(t, "it is ready again", func() bool { return ready() == 200 })
}
