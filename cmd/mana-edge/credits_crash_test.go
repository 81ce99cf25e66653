package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/localpg"
	"mana.how/edge/internal/stripetest"
)

// crashPrices are by name, with tiers.
const crashPrices = `
		prices {
			crash.token 0.1 per 100 tokens above 300 0.05
			crash.image 0.4 above 2 0.3
		}`

// paidSite sells four routes: one debited first, one the same in front of an
// app that is slow and fails, one held and settled, and one by the tokens that a
// model says it used, at a price with tiers.
const paidSite = `
	@fixed path /api/generate
	mana_credits @fixed 0.5 {
		app crash
		operation fixed
	}
	@slow path /slow
	mana_credits @slow 0.7 {
		app crash
		operation slow
	}
	reverse_proxy @slow %s
	@open path /api/whoami
	mana_credits @open 0.3 {
		app crash
		operation open
		cost_from X-Mana-Cost
		hold_ttl 2s
	}
	@tokens path /tokens
	mana_credits @tokens 1 {
		app crash
		operation tokens
		cost_tokens crash.token
		hold_ttl 2s
	}
	reverse_proxy @tokens %s`

// doubtfulFor is how long before its last word an edge may have answered and
// not have counted the charge as done with yet, on a machine that is busy.
const doubtfulFor = 3 * time.Second

// unsettledFor is how long before a kill an answer may have begun whose price
// the app told and whose hold still lapses: while PostgreSQL is away its
// settlement waits in the edge.
const unsettledFor = 20 * time.Second

// killed is when an edge was killed, and when it had last said what it was
// done with: its charges since then are given back.
type killed struct {
	at, lastWord time.Time
}

// covers reports whether the charge of an answer may have been given back.
func (k killed) covers(p paid) bool {
	from := k.lastWord.Add(-doubtfulFor)
	if reserved(p.operation) && k.at.Add(-unsettledFor).Before(from) {
		from = k.at.Add(-unsettledFor)
	}
	return p.at.After(from) && p.at.Before(k.at.Add(time.Second))
}

// reserved reports whether an operation is settled, before its answer is over.
func reserved(operation string) bool { return operation == "open" || operation == "tokens" }

// paid is an answer that said what it cost.
type paid struct {
	operation string
	cost      creditcore.Amount
	at        time.Time
}

// meteredClient calls the paid routes and remembers what it was told.
type meteredClient struct {
	client *http.Client
	bearer string

	mu    sync.Mutex
	sent  map[string]creditcore.Amount // the most that its requests for a route that reserves can have cost
	paid  []paid
	kills []killed
}

// charged is what answers of an operation said, and how much of that may have
// been given back because the edge was killed right after.
func (m *meteredClient) charged(operation string) (total, doubtful creditcore.Amount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.paid {
		if p.operation != operation {
			continue
		}
		total += p.cost
		if slices.ContainsFunc(m.kills, func(k killed) bool { return k.covers(p) }) {
			doubtful += p.cost
		}
	}
	return total, doubtful
}

// run ends after the request that is on its way when ctx ends.
func (m *meteredClient) run(ctx context.Context, t *testing.T, auth, app string) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for ctx.Err() == nil {
		operation, path, most := "fixed", "/api/generate", creditcore.Amount(0)
		switch rng.IntN(5) {
		case 0:
			operation, path, most = "open", "/api/whoami", 300
		case 1:
			operation, path = "slow", "/slow"
		case 2:
			operation, path, most = "tokens", "/tokens", creditcore.Credit
		case 3:
			if !m.use(t, auth, 1+creditcore.Amount(rng.Int64N(4000))) {
				t.Error("who has enough was refused")
			}
			continue
		}
		m.mu.Lock()
		m.sent[operation] += most
		m.mu.Unlock()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, app+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+m.bearer)
		response, err := m.client.Do(request)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the edge is down
			continue
		}
		body, broken := io.ReadAll(response.Body)
		_ = response.Body.Close()
		said := response.Header
		if operation == "tokens" {
			if said = response.Trailer; broken != nil && response.StatusCode == http.StatusOK {
				continue // the edge went down before the end
			}
		}
		cost, err := creditcore.ParseAmount(said.Get("Mana-Credits-Cost"))
		switch {
		case response.StatusCode == http.StatusOK && err != nil:
			t.Errorf("an answer without its cost: %v, %v", response.Header, response.Trailer)
		case response.StatusCode == http.StatusOK && operation == "tokens" && cost != costOfTokens(t, body):
			t.Errorf("an answer that cost %s: %s", cost, body)
		case response.StatusCode == http.StatusOK:
			m.mu.Lock()
			m.paid = append(m.paid, paid{operation, cost, time.Now()})
			m.mu.Unlock()
		case response.StatusCode < 500:
			t.Errorf("status %d", response.StatusCode)
		}
	}
}

