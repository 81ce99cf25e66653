package main_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/pgtest"
)

// Two processes on one PostgreSQL are one edge: a refresh token has one
// successor whichever of them is asked, and what ends on one ends on both.
func TestTwoEdgesAreOne(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	first := startEdgeOn(t, db.DSN)
	second := joinEdge(t, first, db.DSN)
	edges := []*Edge{first, second}
	register(t, first, "barbara@mana.how", "192.0.2.20")

	t.Run("concurrent refreshes have one successor", func(t *testing.T) {
		_, token := login(t, first, "barbara@mana.how", "192.0.2.21")
		answers := make([]Answer, 16)
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range answers {
			client := edges[i%2].client()
			send(t, client, http.MethodGet, edges[i%2].Auth()+"/health", nil) // connect
			wg.Go(func() {
				<-begin
				var err error
				if answers[i], err = try(t.Context(), client, http.MethodPost, edges[i%2].Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": token}); err != nil {
					t.Errorf("refresh %d: %v", i, err)
				}
			})
		}
		close(begin)
		wg.Wait()
		if t.Failed() {
			return
		}
		for i, a := range answers {
			want(t, a, http.StatusOK)
			if got := a.Text("refreshToken"); got == token || got != answers[0].Text("refreshToken") {
				t.Errorf("answer %d has another successor", i)
			}
			for _, e := range edges {
				passes(t, e, a.Text("accessToken"))
			}
		}
		a := want(t, refreshAt(t, second, answers[0].Text("refreshToken")), http.StatusOK)
		if next := a.Text("refreshToken"); next == token || next == answers[0].Text("refreshToken") {
			t.Error("the successor has no successor of its own")
		}
	})

	t.Run("reuse of an older token ends the family everywhere, and no other session", func(t *testing.T) {
		bystander, _ := login(t, second, "barbara@mana.how", "192.0.2.22")
		access, stolen := login(t, first, "barbara@mana.how", "192.0.2.23")
		a := want(t, refreshAt(t, second, stolen), http.StatusOK)
		a = want(t, refreshAt(t, first, a.Text("refreshToken")), http.StatusOK)
		family := []string{access, a.Text("accessToken")}
		for _, e := range edges {
			for _, token := range append(family, bystander) {
				passes(t, e, token)
			}
		}

		// Two generations old is reuse, the grace notwithstanding.
		wantInvalidRefresh(t, second, stolen)
		diesWithin(t, time.Second, edges, family...)
		wantInvalidRefresh(t, first, a.Text("refreshToken"))
		for _, e := range edges {
			passes(t, e, bystander)
		}
	})

	t.Run("reuse of the last token after the grace ends the family", func(t *testing.T) {
		bystander, _ := login(t, first, "barbara@mana.how", "192.0.2.24")
		access, stolen := login(t, second, "barbara@mana.how", "192.0.2.25")
		a := want(t, refreshAt(t, first, stolen), http.StatusOK)
		if again := want(t, refreshAt(t, second, stolen), http.StatusOK); again.Text("refreshToken") != a.Text("refreshToken") {
			t.Error("within the grace the other edge names another successor")
		}
		passGrace(t, db)
		wantInvalidRefresh(t, second, stolen)
		diesWithin(t, time.Second, edges, access, a.Text("accessToken"))
		wantInvalidRefresh(t, first, a.Text("refreshToken"))
		for _, e := range edges {
			passes(t, e, bystander)
		}
	})

	t.Run("a sign-out on one is honoured by the other", func(t *testing.T) {
		access, token := login(t, first, "barbara@mana.how", "192.0.2.26")
		for _, e := range edges {
			passes(t, e, access)
		}
		want(t, send(t, first.client(), http.MethodPost, first.Auth()+"/api/v1/auth/logout", map[string]string{"refreshToken": token}), http.StatusOK)
		diesWithin(t, time.Second, edges, access)
		wantInvalidRefresh(t, second, token)
		validate := want(t, send(t, second.client(), http.MethodPost, second.Auth()+"/api/v1/auth/validate", map[string]string{"token": access}), http.StatusOK)
		if validate.JSON()["valid"] != false {
			t.Errorf("the other edge validates %s", validate.Body)
		}
	})

	t.Run("a cookie is one session on both", func(t *testing.T) {
		browser := first.client()
		signIn(t, first, browser, "barbara@mana.how")
		var cookie string
		for _, c := range browser.Jar.Cookies(parse(t, second.AppURL())) {
			cookie = c.Name + "=" + c.Value
		}
		whoami := []string{"Cookie", cookie}
		for _, e := range edges {
			want(t, send(t, e.client(), http.MethodGet, e.AppURL()+"/api/whoami", nil, whoami...), http.StatusOK)
		}
		want(t, send(t, browser, http.MethodPost, first.Auth()+"/api/v1/auth/logout", map[string]string{}, "Origin", first.AppURL()), http.StatusOK)
		for _, e := range edges {
			refusedWithin(t, time.Second, e.client(), e.AppURL()+"/api/whoami", whoami...)
		}
	})
}

func refreshAt(t testing.TB, e *Edge, token string) Answer {
	t.Helper()
	return send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": token})
}

func wantInvalidRefresh(t testing.TB, e *Edge, token string) {
	t.Helper()
	if a := want(t, refreshAt(t, e, token), http.StatusUnauthorized); a.Text("message") != "Invalid refresh token" {
		t.Errorf("message of a dead refresh token = %q", a.Text("message"))
	}
}

func passes(t testing.TB, e *Edge, access string) {
	t.Helper()
	want(t, send(t, e.client(), http.MethodGet, e.AppURL()+"/api/whoami", nil, "Authorization", "Bearer "+access), http.StatusOK)
}

// diesWithin asks the gates of all edges at once until each token is refused.
func diesWithin(t testing.TB, limit time.Duration, edges []*Edge, tokens ...string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, e := range edges {
		for _, token := range tokens {
			wg.Go(func() {
				if err := refusal(t.Context(), limit, e.client(), e.AppURL()+"/api/whoami", "Authorization", "Bearer "+token); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

// passGrace makes the last rotation of every family as old as if eleven seconds had passed.
func passGrace(t testing.TB, db *pgtest.Database) {
	t.Helper()
	asAdmin(t, db, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE auth.refresh_families SET rotated_at = rotated_at - interval '11 seconds'`)
		return err
	})
}

// asAdmin works as the superuser, to whom no row is hidden.
func asAdmin(t testing.TB, db *pgtest.Database, fn func(context.Context, *pgx.Conn) error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := fn(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
