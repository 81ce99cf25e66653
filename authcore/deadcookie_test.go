package authcore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/pgtest"
)

// statements counts those that read sessions.
type statements struct{ sessions atomic.Int64 }

func (c *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "UPDATE auth.sessions AS s SET last_activity_at") {
		c.sessions.Add(1)
	}
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		if strings.Contains(q.SQL, "UPDATE auth.sessions AS s SET last_activity_at") {
			c.sessions.Add(1)
		}
	}
	return ctx
}

func (*statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// Signed cookies of sessions that are over cost the database one statement, once.
func TestDeadCookiesCostOneStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	cfg := db.Pool.Config()
	var count statements
	cfg.ConnConfig.Tracer = &count
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Pool = pool })
	register(t, s, "ada@example.test")
	dead := make([]string, 64)
	for i := range dead {
		dead[i] = cookieOf(s, fmt.Sprintf("%032d", i))
	}
	for range 20 {
		if _, err := s.BrowserSession(t.Context(), dead); !errors.Is(err, authcore.ErrNoSession) {
			t.Fatal(err)
		}
	}
	// At most four unknown ones are asked for at a time.
	if n := count.sessions.Load(); n != 16 {
		t.Errorf("64 dead cookies, sent 20 times, cost %d statements, want 16", n)
	}
	count.sessions.Store(0)
	for range 20 {
		if _, err := s.BrowserSession(t.Context(), dead[:4]); !errors.Is(err, authcore.ErrNoSession) || errors.Is(err, authcore.ErrNoCookie) {
			t.Fatal(err)
		}
	}
	if n := count.sessions.Load(); n != 0 {
		t.Errorf("what is known to be dead costs %d statements", n)
	}

	// Among dead ones a live one is found, with one statement, and then with none.
	browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
	if err != nil {
		t.Fatal(err)
	}
	mixed := []string{dead[0], cookieOf(s, strings.Repeat("x", 32)), dead[1], cookieOf(s, browser.Token)}
	for range 20 {
		live, err := s.BrowserSession(t.Context(), mixed)
		if err != nil || live.Session().ID != browser.Session().ID {
			t.Fatalf("the live one: %v", err)
		}
	}
	if n := count.sessions.Load(); n != 1 {
		t.Errorf("a live cookie among dead ones costs %d statements, want 1", n)
	}
	// What was live and ends is dead, and asked for once.
	if err := s.SignOut(t.Context(), laptop, authcore.SignOut{CookieTokens: []string{browser.Token}}); err != nil {
		t.Fatal(err)
	}
	count.sessions.Store(0)
	for range 20 {
		if _, err := s.BrowserSession(t.Context(), mixed); !errors.Is(err, authcore.ErrNoSession) {
			t.Fatal(err)
		}
	}
	if n := count.sessions.Load(); n != 1 {
		t.Errorf("a session that has ended costs %d statements, want 1", n)
	}
}

// Of several live sessions the first cookie's counts, from the database and from
// memory, whatever memory holds of the later ones.
func TestFirstLiveCookieCounts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, other := edge(t, db), edge(t, db)
	register(t, s, "ada@example.test")
	var cookies, ids []string
	for range 3 {
		browser, err := s.SignInBrowser(t.Context(), laptop, "ada@example.test", testPassword, true)
		if err != nil {
			t.Fatal(err)
		}
		cookies, ids = append(cookies, cookieOf(s, browser.Token)), append(ids, browser.Session().ID)
	}
	if _, err := other.BrowserSession(t.Context(), cookies[2:]); err != nil {
		t.Fatal(err)
	}
	for _, at := range []*authcore.Service{s, s, other, other} {
		live, err := at.BrowserSession(t.Context(), cookies)
		if err != nil || live.Session().ID != ids[0] {
			t.Errorf("found %v, %v", live.Session().ID, err)
		}
	}
}
