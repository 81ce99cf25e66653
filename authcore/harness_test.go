package authcore_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	testPassword = "correct horse battery"
	testKey      = "0123456789abcdef0123456789abcdef"
)

var (
	laptop = principal.Client{IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "Laptop/1.0", DeviceID: "laptop", DeviceName: "My laptop"}
	phone  = principal.Client{IP: netip.MustParseAddr("192.0.2.2"), UserAgent: "Phone/1.0", DeviceID: "phone", DeviceName: "My phone"}
)

// edge is one service on a database; several make a cluster.
func edge(t testing.TB, db *pgtest.Database, change ...func(*authcore.Config)) *authcore.Service {
	t.Helper()
	return edgeAt(t, db, time.Now, change...)
}

// edgeAt is edge by another clock.
func edgeAt(t testing.TB, db *pgtest.Database, now func() time.Time, change ...func(*authcore.Config)) *authcore.Service {
	t.Helper()
	return edgeWith(t, db, func(d *authcore.Deps) { d.Now = now }, change...)
}

// edgeWith is edge in other surroundings.
func edgeWith(t testing.TB, db *pgtest.Database, surround func(*authcore.Deps), change ...func(*authcore.Config)) *authcore.Service {
	t.Helper()
	secrets, err := secret.New(testKey, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg := authcore.Config{
		BaseURL: "https://auth.example.test", CookieDomain: ".example.test",
		TrustedOrigins: []string{"https://*.example.test"}, Secrets: secrets,
		Hashing: password.Hashing{MemoryKiB: 64, Time: 1, Parallelism: 1},
	}
	for _, f := range change {
		f(&cfg)
	}
	deps := authcore.Deps{
		Pool: db.Pool, ListenDSN: db.DSN + "&pool_max_conns=2",
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	surround(&deps)
	s, err := authcore.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = s.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.Logf("%s", p)
	return len(p), nil
}

func register(t testing.TB, s *authcore.Service, email string) authcore.User {
	t.Helper()
	u, err := s.Register(t.Context(), laptop, authcore.Registration{Email: email, Password: testPassword, Name: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func signIn(t testing.TB, s *authcore.Service, client principal.Client, email string) authcore.Tokens {
	t.Helper()
	tokens, err := s.SignIn(t.Context(), client, email, testPassword)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func callerOf(t testing.TB, s *authcore.Service, accessToken string) principal.Caller {
	t.Helper()
	c, err := s.Verify(t.Context(), accessToken)
	if err != nil {
		t.Fatal(err)
	}
	return principal.Caller{UserID: c.Subject, Email: c.Email, Role: c.Role, SessionID: c.SessionID, Client: laptop}
}

// change alters rows behind the service's back.
func change(t testing.TB, db *pgtest.Database, sql string, args ...any) {
	t.Helper()
	if n, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql, args...); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", sql, n, err)
	}
}

// eventually waits for a condition that another edge brings about.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("within %v it did not happen that %s", within, what)
}
