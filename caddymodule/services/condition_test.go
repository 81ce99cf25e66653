package services_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Whether the database answers can be scraped before it ever did, while it
// does, and when it is gone; Redis is not spoken of where there is none.
func TestConditionIsMeasured(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, address := pgtest.New(t), freeport.Address(t)
	onlyForTheLogin(t, db) // as the embedded one is
	relay, dsn := pgtest.NewRelay(t, db.DSN)
	relay.Cut(true)
	loaded := make(chan error, 1)
	go func() {
		loaded <- caddy.Load(edgetest.Whole(t, address, edgetest.With(edgetest.ExternalApp(db), "database", map[string]any{"url": withTimeout(t, dsn)})), true)
	}()
	wantSeries(t, "before it was reached", "mana_database_up 0", "mana_listen_up 0")
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	relay.Cut(false)
	wantSeries(t, "once it is there", "mana_database_up 1", "mana_listen_up 1", "mana_schema_version ", `mana_signing_key_age_seconds{algorithm="EdDSA"} `)
	relay.Cut(true)
	wantSeries(t, "when it is gone", "mana_database_up 0", "mana_listen_up 0")
	relay.Cut(false)
	wantSeries(t, "when it is back", "mana_database_up 1", "mana_listen_up 1")
	var text strings.Builder
	if err := edgetest.WriteMetrics(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "\nmana_redis_up") {
		t.Error("Redis is measured where there is none")
	}
	if strings.Contains(text.String(), "\nmana_database_size_bytes 0\n") {
		t.Error("the database has no size")
	}
}

// onlyForTheLogin lets nobody but the login role connect to the database.
func onlyForTheLogin(t *testing.T, db *pgtest.Database) {
	t.Helper()
	login, err := pgx.ParseConfig(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	name, role := pgx.Identifier{login.Database}.Sanitize(), pgx.Identifier{login.User}.Sanitize()
	for _, sql := range []string{"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC", "GRANT CONNECT ON DATABASE " + name + " TO " + role} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func withTimeout(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("connect_timeout", "1")
	u.RawQuery = query.Encode()
	return u.String()
}

// wantSeries waits until a scrape has lines that begin so.
func wantSeries(t *testing.T, when string, lines ...string) {
	t.Helper()
	var text strings.Builder
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		text.Reset()
		if err := edgetest.WriteMetrics(&text); err != nil {
			t.Fatal(err)
		}
		missing := ""
		for _, line := range lines {
			if !strings.Contains(text.String(), "\n"+line) {
				missing = line
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s is missing", when, missing)
		}
	}
}
