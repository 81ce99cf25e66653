package meter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// chunked is a request whose body has no announced length.
func chunked(user, key, body string) *http.Request {
	r := keyed(user, key, "POST", "/", body)
	r.ContentLength = -1
	return r
}

// reads is an upstream that reads the body before it answers.
func reads(status int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		return edgetest.Answers(status)(w, r)
	}
}

// begins is an upstream that answers before it has read the body.
func begins(status int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := edgetest.Answers(status)(w, r); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, r.Body)
		return err
	}
}

var mib = strings.Repeat("0123456789abcdef", 1<<16)

// A key pays for one body: another one that shares its beginning, however long,
// is charged as a request of its own, or refused.
func TestMeterKeyOfAnotherLongBody(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for name, upstream := range map[string]caddyhttp.HandlerFunc{"reads first": reads(200), "answers first": begins(200)} {
		for _, long := range []string{"", mib} {
			user := p.user(fmt.Sprint(name, len(long)), 20_000)
			m := p.meter(&meter.Meter{Credits: "5"})
			worked := 0
			for i, c := range []struct {
				body string
				cost string
				left creditcore.Amount
			}{{"a", "5", 15_000}, {"b", "5", 10_000}, {"a", "0", 10_000}, {"c", "", 10_000}} {
				x := edgetest.Send(t, m, chunked(user, "k", long+c.body), upstream)
				worked += x.Reached
				if name == "answers first" && i == 1 {
					c.cost = "0" // nobody knew better
				}
				if got := x.Header().Get("Mana-Credits-Cost"); got != c.cost {
					t.Errorf("%s, %d: the response says %q, want %q", name, i, got, c.cost)
				}
				p.wantAvailable(user, c.left)
			}
			if worked != 3 {
				t.Errorf("%s: worked on %d", name, worked)
			}
		}
	}
}

// Whoever has no credits for another body does not get its response, and where
// that has begun gives what there is and owes the rest.
func TestMeterAnotherBodyWithoutCredits(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	m := p.meter(&meter.Meter{Credits: "5"})
	first, second := p.user("first", 8000), p.user("second", 8000)
	for _, user := range []string{first, second} {
		wantBill(t, edgetest.Send(t, m, chunked(user, "k", "a"), reads(200)).Header(), "5", "3")
	}
	x := edgetest.Send(t, m, chunked(first, "k", "b"), func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("X-Secret", "1")
		return reads(200)(w, r)
	})
	if x.Code != 402 || strings.Contains(x.Body.String(), "body") || x.Header().Get("X-Secret") != "" || x.Reached != 1 || x.Err != nil {
		t.Errorf("%d: %s, %v, %v", x.Code, x.Body, x.Header(), x.Err)
	}
	wantBill(t, x.Header(), "0", "3")
	if got := x.Placeholders(); got != "insufficient 0 3" {
		t.Errorf("placeholders %q", got)
	}
	p.wantAvailable(first, 3000)

	edgetest.Send(t, m, chunked(second, "k", "b"), begins(200))
	if b, err := p.BalanceOf(t.Context(), second); err != nil || b.Available != 0 || b.Debt != 2000 {
		t.Errorf("%+v, %v, want a debt of what was not there", b, err)
	}
	edgetest.GrantTo(t, p.Service, second, 3000)
	p.wantAvailable(second, 1000)
}

// An upload that breaks off is paid for, and comes again under its key for
// nothing; the rest of another body does not.
func TestMeterBrokenUploadComesAgain(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 20_000)
	m := p.meter(&meter.Meter{Credits: "5", FreeOn: []string{"timeout"}})
	ctx, leave := context.WithCancel(t.Context())
	broken := by(ada, chunked(ada, "k", mib+"a").WithContext(ctx))
	edgetest.Send(t, m, broken, func(_ http.ResponseWriter, r *http.Request) error {
		_, _ = io.CopyN(io.Discard, r.Body, 200_000)
		leave()
		return context.Canceled
	})
	p.wantAvailable(ada, 15_000)
	wantBill(t, edgetest.Send(t, m, chunked(ada, "k", mib+"a"), reads(200)).Header(), "0", "15")
	wantBill(t, edgetest.Send(t, m, chunked(ada, "k", mib+"b"), reads(200)).Header(), "5", "10")
}

// Of many at once, each body that is worked on is paid for, also where two
// edges share the database, and three pass.
func TestMeterKeyOfManyBodies(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	other := &purse{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: p.db.Pool}), t, p.db}
	edges := []*meter.Meter{p.meter(&meter.Meter{Credits: "5"}), other.meter(&meter.Meter{Credits: "5"})}
	for name, upstream := range map[string]caddyhttp.HandlerFunc{"reads": reads(200), "begins": begins(200)} {
		for _, bodies := range []int{1, 48} {
			user := p.user(fmt.Sprint(name, bodies), 1_000_000)
			var passed atomic.Int32
			var seen sync.Map
			var wg sync.WaitGroup
			for i := range 48 {
				wg.Go(func() {
					body := fmt.Sprint(mib, i%bodies)
					x := edgetest.Send(t, edges[i%2], chunked(user, "k", body), upstream)
					for tries := 0; x.Code == 503 && tries < 50; tries++ { // so many at one account wait too long for their turn
						x = edgetest.Send(t, edges[i%2], chunked(user, "k", body), upstream)
					}
					if passed.Add(int32(x.Reached)); x.Reached > 0 {
						seen.Store(body, true)
					} else if x.Code != 409 {
						t.Errorf("%d: %s", x.Code, x.Body)
					}
				})
			}
			wg.Wait()
			distinct := creditcore.Amount(0)
			seen.Range(func(any, any) bool { distinct++; return true })
			if passed.Load() != 3 || distinct != creditcore.Amount(min(bodies, 3)) {
				t.Errorf("%s: %d passed with %d bodies", name, passed.Load(), distinct)
			}
			p.wantAvailable(user, 1_000_000-5000*distinct)
		}
	}
}

// Nobody without credits has a body read, and what is kept of bodies has a
// bound.
func TestMeterLooksAtTheBalanceBeforeTheBody(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	poor := p.user("poor", 1000)
	m := p.meter(&meter.Meter{Credits: "5"})
	r := keyed(poor, "k", "POST", "/", "x")
	r.Body = io.NopCloser(leaver(func() { t.Error("the body was read") }))
	if x := edgetest.Send(t, m, r, edgetest.Answers(200)); x.Code != 402 {
		t.Errorf("%d", x.Code)
	}
}
