package meter_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
)

// metered is a site whose paths /<route>/<behaviour> are metered by route,
// before an upstream that behaves.
type metered struct {
	*edgetest.Live
	ledger *creditcore.Service
	log    string // access log
	came   chan struct{}
}

func startMetered(t *testing.T) *metered {
	t.Helper()
	m := &metered{came: make(chan struct{}, 64), log: filepath.Join(t.TempDir(), "access.log")}
	server := httptest.NewServer(http.HandlerFunc(m.behave))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	m.Live = edgetest.StartLive(t, "", fmt.Sprintf(`
	log {
		output file %s
	}
	log_append outcome {http.mana.credits.outcome}
	log_append cost {http.mana.credits.cost}
	log_append remaining {http.mana.credits.remaining}
	mana_auth optional
	mana_credits /fixed/* 5 {
		app chat
		operation ai_chat
	}
	mana_credits /cost/* 5 {
		app chat
		cost_from X-Mana-Cost
		free_on 5xx timeout abort
	}
	mana_credits /lenient/* 5 {
		free_on 4xx 5xx timeout abort
	}
	mana_credits /shadow/* 5 {
		shadow
	}
	reverse_proxy /*/refused %s
	reverse_proxy /*/silent %[3]s {
		transport http {
			response_header_timeout 300ms
		}
	}
	@metered path /fixed/* /cost/* /lenient/* /shadow/*
	reverse_proxy @metered %[3]s
	`, m.log, freeport.Address(t), strings.TrimPrefix(server.URL, "http://")))
	m.ledger = edgetest.LiveRuntime(t).Credits
	t.Cleanup(func() { edgetest.WantSound(t, m.ledger) })
	return m
}

// startTokens is a site metered by tokens before an upstream: /tokens up to five credits,
// /endless up to a hundred, half a one reserved at a time. /named costs a price by its name.
func startTokens(t *testing.T, upstream http.HandlerFunc) *metered {
	t.Helper()
	server := httptest.NewServer(upstream)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	m := &metered{Live: edgetest.StartLive(t, "", fmt.Sprintf(`
	mana_auth
	mana_credits /tokens/* 5 {
		cost_tokens out {
			input in
			cached cached
		}
	}
	mana_credits /endless/* 100 {
		cost_tokens out {
			reserve 0.5
		}
	}
	mana_credits /named price out
	@metered path /tokens/* /endless/* /named
	reverse_proxy @metered %s
	`, strings.TrimPrefix(server.URL, "http://")), "prices {\n out 0.2\n in 0.1\n cached 0.01\n}")}
	m.ledger = edgetest.LiveRuntime(t).Credits
	t.Cleanup(func() { edgetest.WantSound(t, m.ledger) })
	return m
}

func (m *metered) behave(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	flush := func() { _ = http.NewResponseController(w).Flush() }
	gone := func() {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}
	w.Header().Set("X-Mana-Cost", "2")
	w.Header().Set("Mana-Credits-Remaining", "1000000")
	switch path.Base(r.URL.Path) {
	case "ok":
		_, _ = io.WriteString(w, "ok")
	case "created":
		w.WriteHeader(http.StatusCreated)
	case "moved":
		http.Redirect(w, r, "/", http.StatusFound)
	case "missing":
		w.WriteHeader(http.StatusNotFound)
	case "broken":
		w.WriteHeader(http.StatusInternalServerError)
	case "reset":
		gone()
	case "late-reset":
		_, _ = io.WriteString(w, "half of it")
		flush()
		time.Sleep(100 * time.Millisecond)
		gone()
	case "silent", "patience":
		m.came <- struct{}{}
		<-r.Context().Done()
	case "stream":
		w.Header().Set("Content-Type", "text/event-stream")
		for range 5 {
			_, _ = io.WriteString(w, "data: x\n\n")
			flush()
			time.Sleep(500 * time.Millisecond)
		}
	case "endless":
		_, _ = io.WriteString(w, "begun\n")
		flush()
		<-r.Context().Done()
		m.came <- struct{}{}
	case "hints":
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "ok")
	case "trailer", "broken-trailer", "unannounced":
		w.Header().Del("X-Mana-Cost")
		if path.Base(r.URL.Path) != "unannounced" {
			w.Header().Set("Trailer", "X-Mana-Cost")
		}
		_, _ = io.WriteString(w, "half ")
		flush()
		if path.Base(r.URL.Path) == "broken-trailer" {
			gone()
			return
		}
		_, _ = io.WriteString(w, "and half")
		w.Header().Set(http.TrailerPrefix+"X-Mana-Cost", "1.5")
		if path.Base(r.URL.Path) == "trailer" {
			w.Header().Del(http.TrailerPrefix + "X-Mana-Cost")
			w.Header().Set("X-Mana-Cost", "1.5")
		}
	case "socket":
		if conn, rw, err := http.NewResponseController(w).Hijack(); err == nil {
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Mana-Cost: 2\r\n\r\nhello\n")
			_, _ = io.Copy(conn, rw)
		}
	}
}

