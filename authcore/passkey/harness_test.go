package passkey_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore/passkey"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/passkeytest"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const origin = "https://auth.example.com"

func config() passkey.Config {
	allowed := []string{origin, "https://app.example.com", "android:apk-key-hash:Zm9v"}
	return passkey.Config{
		RPID:   "example.com",
		RPName: "Example",
		Origin: func(o string) bool { return slices.Contains(allowed, o) },
		Key:    bytes.Repeat([]byte{7}, 32),
	}
}

// site is a relying party with a database and a clock that can be put forward.
type site struct {
	*passkey.RelyingParty
	db    *pgtest.Database
	ahead atomic.Int64
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{db: pgtest.New(t)}
	cfg := config()
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }
	rp, err := passkey.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.RelyingParty = rp
	return s
}

func (s *site) user(t *testing.T) passkey.User {
	t.Helper()
	id := ids.New()
	if _, err := dbscope.Exec(t.Context(), s.db.Pool, dbscope.System(),
		`INSERT INTO auth.users (id, name, email) VALUES ($1, 'Ada', lower($1) || '@example.com')`, id); err != nil {
		t.Fatal(err)
	}
	return passkey.User{ID: id, Name: "ada@example.com", DisplayName: "Ada"}
}

// another is a pool of its own, as of another edge.
func (s *site) another(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// in runs work as the system and returns what it does.
func in[T any](ctx context.Context, pool *pgxpool.Pool, work func(pgx.Tx) (T, error)) (T, error) {
	var v T
	err := dbscope.InTx(ctx, pool, dbscope.System(), func(tx pgx.Tx) (err error) {
		v, err = work(tx)
		return err
	})
	return v, err
}

// ceremony is what the browser gets.
type ceremony struct {
	options json.RawMessage
	state   string
}

func (s *site) registration(t *testing.T, u passkey.User) ceremony {
	t.Helper()
	c, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) (c ceremony, err error) {
		c.options, c.state, err = s.RegistrationOptions(t.Context(), tx, u)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signIn makes options for a user, or for anybody.
func (s *site) signIn(t *testing.T, userID string, secondFactor bool) ceremony {
	t.Helper()
	c, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) (c ceremony, err error) {
		c.options, c.state, err = s.SignInOptions(t.Context(), tx, userID, secondFactor)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *site) register(ctx context.Context, pool *pgxpool.Pool, u passkey.User, state string, response json.RawMessage, name string) (passkey.Passkey, error) {
	return in(ctx, pool, func(tx pgx.Tx) (passkey.Passkey, error) {
		return s.RegisterTx(ctx, tx, u, state, response, name)
	})
}

func (s *site) verify(ctx context.Context, pool *pgxpool.Pool, state string, response json.RawMessage) (passkey.Assertion, error) {
	return in(ctx, pool, func(tx pgx.Tx) (passkey.Assertion, error) { return s.VerifyTx(ctx, tx, state, response) })
}

// overlap does first, and second before the transaction of first commits, unless
// second waits for that. It returns the error of second.
func (s *site) overlap(t *testing.T, first func(pgx.Tx) error, second func() error) error {
	t.Helper()
	result := make(chan error, 1)
	_, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) (any, error) {
		if err := first(tx); err != nil {
			return nil, err
		}
		go func() { result <- second() }()
		for waiting := 0; waiting == 0 && len(result) == 0; {
			if err := s.db.Pool.QueryRow(t.Context(),
				`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return <-result
}

// registered is a passkey of a user on an authenticator.
func (s *site) registered(t *testing.T, u passkey.User, a *passkeytest.Authenticator) passkey.Passkey {
	t.Helper()
	c := s.registration(t, u)
	p, err := s.register(t.Context(), s.db.Pool, u, c.state, create(t, a, c.options), "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// use signs in with an authenticator as the page offers it to anybody.
func (s *site) use(t *testing.T, a *passkeytest.Authenticator) (passkey.Assertion, error) {
	t.Helper()
	c := s.signIn(t, "", false)
	return s.verify(t.Context(), s.db.Pool, c.state, get(t, a, c.options))
}

func (s *site) list(t *testing.T, u passkey.User) []passkey.Passkey {
	t.Helper()
	list, err := in(t.Context(), s.db.Pool, func(tx pgx.Tx) ([]passkey.Passkey, error) { return passkey.List(t.Context(), tx, u.ID) })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// challenges is how many were answered.
func (s *site) challenges(t *testing.T) int {
	t.Helper()
	row, err := dbscope.Row[struct{ N int }](t.Context(), s.db.Pool, dbscope.System(), `SELECT count(*) AS n FROM auth.passkey_challenges`)
	if err != nil {
		t.Fatal(err)
	}
	return row.N
}

func create(t testing.TB, a *passkeytest.Authenticator, options json.RawMessage) json.RawMessage {
	t.Helper()
	response, err := a.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func get(t testing.TB, a *passkeytest.Authenticator, options json.RawMessage) json.RawMessage {
	t.Helper()
	response, err := a.Get(options)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// edited is a JSON object after a change.
func edited(t testing.TB, raw json.RawMessage, change func(map[string]any)) json.RawMessage {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	change(o)
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
