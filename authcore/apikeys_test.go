package authcore_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

var anywhere = netip.MustParseAddr("192.0.2.7")

func makeKey(t testing.TB, s *authcore.Service, c principal.Caller, o apikey.Order) (apikey.Key, string) {
	t.Helper()
	if o.Name == "" {
		o.Name = "My key"
	}
	made, secret, err := s.CreateAPIKey(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	return made, secret
}

// wantKey checks that an edge takes a key, or refuses it with an error.
func wantKey(t testing.TB, s *authcore.Service, secret string, want error) {
	t.Helper()
	if _, err := s.AuthenticateKey(t.Context(), secret, anywhere); !errors.Is(err, want) {
		t.Errorf("the key: %v, want %v", err, want)
	}
}

func TestAPIKeyIsMadeListedAndRevoked(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	ada := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	register(t, s, "bob@example.test")
	bob := callerOf(t, s, signIn(t, s, laptop, "bob@example.test").AccessToken)

	made, secret := makeKey(t, s, ada, apikey.Order{Name: " Speech "})
	if !apikey.WellFormed(secret) || made.Shown != secret[:16]+"..." || made.Name != "Speech" ||
		cmp.Diff([]string{"stt", "tts"}, made.Scopes) != "" || made.Requests != 60 || made.Window != 60 {
		t.Errorf("made %+v, %s", made, secret)
	}
	found, err := s.AuthenticateKey(t.Context(), secret, anywhere)
	if err != nil || found.ID() != made.ID || found.UserID() != ada.UserID {
		t.Fatalf("found %+v, %v", found, err)
	}
	bearer, claims, err := s.KeyBearer(found)
	if err != nil {
		t.Fatal(err)
	}
	read, err := s.Verify(t.Context(), bearer)
	if err != nil || read.Subject != ada.UserID || read.Email != ada.Email || read.APIKeyID != made.ID || read.Scopes != "stt,tts" || claims.APIKeyID != made.ID {
		t.Errorf("the token of the key says %+v, %v", read, err)
	}
	eventually(t, 10*time.Second, "the use is noted", func() bool {
		list, err := s.APIKeys(t.Context(), ada)
		return err == nil && len(list) == 1 && list[0].LastUsedAt != nil
	})

	if list, err := s.APIKeys(t.Context(), bob); err != nil || len(list) != 0 {
		t.Errorf("another user's list: %v, %v", list, err)
	}
	if err := s.RevokeAPIKey(t.Context(), bob, made.ID); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("another user revokes: %v", err)
	}
	wantKey(t, s, secret, nil)
	if err := s.RevokeAPIKey(t.Context(), ada, made.ID); err != nil {
		t.Fatal(err)
	}
	wantKey(t, s, secret, apikey.ErrInvalid)
	if _, err := s.Verify(t.Context(), bearer); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("its token afterwards: %v", err)
	}
	if err := s.RevokeAPIKey(t.Context(), ada, made.ID); !errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if list, err := s.APIKeys(t.Context(), ada); err != nil || len(list) != 1 || list[0].RevokedAt == nil {
		t.Errorf("the list afterwards: %+v, %v", list, err)
	}
	// Nothing of a key is in the database by which somebody could use it.
	rows, err := dbscope.Rows[struct{ Row string }](t.Context(), db.Pool, dbscope.System(), `SELECT k::text AS row FROM auth.api_keys AS k`)
	if err != nil || len(rows) != 1 || strings.Contains(rows[0].Row, secret[16:]) {
		t.Errorf("the row: %v, %v", rows, err)
	}
	events, err := dbscope.Rows[struct{ Event string }](t.Context(), db.Pool, dbscope.System(),
		`SELECT event_type || ' ' || (metadata->>'name') AS event FROM auth.security_events WHERE event_type LIKE 'api_key%' ORDER BY created_at`)
	if err != nil || len(events) != 2 || events[0].Event != "api_key_created Speech" || events[1].Event != "api_key_revoked Speech" {
		t.Errorf("events: %v, %v", events, err)
	}
}

func TestAPIKeyNeedsARecentProof(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	ada := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	change(t, db, `UPDATE auth.sessions SET authenticated_at = now() - interval '16 minutes'`)
	var recent *authcore.ReauthenticationError
	if _, _, err := s.CreateAPIKey(t.Context(), ada, apikey.Order{Name: "late"}); !errors.As(err, &recent) {
		t.Errorf("a key of an old session: %v", err)
	}
}