// payer is a new user with eight credits.
func (m *metered) payer(t *testing.T, name string) (id, bearer string) {
	t.Helper()
	p := edgetest.NewPerson(t, m.Auth, strings.ReplaceAll(name[1:], "/", ".")+"@mana.localhost", "user")
	edgetest.GrantTo(t, m.ledger, p.User.ID, 8*creditcore.Credit)
	return p.User.ID, "Authorization: Bearer " + p.Tokens.AccessToken
}

// wantBooked checks the ledger: what is left, and that nothing but the named
// rows is in the history.
func (m *metered) wantBooked(t *testing.T, user, left string, kinds ...creditcore.EntryType) {
	t.Helper()
	edgetest.Eventually(t, user+" has "+left, func() bool {
		b, err := m.ledger.BalanceOf(t.Context(), user)
		return err == nil && b.Available == amount(t, left) && b.Held == 0
	})
	var got []creditcore.EntryType
	for _, e := range edgetest.Entries(t, m.ledger, user) {
		got = append(got, e.Type)
	}
	if fmt.Sprint(got) != fmt.Sprint(kinds) {
		t.Errorf("the ledger has %v, want %v", got, kinds)
	}
}

// The matrix of what an upstream can do, over the wire and past reverse_proxy.
func TestLiveMeterUpstreams(t *testing.T) {
	m := startMetered(t)
	const usage, refund = creditcore.Usage, creditcore.Returned
	for _, c := range []struct {
		path    string
		status  int
		cost    string
		left    string
		booked  []creditcore.EntryType
		outcome string
	}{
		{"/fixed/ok", 200, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/fixed/created", 201, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/fixed/moved", 302, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/fixed/missing", 404, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/fixed/broken", 500, "0", "8", []creditcore.EntryType{refund, usage}, "free"},
		{"/fixed/refused", 502, "0", "8", []creditcore.EntryType{refund, usage}, "free"},
		{"/fixed/reset", 502, "0", "8", []creditcore.EntryType{refund, usage}, "free"},
		{"/fixed/late-reset", 200, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/fixed/silent", 504, "0", "8", []creditcore.EntryType{refund, usage}, "free"},
		{"/fixed/stream", 200, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/fixed/hints", 200, "5", "3", []creditcore.EntryType{usage}, "charged"},
		{"/cost/ok", 200, "2", "6", []creditcore.EntryType{usage}, "charged"},
		{"/cost/missing", 404, "2", "6", []creditcore.EntryType{usage}, "charged"},
		{"/cost/broken", 500, "0", "8", nil, "free"},
		{"/cost/refused", 502, "0", "8", nil, "free"},
		{"/cost/reset", 502, "0", "8", nil, "free"},
		{"/cost/late-reset", 200, "2", "6", []creditcore.EntryType{usage}, "charged"},
		{"/cost/silent", 504, "0", "8", nil, "free"},
		{"/cost/stream", 200, "2", "6", []creditcore.EntryType{usage}, "charged"},
		{"/cost/hints", 200, "2", "6", []creditcore.EntryType{usage}, "charged"},
		{"/lenient/missing", 404, "0", "8", []creditcore.EntryType{refund, usage}, "free"},
		{"/shadow/ok", 200, "", "8", nil, "shadow_charged"},
	} {
		user, bearer := m.payer(t, c.path)
		began := time.Now()
		r := m.Request(t, "POST", c.path, bearer, "X-Request: "+c.path)
		var hints textproto.MIMEHeader
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints = h; return nil },
		}))
		resp := m.Do(t, r)
		t.Log(c.path)
		if resp.StatusCode != c.status {
			t.Errorf("status %d, want %d", resp.StatusCode, c.status)
		}
		remaining := c.left
		if c.cost == "" {
			remaining = ""
		}
		wantBill(t, resp.Header, c.cost, remaining)
		if strings.HasPrefix(c.path, "/cost/") && resp.Header.Get("X-Mana-Cost") != "" {
			t.Error("the client gets X-Mana-Cost")
		}
		if path.Base(c.path) == "stream" {
			line, _ := bufio.NewReader(resp.Body).ReadString('\n')
			if took := time.Since(began); line != "data: x\n" || took > 2*time.Second {
				t.Errorf("first line %q after %v", line, took)
			}
		}
		if path.Base(c.path) == "hints" && (hints.Get("Link") == "" || hints.Get("Mana-Credits-Remaining") != "" || strings.HasPrefix(c.path, "/cost/") && hints.Get("X-Mana-Cost") != "") {
			t.Errorf("early hints %v", hints)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		m.wantBooked(t, user, c.left, c.booked...)
		cost := c.cost
		if cost == "" {
			cost = "5"
		}
		if path.Base(c.path) != "late-reset" { // reverse_proxy panics then, past log_append
			m.wantLogged(t, c.path, c.outcome, cost, c.left)
		}
	}
	guest := m.Do(t, m.Request(t, "POST", "/fixed/ok", "X-Mana-User-Id: 1"))
	if guest.StatusCode != 401 {
		t.Errorf("guest: %d", guest.StatusCode)
	}
	preflight := m.Do(t, m.Request(t, "OPTIONS", "/fixed/ok", "Origin: http://"+m.Host, "Access-Control-Request-Method: POST"))
	if preflight.StatusCode != 204 {
		t.Errorf("preflight: %d", preflight.StatusCode)
	}
}

