package main_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/creditcore"
)

// batchedSite sells one route that is charged in memory.
const batchedSite = `
	@batched path /batched
	mana_credits @batched 0.25 {
		app crash
		operation batched
		durability batched
	}
	reverse_proxy @batched %s`

// unwrittenFor is how long an answer may have been there before a kill whose charge
// is not written yet: what is older holds up the edge, on a machine that is busy too.
const unwrittenFor = 3 * time.Second

// batchedClient counts what it was served.
type batchedClient struct {
	client *http.Client
	bearer string

	mu       sync.Mutex
	answered []time.Time
	kills    []time.Time
}

// owed is what answers come to, and how much of it may not have been written when the
// edge was killed.
func (c *batchedClient) owed() (total, doubtful creditcore.Amount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.answered {
		total += 250
		if slices.ContainsFunc(c.kills, func(k time.Time) bool { return at.After(k.Add(-unwrittenFor)) && at.Before(k.Add(time.Second)) }) {
			doubtful += 250
		}
	}
	return total, doubtful
}

func (c *batchedClient) run(ctx context.Context, t *testing.T, url string) {
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+c.bearer)
		response, err := c.client.Do(request)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the edge is down
			continue
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		switch cost := response.Header.Get("Mana-Credits-Cost"); {
		case response.StatusCode == http.StatusOK && cost != "0.25":
			t.Errorf("an answer that cost %q", cost)
		case response.StatusCode == http.StatusOK:
			c.mu.Lock()
			c.answered = append(c.answered, time.Now())
			c.mu.Unlock()
		case response.StatusCode < 500:
			t.Errorf("status %d", response.StatusCode)
		}
	}
}

// counting answers like an app whose every fifth request fails, and counts by user what
// it did.
func counting(t *testing.T, served *sync.Map) string {
	t.Helper()
	var n atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%5 == 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		count, _ := served.LoadOrStore(r.Header.Get("X-Mana-User-Id"), new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
	}))
	t.Cleanup(app.Close)
	return app.Listener.Addr().String()
}

// The edge is killed again and again under a load that is charged in memory. No user
// pays for more than the app did for them, and what was served and is not charged is
// what was answered right before a kill; no credit stays reserved, and the audit is
// clean.
func TestKillUnderBatchedLoad(t *testing.T) {
	t.Parallel()
	rounds := 4
	if *soak > time.Minute {
		rounds = int(*soak / (3 * time.Second))
	}
	e := newEdge(t)
	var served sync.Map
	e.Site = fmt.Sprintf(batchedSite, counting(t, &served))
	e.start(t)
	const users, funds = 3, 1_000_000
	clients, ids := make([]*batchedClient, users), []string(nil)
	for i := range clients {
		address := fmt.Sprintf("batched%d@mana.how", i)
		register(t, e, address, fmt.Sprintf("198.51.100.%d", 150+i))
		tokens := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
			map[string]string{"email": address, "password": password}), http.StatusOK)
		e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", address, "--amount", strconv.Itoa(funds))
		clients[i] = &batchedClient{client: e.client(), bearer: tokens.Text("accessToken")}
	}
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		stop := func() {
			cancel()
			load.Wait()
		}
		t.Cleanup(stop) // where the test ends early
		for _, c := range clients {
			for range 4 {
				load.Go(func() { c.run(ctx, t, e.AppURL()+"/batched") })
			}
		}
		time.Sleep(500*time.Millisecond + rand.N(1500*time.Millisecond))
		e.kill(t)
		for _, c := range clients {
			c.mu.Lock()
			c.kills = append(c.kills, time.Now())
			c.mu.Unlock()
		}
		e.start(t)
		time.Sleep(300 * time.Millisecond)
		stop()
		e.awaitReady(t)
		e.wantSound(t)
	}
	leased := e.ledgerNumbers(t, `SELECT count(*), 0 FROM credits.holds WHERE lease`)
	if leased[0] == 0 {
		t.Error("nothing was leased")
	}
	served.Range(func(id, _ any) bool {
		ids = append(ids, id.(string))
		return true
	})
	var did, owed, doubtful, charged int64
	for _, c := range clients {
		total, doubt := c.owed()
		owed += int64(total)
		doubtful += int64(doubt)
	}
	deadline := time.Now().Add(90 * time.Second)
	for _, id := range ids {
		if id == "" {
			continue
		}
		count, _ := served.Load(id)
		most := count.(*atomic.Int64).Load() * 250
		did += most
		var row [2]int64 // what is charged and what is reserved
		for {
			row = e.ledgerNumbers(t, `SELECT (SELECT coalesce(-sum(amount), 0)::bigint FROM credits.transactions WHERE user_id = $1 AND type IN ('usage', 'refund')),
				(SELECT held FROM credits.balances WHERE user_id = $1)`, id)
			if row[1] == 0 && row[0] <= most || time.Now().After(deadline) {
				break
			}
			time.Sleep(time.Second)
		}
		if charged += row[0]; row[0] > most || row[1] != 0 {
			t.Errorf("user %s is charged %d for %d that the app did, %d are reserved", id, row[0], most, row[1])
		}
	}
	if charged < owed-doubtful {
		t.Errorf("%d charged of %d served, of which %d right before a kill", charged, owed, doubtful)
	}
	t.Logf("the app did %d, clients were served %d, %d are charged", did, owed, charged)
	e.wantSound(t)
}