func TestOrdersOfKeysAreChecked(t *testing.T) {
	t.Parallel()
	s := edge(t, pgtest.New(t))
	register(t, s, "ada@example.test")
	ada := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	past := time.Now().Add(-time.Second)
	for name, c := range map[string]struct {
		order apikey.Order
		want  string
	}{
		"no name":             {apikey.Order{Name: " "}, "name should not be empty"},
		"a scope with blanks": {apikey.Order{Name: "k", Scopes: []string{"stt", "read write"}}, "each value in scopes must be 1 to 64 letters, digits or signs of :._-/* without blanks"},
		"a scope with commas": {apikey.Order{Name: "k", Scopes: []string{"stt,admin"}}, "each value in scopes must"},
		"an empty scope":      {apikey.Order{Name: "k", Scopes: []string{""}}, "each value in scopes must"},
		"many scopes":         {apikey.Order{Name: "k", Scopes: make([]string, 51)}, "scopes must contain no more than 50 elements"},
		"a rate below one":    {apikey.Order{Name: "k", Requests: -1}, "rateLimitRequests must be from 1 to 1000"},
		"a long window":       {apikey.Order{Name: "k", Window: 3601}, "rateLimitWindow must be from 1 to 3600"},
		"a budget of nothing": {apikey.Order{Name: "k", Budget: &apikey.Budget{Period: apikey.Day}}, "budget.credits must be a positive number"},
		"a negative budget":   {apikey.Order{Name: "k", Budget: &apikey.Budget{Credits: -1, Period: apikey.Day}}, "budget.credits must be a positive number"},
		"no period":           {apikey.Order{Name: "k", Budget: &apikey.Budget{Credits: 1}}, "budget.period must be one of the following values: day, month, total"},
		"an expiry gone by":   {apikey.Order{Name: "k", ExpiresAt: &past}, "expiresAt must be in the future"},
		"a name as address":   {apikey.Order{Name: "k", AllowedAddresses: []string{"localhost"}}, "each value in allowedAddresses must be an IP address or a network in CIDR notation"},
		"a wide mapped one":   {apikey.Order{Name: "k", AllowedAddresses: []string{"::ffff:10.0.0.0/8"}}, "each value in allowedAddresses must"},
	} {
		_, _, err := s.CreateAPIKey(t.Context(), ada, c.order)
		var faults apikey.Faults
		if !errors.As(err, &faults) || !strings.Contains(faults.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	made, _ := makeKey(t, s, ada, apikey.Order{Scopes: []string{}, AllowedAddresses: []string{"10.1.2.3/8", "::ffff:192.0.2.1", "2001:db8::1/64"}})
	if len(made.Scopes) != 0 || cmp.Diff([]string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/64"}, made.AllowedAddresses) != "" {
		t.Errorf("made %+v", made)
	}
	for range apikey.MaxPerUser - 1 {
		makeKey(t, s, ada, apikey.Order{})
	}
	if _, _, err := s.CreateAPIKey(t.Context(), ada, apikey.Order{Name: "one more"}); !errors.Is(err, apikey.ErrTooMany) {
		t.Errorf("one more than there may be: %v", err)
	}
}

func TestKeysAreBoundToAddressesAndTime(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edge(t, db)
	register(t, s, "ada@example.test")
	ada := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	_, secret := makeKey(t, s, ada, apikey.Order{AllowedAddresses: []string{"10.0.0.0/8", "2001:db8::/64"}})
	for text, want := range map[string]error{
		"10.200.1.1": nil, "::ffff:10.200.1.1": nil, "2001:db8::77%eth0": nil, "192.0.2.7": apikey.ErrAddress, "2001:db8:0:1::1": apikey.ErrAddress,
	} {
		if _, err := s.AuthenticateKey(t.Context(), secret, netip.MustParseAddr(text)); !errors.Is(err, want) {
			t.Errorf("from %s: %v, want %v", text, err, want)
		}
	}
	if _, err := s.AuthenticateKey(t.Context(), secret, netip.Addr{}); !errors.Is(err, apikey.ErrAddress) {
		t.Errorf("from nowhere: %v", err)
	}

	soon := time.Now().Add(2 * time.Second)
	_, secret = makeKey(t, s, ada, apikey.Order{ExpiresAt: &soon})
	found, err := s.AuthenticateKey(t.Context(), secret, anywhere)
	if err != nil {
		t.Fatal(err)
	}
	if _, claims, err := s.KeyBearer(found); err != nil || claims.Expires.After(soon) {
		t.Errorf("the token outlives the key: %v, %v", claims.Expires, err)
	}
	eventually(t, 10*time.Second, "the key expires in memory", func() bool {
		_, err := s.AuthenticateKey(t.Context(), secret, anywhere)
		return errors.Is(err, apikey.ErrInvalid)
	})
}

// A key that is revoked at one edge is dead at another one within a second, and
// what is open of it ends; with the way to PostgreSQL itself cut a little later.
func TestRevokedKeysDieOnEveryEdge(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, direct := pgtest.NewRelay(t, db.DSN)
	near, far, deaf := edge(t, db), edge(t, db), edgeWith(t, db, func(d *authcore.Deps) { d.ListenDSN = direct })
	register(t, near, "ada@example.test")
	ada := callerOf(t, near, signIn(t, near, laptop, "ada@example.test").AccessToken)
	listens := func() bool { _, ok := far.Listening(); return ok }
	eventually(t, 10*time.Second, "it listens", listens)
	made, secret := makeKey(t, near, ada, apikey.Order{})
	other, _ := makeKey(t, near, ada, apikey.Order{})
	for _, s := range []*authcore.Service{near, far, deaf} {
		wantKey(t, s, secret, nil)
	}
	ended, otherEnded := make(chan struct{}), make(chan struct{})
	watch := revocation.Watch{SessionID: apikey.SessionOf(made.ID), UserID: ada.UserID, Revoked: func() { close(ended) }}
	otherWatch := revocation.Watch{SessionID: apikey.SessionOf(other.ID), UserID: ada.UserID, Revoked: func() { close(otherEnded) }}
	for _, w := range []*revocation.Watch{&watch, &otherWatch} {
		if !far.Watch(w) {
			t.Fatal("it is over before it began")
		}
		defer far.Unwatch(w)
	}
	relay.Cut(true)
	if err := near.RevokeAPIKey(t.Context(), ada, made.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("what was open of the key goes on")
	}
	wantKey(t, far, secret, apikey.ErrInvalid)
	eventually(t, 15*time.Second, "the deaf edge refuses the key", func() bool {
		_, err := deaf.AuthenticateKey(t.Context(), secret, anywhere)
		return errors.Is(err, apikey.ErrInvalid)
	})
	select {
	case <-otherEnded:
		t.Error("what was open of another key ended too")
	default:
	}
	wantKey(t, edge(t, db), secret, apikey.ErrInvalid) // after a restart
}

// Keys die with their user, and those of an organisation with the user's role in
// it, at the other edge as well.
func TestKeysDieWithWhomTheyActFor(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *pgtest.Database, *authcore.Service, principal.Caller){
		"user disabled": func(t *testing.T, _ *pgtest.Database, s *authcore.Service, c principal.Caller) {
			if _, err := s.SetDisabled(t.Context(), operator, c.UserID, true); err != nil {
				t.Fatal(err)
			}
		},
		"user deleted": func(t *testing.T, _ *pgtest.Database, s *authcore.Service, c principal.Caller) {
			if err := s.DeleteAccount(t.Context(), c, testPassword, ""); err != nil {
				t.Fatal(err)
			}
		},
		"demoted": func(t *testing.T, db *pgtest.Database, _ *authcore.Service, c principal.Caller) {
			change(t, db, `UPDATE auth.members SET role = 'member' WHERE user_id = $1`, c.UserID)
		},
		"removed": func(t *testing.T, db *pgtest.Database, _ *authcore.Service, c principal.Caller) {
			change(t, db, `DELETE FROM auth.members WHERE user_id = $1`, c.UserID)
		},
		"organisation deleted": func(t *testing.T, db *pgtest.Database, _ *authcore.Service, _ principal.Caller) {
			change(t, db, `DELETE FROM auth.organizations`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			near, far := edge(t, db), edge(t, db)
			register(t, near, "ada@example.test")
			ada := callerOf(t, near, signIn(t, near, laptop, "ada@example.test").AccessToken)
			if _, _, err := near.CreateAPIKey(t.Context(), ada, apikey.Order{Name: "k", OrganizationID: "org"}); !errors.Is(err, apikey.ErrOrganization) {
				t.Fatalf("a key of an organisation she is not in: %v", err)
			}
			change(t, db, `INSERT INTO auth.organizations (id, name) VALUES ('org', 'Org')`)
			change(t, db, `INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('m', 'org', $1, 'admin')`, ada.UserID)
			_, secret := makeKey(t, near, ada, apikey.Order{OrganizationID: "org"})
			found, err := far.AuthenticateKey(t.Context(), secret, anywhere)
			if err != nil {
				t.Fatal(err)
			}
			if _, claims, err := far.KeyBearer(found); err != nil || claims.OrganizationID != "org" || claims.OrganizationRole != "admin" {
				t.Errorf("its token says %+v, %v", claims, err)
			}
			end(t, db, near, ada)
			eventually(t, 5*time.Second, "the other edge refuses the key", func() bool {
				_, err := far.AuthenticateKey(t.Context(), secret, anywhere)
				return errors.Is(err, apikey.ErrInvalid)
			})
		})
	}
}

// keyStatements counts those that read keys, and those that note their use.
type keyStatements struct{ reads, touches atomic.Int64 }

func (*keyStatements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (*keyStatements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (c *keyStatements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		if strings.Contains(q.SQL, "WHERE k.key_hash") {
			c.reads.Add(1)
		}
		if strings.Contains(q.SQL, "UPDATE auth.api_keys SET last_used_at") {
			c.touches.Add(1)
		}
	}
	return ctx
}
func (*keyStatements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*keyStatements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// A key costs one reading, however many ask, and one note of its use; a text
// that is no key costs nothing, and an unknown key one reading for a while.
func TestKeysAreAskedForOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	cfg := db.Pool.Config()
	var count keyStatements
	cfg.ConnConfig.Tracer = &count
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Pool = pool })
	eventually(t, 10*time.Second, "it listens", func() bool { _, ok := s.Listening(); return ok })
	register(t, s, "ada@example.test")
	ada := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	_, secret := makeKey(t, s, ada, apikey.Order{})
	unknown := apikey.Prefix + strings.Repeat("0", 32)
	var asking sync.WaitGroup
	for range 32 {
		asking.Go(func() {
			for range 20 {
				wantKey(t, s, secret, nil)
				wantKey(t, s, unknown, apikey.ErrInvalid)
				for _, text := range []string{"", apikey.Prefix, secret + "0", strings.ToUpper(secret), "sk_test_" + secret[8:]} {
					wantKey(t, s, text, apikey.ErrInvalid)
				}
			}
		})
	}
	asking.Wait()
	if n := count.reads.Load(); n != 2 {
		t.Errorf("%d readings, want one a key", n)
	}
	eventually(t, 10*time.Second, "the use is noted", func() bool { return count.touches.Load() > 0 })
	if n := count.touches.Load(); n != 1 {
		t.Errorf("the use was noted %d times", n)
	}
}

