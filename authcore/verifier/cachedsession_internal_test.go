package verifier

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/ids"
)

func TestPackedSession(t *testing.T) {
	t.Parallel()
	at := func(n int64) time.Time { return time.UnixMicro(1_795_341_600_000_000 + n) }
	text := func(s string) *string { return &s }
	full, long := cachedExample(1), cachedExample(2)
	full.s.ParentID, full.s.DeviceName, full.s.ActiveOrganizationID = text("parent"), text("Ada's laptop"), text("org")
	full.s.OrganizationRole = (*organization.Role)(text("admin"))
	full.u.Image = text("")
	long.u.Name, long.u.Image = fmt.Sprintf("%0127d", 1), text(fmt.Sprintf("data:%070000d", 1))
	for name, want := range map[string]struct {
		u account.User
		s session.Session
	}{
		"full": full,
		"long": long,
		"bare": {account.User{ID: "u", Role: principal.RoleAdmin, CreatedAt: at(1), UpdatedAt: at(2)},
			session.Session{ID: "s", UserID: "u", Token: "s", Kind: session.Web, CreatedAt: at(3), UpdatedAt: at(4), ExpiresAt: at(5), LastActivityAt: at(6)}},
	} {
		c := packSession(want.u, want.s, at(7))
		if diff := cmp.Diff(want.u, c.user()); diff != "" {
			t.Errorf("%s: user %s", name, diff)
		}
		if diff := cmp.Diff(want.s, c.session()); diff != "" {
			t.Errorf("%s: session %s", name, diff)
		}
		if !c.readTime().Equal(at(7)) || c.userID() != want.u.ID {
			t.Errorf("%s: read at %v, of %q", name, c.readTime(), c.userID())
		}
	}
}

func TestFlagsAreClaimedOnce(t *testing.T) {
	t.Parallel()
	e := cachedExample(1)
	c := packSession(e.u, e.s, time.Now())
	if !c.claim(rechecking) || c.claim(rechecking) || !c.claim(renewing) {
		t.Error("a flag was raised twice, or not at all")
	}
	if c.release(rechecking); !c.claim(rechecking) || !c.has(persistent) {
		t.Error("lowering a flag did not, or lowered another")
	}
}

type cachedExampleOf struct {
	u account.User
	s session.Session
}

// cachedExample is a session as browsers begin them.
func cachedExample(n int) (e cachedExampleOf) {
	at := time.UnixMicro(1_795_341_600_000_000)
	text := func(format string, args ...any) *string { s := fmt.Sprintf(format, args...); return &s }
	id := func(kind string) string { return fmt.Sprintf("%s%0*d", kind, ids.Length-len(kind), n) }
	e.u = account.User{ID: id("user"), Name: "Ada Lovelace", Email: fmt.Sprintf("ada.lovelace.%d@example.test", n), EmailVerified: true,
		Role: principal.RoleUser, CreatedAt: at, UpdatedAt: at}
	e.s = session.Session{ID: id("session"), UserID: e.u.ID, Token: id("session"), Kind: session.Web, Persistent: true,
		CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(time.Hour), LastActivityAt: at, IPAddress: text("192.0.2.%d", n%256),
		UserAgent: text("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", n%50)}
	return e
}

// Of more sessions than the ring has places for, the first loses its token.
func TestBearersAreBounded(t *testing.T) {
	t.Parallel()
	var ring bearerRing
	sessions := make([]*cachedSession, len(ring.slots)+1)
	for i := range sessions {
		sessions[i] = new(cachedSession)
		ring.keep(sessions[i], &bearer{token: "first"})
		ring.keep(sessions[i], &bearer{token: "second"}) // in the same place
	}
	if sessions[0].bearer.Load() != nil {
		t.Error("the first session kept its token")
	}
	for i, c := range sessions[1:] {
		if b := c.bearer.Load(); b == nil || b.token != "second" {
			t.Fatalf("session %d has %v", i+1, b)
		}
	}
	ring.keep(sessions[0], &bearer{token: "third"})
	if sessions[0].bearer.Load() == nil || sessions[1].bearer.Load() != nil {
		t.Error("a place was not handed on")
	}
}

// A process's resident memory is a bit more than twice what is live in it, so
// this bound is what 100 000 sessions in 100 MiB take.
func TestCachedSessionIsSmall(t *testing.T) {
	const sessions, most = 100_000, 450 // bytes
	live := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, now := live(), time.Now()
	k := newTestKey(t)
	signed, err := token.Sign(k, testClaims())
	if err != nil {
		t.Fatal(err)
	}
	svc := New(Deps{Now: func() time.Time { return now }})
	for n := range sessions {
		e := cachedExample(n)
		e.s.ExpiresAt = now.Add(time.Hour)
		c := packSession(e.u, e.s, now)
		claims := testClaims()
		claims.ID = ids.New()
		svc.bearers.keep(c, &bearer{token: strings.Clone(signed), kid: k.ID, claims: claims})
		svc.remember(digestOf(e.s.ID), c)
	}
	each := (live() - before) / sessions
	t.Logf("%d bytes a session", each)
	if each > most {
		t.Errorf("%d bytes a session, want %d at most", each, most)
	}
	runtime.KeepAlive(svc)
}