// imageOperation is what charges by the name of a price are booked under: the name.
const imageOperation = "crash.image"

// use charges a quantity at a price with tiers, by a key, until the answer is there: that may
// be of an edge that runs after the one that charged. It reports false where there was not
// enough for it.
func (m *meteredClient) use(t *testing.T, auth string, quantity creditcore.Amount) bool {
	want := (quantity*400 + 999) / 1000
	if above := quantity - 2000; above > 0 {
		want = 800 + (above*300+999)/1000
	}
	charge := map[string]any{"price": imageOperation, "quantity": quantity, "appId": "crash", "description": "pictures", "idempotencyKey": strconv.FormatUint(rand.Uint64(), 36)}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		answer, err := try(t.Context(), m.client, http.MethodPost, auth+"/api/v1/credits/use", charge, "Authorization", "Bearer "+m.bearer)
		switch {
		case err == nil && answer.StatusCode < 300:
			var made struct {
				Transaction struct{ Amount creditcore.Amount }
			}
			if err := json.Unmarshal(answer.Body, &made); err != nil || made.Transaction.Amount != -want {
				t.Errorf("%s pictures are charged with %s, want %s: %v", quantity, -made.Transaction.Amount, want, err)
			}
			m.mu.Lock()
			m.paid = append(m.paid, paid{imageOperation, want, time.Now()})
			m.mu.Unlock()
			return true
		case err == nil && answer.StatusCode == http.StatusPaymentRequired:
			return false
		case err == nil && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests:
			t.Errorf("%s pictures: %d %s", quantity, answer.StatusCode, answer.Body)
			return false
		case t.Context().Err() != nil || time.Now().After(end):
			t.Errorf("%s pictures: no answer, %v", quantity, err)
			return false
		}
	}
}

// model answers after a while with what it used, which is often where a tier begins, or
// fails.
func model(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(rand.N(100 * time.Millisecond))
		if rand.N(5) == 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		tokens := 1 + rand.N(700)
		if rand.N(2) == 0 {
			tokens = 299 + rand.N(4)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":%d}}`, tokens)
	}))
	t.Cleanup(app.Close)
	return app.Listener.Addr().String()
}

// costOfTokens is what the tokens of an answer of the model cost by crashPrices.
func costOfTokens(t *testing.T, body []byte) creditcore.Amount {
	t.Helper()
	var said struct {
		Usage struct {
			Tokens int64 `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal(body, &said); err != nil {
		t.Errorf("%v: %s", err, body)
	}
	return creditcore.Amount(min(said.Usage.Tokens, 300) + (max(said.Usage.Tokens-300, 0)+1)/2)
}

// moody answers after a while, or fails.
func moody(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(rand.N(400 * time.Millisecond))
		if rand.N(3) == 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(app.Close)
	return app.Listener.Addr().String()
}

// The edge and PostgreSQL are killed at random points of a metered load, with
// an app that is slow and fails. What was answered stays charged, but for what
// the edge had not said it was done with; what was not answered is given back;
// what was asked for by a key until it was answered is charged once, by the tier that it
// lies in; what an account buys by itself is paid for once; the audit is clean.
func TestKillUnderMeteredLoad(t *testing.T) {
	t.Parallel()
	rounds := 6
	if *soak > time.Minute {
		rounds = int(*soak / (3 * time.Second))
	}
	e := newEdge(t)
	e.Site, e.Options = fmt.Sprintf(paidSite, moody(t), model(t)), crashPrices
	bank := stripetest.New(t)
	e.crashStripe(bank)
	e.start(t)
	const users = 4
	clients := make([]*meteredClient, users+1)
	for i := range clients {
		funds := 1_000_000
		if i == users {
			funds = crashPackage
		}
		address := fmt.Sprintf("crash%d@mana.how", i)
		register(t, e, address, fmt.Sprintf("198.51.100.%d", 100+i))
		tokens := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
			map[string]string{"email": address, "password": password}), http.StatusOK)
		e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", address, "--amount", strconv.Itoa(funds))
		clients[i] = &meteredClient{client: e.client(), bearer: tokens.Text("accessToken"), sent: make(map[string]creditcore.Amount)}
	}
	refilled := toppedUp{clients[users], bank, time.Now()}
	clients = clients[:users]
	refilled.agree(t, e)
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var load sync.WaitGroup
		stop := func() {
			cancel()
			load.Wait()
		}
		t.Cleanup(stop) // where the test ends early
		load.Go(func() { refilled.run(ctx, t, e.Auth()) })
		for _, m := range clients {
			for range 4 {
				load.Go(func() { m.run(ctx, t, e.Auth(), e.AppURL()) })
			}
		}
		time.Sleep(300*time.Millisecond + rand.N(1200*time.Millisecond))
		if round%2 == 0 {
			lastWord := e.lastWord(t)
			e.kill(t)
			for _, m := range clients {
				m.mu.Lock()
				m.kills = append(m.kills, killed{time.Now(), lastWord})
				m.mu.Unlock()
			}
			e.start(t)
		} else {
			e.killDatabase(t)
			time.Sleep(500 * time.Millisecond) // the load goes on meanwhile
		}
		time.Sleep(300 * time.Millisecond)
		stop()
		e.awaitReady(t)
	}

	for i, m := range clients {
		e.awaitSpending(t, m, fmt.Sprintf("crash%d@mana.how", i))
	}
	refilled.wantPaidOnce(t, e)
	e.wantSound(t)
}

// wantSound audits the ledger of the edge that runs.
func (e *Edge) wantSound(t *testing.T) {
	t.Helper()
	var report struct {
		Breaches []creditcore.Breach
	}
	audit := e.command(t.Context(), "mana", "credits", "audit", "--config", e.config, "--json")
	var said bytes.Buffer
	audit.Stderr = &said
	out, err := audit.Output()
	if err != nil {
		t.Fatalf("audit: %v: %q: %q", err, out, said.String())
	}
	decode(t, string(out), &report)
	for _, b := range report.Breaches {
		t.Errorf("audit: %+v", b)
	}
}

// ledgerNumbers reads a row of two numbers of the edge's database.
func (e *Edge) ledgerNumbers(t *testing.T, sql string, args ...any) (row [2]int64) {
	t.Helper()
	dsn, ok, err := localpg.Attach(t.Context(), filepath.Join(e.dir, "postgres"))
	if err != nil || !ok {
		t.Fatalf("no embedded server: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE mana_system`); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), sql, args...).Scan(&row[0], &row[1])
	})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// awaitSpending waits until the user has spent what answers said: the edges