// While the database is away a key in memory is taken, and of others nobody can
// tell.
func TestKeysWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	relay, through := pgtest.NewRelay(t, db.DSN)
	pool, err := pgxpool.New(t.Context(), through)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := edgeWith(t, db, func(d *authcore.Deps) { d.Pool = pool })
	eventually(t, 10*time.Second, "it listens", func() bool { _, ok := s.Listening(); return ok })
	register(t, s, "ada@example.test")
	ada := callerOf(t, s, signIn(t, s, laptop, "ada@example.test").AccessToken)
	_, known := makeKey(t, s, ada, apikey.Order{})
	_, unread := makeKey(t, s, ada, apikey.Order{})
	wantKey(t, s, known, nil)
	relay.Cut(true)
	wantKey(t, s, known, nil)
	wantKey(t, s, unread, authcore.ErrUnavailable)
	relay.Cut(false)
	eventually(t, 10*time.Second, "the other key is taken again", func() bool {
		_, err := s.AuthenticateKey(t.Context(), unread, anywhere)
		return err == nil
	})
}

// An organisation that is deleted takes its keys with it: they are dead at every
// edge, and what is open of them ends, whatever becomes of their users.
func TestKeysOfADeletedOrganizationEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	near, far := edge(t, db), edge(t, db)
	ada := newColleague(t, near, db, "ada")
	eventually(t, 10*time.Second, "it listens", func() bool { _, ok := far.Listening(); return ok })
	o, err := near.CreateOrganization(t.Context(), ada.Caller, organization.New{Name: "Engines"})
	if err != nil {
		t.Fatal(err)
	}
	made, secret := makeKey(t, near, ada.Caller, apikey.Order{OrganizationID: o.ID})
	_, ownSecret := makeKey(t, near, ada.Caller, apikey.Order{})
	wantKey(t, far, secret, nil)
	ended := make(chan struct{})
	watch := revocation.Watch{SessionID: apikey.SessionOf(made.ID), UserID: ada.User.ID, Revoked: func() { close(ended) }}
	if !far.Watch(&watch) {
		t.Fatal("it is over before it began")
	}
	defer far.Unwatch(&watch)
	if err := near.DeleteOrganization(t.Context(), ada.Caller, o.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("what was open of the key goes on")
	}
	wantKey(t, far, secret, apikey.ErrInvalid)
	wantKey(t, far, ownSecret, nil)
	if got := names(t, db, `SELECT session_id AS name FROM auth.revocations WHERE session_id IS NOT NULL`); len(got) != 1 || got[0] != apikey.SessionOf(made.ID) {
		t.Errorf("the edges are told of %v", got)
	}
}
