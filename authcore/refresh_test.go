package authcore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/pgtest"
)

// Two tabs, sixteen requests, two edges: one successor (supabase/auth#2136,
// keycloak#16081, ory/hydra#1831, oauth2-proxy#1992).
func TestConcurrentRefreshHasOneSuccessor(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	edges := []*authcore.Service{edge(t, db), edge(t, db)}
	register(t, edges[0], "ada@example.test")
	first := signIn(t, edges[0], laptop, "ada@example.test")

	const presenters = 16
	got := make([]authcore.Tokens, presenters)
	errs := make([]error, presenters)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range presenters {
		wg.Go(func() {
			<-start
			got[i], errs[i] = edges[i%2].Refresh(t.Context(), laptop, first.RefreshToken)
		})
	}
	close(start)
	wg.Wait()
	successors := map[string]bool{}
	for i := range presenters {
		if errs[i] != nil {
			t.Fatalf("presenter %d: %v", i, errs[i])
		}
		successors[got[i].RefreshToken] = true
		if got[i].SessionID != first.SessionID {
			t.Errorf("presenter %d has session %q, want %q", i, got[i].SessionID, first.SessionID)
		}
	}
	if len(successors) != 1 {
		t.Fatalf("%d successors of one token, want 1", len(successors))
	}
	if _, err := edges[1].Refresh(t.Context(), laptop, got[0].RefreshToken); err != nil {
		t.Errorf("the successor does not refresh: %v", err)
	}
}

func TestReuseRevokesOnlyItsFamily(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	a, b := edge(t, db), edge(t, db)
	register(t, a, "ada@example.test")
	stolen := signIn(t, a, laptop, "ada@example.test")
	other := signIn(t, a, phone, "ada@example.test")

	second, err := a.Refresh(t.Context(), laptop, stolen.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	third, err := a.Refresh(t.Context(), laptop, second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	watch := revocation.Watch{SessionID: third.SessionID, UserID: third.User.ID, Revoked: func() { close(ended) }}
	b.Watch(&watch)
	defer b.Unwatch(&watch)

	// Two generations old is reuse even within the grace.
	_, err = a.Refresh(t.Context(), phone, stolen.RefreshToken)
	if !errors.Is(err, authcore.ErrRefreshReused) || !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Fatalf("reuse gives %v", err)
	}
	if _, err := b.Refresh(t.Context(), laptop, third.RefreshToken); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
		t.Errorf("the family's last token gives %v", err)
	}
	if _, err := a.Verify(t.Context(), third.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("the access token gives %v on the same edge", err)
	}
	eventually(t, time.Second, "the other edge refuses the access token", func() bool {
		_, err := b.Verify(t.Context(), third.AccessToken)
		return errors.Is(err, token.ErrInvalid)
	})
	select {
	case <-ended:
	case <-time.After(time.Second):
		t.Error("the open stream on the other edge went on")
	}
	for _, s := range []*authcore.Service{a, b} {
		if _, err := s.Verify(t.Context(), other.AccessToken); err != nil {
			t.Errorf("another session died with the family: %v", err)
		}
	}
	if _, err := b.Refresh(t.Context(), phone, other.RefreshToken); err != nil {
		t.Errorf("another family died: %v", err)
	}
	restarted := edge(t, db)
	if _, err := restarted.Verify(t.Context(), third.AccessToken); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("a restarted edge takes the revoked token: %v", err)
	}
}

func TestGraceEnds(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db, func(c *authcore.Config) { c.RefreshGrace = 300 * time.Millisecond })
	register(t, s, "ada@example.test")
	first := signIn(t, s, laptop, "ada@example.test")
	second, err := s.Refresh(t.Context(), laptop, first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Refresh(t.Context(), laptop, first.RefreshToken)
	if err != nil || again.RefreshToken != second.RefreshToken {
		t.Fatalf("within the grace: %v, same successor %v", err, again.RefreshToken == second.RefreshToken)
	}
	time.Sleep(400 * time.Millisecond)
	if _, err := s.Refresh(t.Context(), laptop, first.RefreshToken); !errors.Is(err, authcore.ErrRefreshReused) {
		t.Errorf("after the grace: %v, want reuse", err)
	}
}

func TestRefreshRefusals(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	tokens := signIn(t, s, laptop, "ada@example.test")
	for name, token := range map[string]string{
		"empty": "", "nonsense": "nonsense", "altered": tokens.RefreshToken[:len(tokens.RefreshToken)-2] + "AA",
		"an access token": tokens.AccessToken,
	} {
		if _, err := s.Refresh(t.Context(), laptop, token); !errors.Is(err, authcore.ErrInvalidRefreshToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// CVE-2023-22492: a locked user who can still refresh.
	if _, err := s.SetDisabled(t.Context(), principal.Operator{Name: "test"}, u.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), laptop, tokens.RefreshToken); err == nil {
		t.Error("a disabled user refreshes")
	}
	if _, err := s.SignIn(t.Context(), laptop, "ada@example.test", testPassword); !errors.Is(err, authcore.ErrInvalidCredentials) {
		t.Errorf("a disabled user signs in: %v", err)
	}
	if _, err := s.SetDisabled(t.Context(), principal.Operator{Name: "test"}, u.ID, false); err != nil {
		t.Fatal(err)
	}
	signIn(t, s, laptop, "ada@example.test")
}

// A sign-out that overtakes a refresh is no theft: nobody is alarmed.
func TestSignOutOvertakesRefresh(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	u := register(t, s, "ada@example.test")
	tokens := signIn(t, s, laptop, "ada@example.test")
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE mana_system`); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM auth.refresh_families WHERE user_id = $1 FOR UPDATE`, u.ID); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := s.Refresh(t.Context(), laptop, tokens.RefreshToken)
		failed <- err
	}()
	eventually(t, 5*time.Second, "the refresh waits", func() bool {
		var waits bool
		err := db.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits)
		return err == nil && waits
	})
	if _, err := tx.Exec(t.Context(), `UPDATE auth.refresh_families
		SET revoked_at = clock_timestamp(), revoked_reason = 'logout' WHERE user_id = $1`, u.ID); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, authcore.ErrInvalidRefreshToken) || errors.Is(err, authcore.ErrRefreshReused) {
		t.Errorf("the refresh: %v", err)
	}
}