// that are gone are found to be gone after a while.
func (e *Edge) awaitSpending(t *testing.T, m *meteredClient, address string) {
	t.Helper()
	tokens := want(t, send(t, e.client(), http.MethodPost, e.Auth()+"/api/v1/auth/login",
		map[string]string{"email": address, "password": password}, "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", rand.IntN(250))), http.StatusOK)
	var faults []string
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) {
		answer := want(t, send(t, e.client(), http.MethodGet, e.Auth()+"/api/v1/credits/usage?groupBy=operation", nil,
			"Authorization", "Bearer "+tokens.Text("accessToken")), http.StatusOK)
		var usage struct {
			Usage []struct {
				Key               string
				Credits, Refunded creditcore.Amount
			}
		}
		if err := json.Unmarshal(answer.Body, &usage); err != nil {
			t.Fatal(err)
		}
		spent := make(map[string]creditcore.Amount)
		for _, u := range usage.Usage {
			spent[u.Key] = u.Credits - u.Refunded
		}
		faults = nil
		for _, operation := range []string{"fixed", "slow", "open", "tokens", imageOperation} {
			low, doubtful := m.charged(operation)
			high := low
			switch low -= doubtful; {
			case reserved(operation):
				high = m.sent[operation] // settled before the answer is over, so that an answer may be lost
			case operation == imageOperation:
				low = high // charged in one step, and asked for until that was known
			}
			if got := spent[operation]; got < low || got > high {
				faults = append(faults, fmt.Sprintf("%s: %s spent, want %s to %s", operation, got, low, high))
			}
		}
		if len(faults) == 0 {
			return
		}
	}
	t.Errorf("%s: %s", address, strings.Join(faults, "; "))
}

// lastWord stops the edge for good and returns when it last said in the
// database what it was done with.
func (e *Edge) lastWord(t testing.TB) time.Time {
	t.Helper()
	if err := e.edge.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	dsn, ok, err := localpg.Attach(t.Context(), filepath.Join(e.dir, "postgres"))
	if err != nil || !ok {
		t.Fatalf("no embedded server: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var seenAt time.Time
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE mana_system`); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `SELECT seen_at FROM credits.edges ORDER BY id DESC LIMIT 1`).Scan(&seenAt)
	})
	if err != nil {
		t.Fatal(err)
	}
	return seenAt
}

// kill ends the edge as a power cut does. Its embedded server goes with it or
// is found again by the next one.
func (e *Edge) kill(t testing.TB) {
	t.Helper()
	if err := e.edge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err := <-e.exited
	e.exited <- err
}

// killDatabase kills the embedded server's first process.
func (e *Edge) killDatabase(t testing.TB) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(e.dir, "postgres", "*", "postmaster.pid"))
	if own, err := filepath.Glob(filepath.Join(e.dir, "postgres", "postmaster.pid")); err == nil {
		found = append(found, own...)
	}
	if err != nil || len(found) == 0 {
		t.Fatalf("no embedded server: %v", err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(text), "\n", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