// wantLogged finds the request in the access log.
func (m *metered) wantLogged(t *testing.T, uri, outcome, cost, remaining string) {
	t.Helper()
	edgetest.Eventually(t, uri+" in the log as "+outcome+" "+cost+" "+remaining, func() bool {
		raw, err := os.ReadFile(m.log)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(raw)) {
			var entry struct {
				Request                  struct{ URI string }
				Outcome, Cost, Remaining string
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Request.URI == uri &&
				entry.Outcome == outcome && entry.Cost == cost && entry.Remaining == remaining {
				return true
			}
		}
		return false
	})
}

// A client that goes away pays unless the route says otherwise, and after the
// headers in any case; once.
func TestLiveMeterAborts(t *testing.T) {
	m := startMetered(t)
	const usage = creditcore.Usage
	for _, c := range []struct {
		path, left string
		booked     []creditcore.EntryType
	}{
		{"/fixed/patience", "3", []creditcore.EntryType{usage}},
		{"/cost/patience", "8", nil},
		{"/lenient/patience", "8", []creditcore.EntryType{creditcore.Returned, usage}},
		{"/fixed/endless", "3", []creditcore.EntryType{usage}},
		{"/cost/endless", "6", []creditcore.EntryType{usage}},
		{"/lenient/endless", "3", []creditcore.EntryType{usage}},
	} {
		user, bearer := m.payer(t, c.path)
		ctx, leave := context.WithCancel(t.Context())
		r := m.Request(t, "POST", c.path, bearer).WithContext(ctx)
		if path.Base(c.path) == "endless" {
			resp := m.Do(t, r)
			if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "begun\n" {
				t.Errorf("%q, %v", line, err)
			}
			leave()
			<-m.came
		} else {
			failed := make(chan error, 1)
			go func() {
				resp, err := http.DefaultClient.Do(r)
				if err == nil {
					resp.Body.Close()
				}
				failed <- err
			}()
			<-m.came
			leave()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		}
		t.Log(c.path)
		m.wantBooked(t, user, c.left, c.booked...)
	}
}

// An upgrade is charged when it happens, and stays charged.
func TestLiveMeterWebSocket(t *testing.T) {
	m := startMetered(t)
	for _, c := range []struct{ path, cost, left string }{{"/fixed/socket", "5", "3"}, {"/cost/socket", "2", "6"}} {
		user, bearer := m.payer(t, c.path)
		conn, err := net.Dial("tcp", m.Addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n\r\n", c.path, m.Host, bearer)
		reader := bufio.NewReader(conn)
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 101 {
			t.Fatalf("%s: %d", c.path, resp.StatusCode)
		}
		wantBill(t, resp.Header, c.cost, c.left)
		s := edgetest.Stream{Reader: reader, Write: func(line string) error { _, err := io.WriteString(conn, line); return err }}
		if line, err := reader.ReadString('\n'); line != "hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
		m.wantBooked(t, user, c.left, creditcore.Usage)
		s.WantAlive(t)
		conn.Close()
		m.wantLogged(t, c.path, "charged", c.cost, c.left)
		m.wantBooked(t, user, c.left, creditcore.Usage)
	}
}

// A config with a faulty meter is refused, with all its faults.
func TestLiveFaultyMeterIsRefused(t *testing.T) {
	m := startMetered(t)
	faulty := strings.Replace(string(m.Config), `"handler":"mana_credits"`, `"handler":"mana_credits","on_outage":"pray","hold_ttl":"1ms"`, 1)
	err := caddy.Load([]byte(faulty), true)
	for _, want := range []string{"mana_credits: on_outage", "mana_credits: hold_ttl"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
	_, bearer := m.payer(t, "/after")
	wantBill(t, m.Do(t, m.Request(t, "POST", "/fixed/ok", bearer)).Header, "5", "3")
}
