package meter_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// Every outcome costs what it should, at a fixed price, with a cost from the
// upstream, and under a key: once.
func TestMeterOutcomes(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	fails := func(err error) caddyhttp.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) error { return err }
	}
	type outcome struct {
		name     string
		upstream caddyhttp.HandlerFunc
		freeOn   []string
		free     bool
	}
	outcomes := []outcome{
		{"200", edgetest.Answers(200), nil, false},
		{"204", edgetest.Answers(204), nil, false},
		{"302", edgetest.Answers(302), nil, false},
		{"404", edgetest.Answers(404), nil, false},
		{"404, 4xx free", edgetest.Answers(404), []string{"4xx"}, true},
		{"429, 429 free", edgetest.Answers(429), []string{"429"}, true},
		{"404, 429 free", edgetest.Answers(404), []string{"429"}, false},
		{"500", edgetest.Answers(500), nil, true},
		{"503", edgetest.Answers(503), nil, true},
		{"500, only abort free", edgetest.Answers(500), []string{"abort"}, false},
		{"504, only 504 free", edgetest.Answers(504), []string{"504"}, true},
		{"504 is a timeout", edgetest.Answers(504), []string{"timeout"}, true},
		{"502 is no timeout", edgetest.Answers(502), []string{"timeout"}, false},
		{"nothing written", fails(nil), nil, false},
		{"refused", fails(caddyhttp.Error(502, errors.New("connection refused"))), nil, true},
		{"refused, only timeout free", fails(caddyhttp.Error(502, errors.New("connection refused"))), []string{"timeout"}, false},
		{"timed out", fails(caddyhttp.Error(504, os.ErrDeadlineExceeded)), []string{"timeout"}, true},
		{"timed out below a 502", fails(caddyhttp.Error(502, context.DeadlineExceeded)), []string{"timeout"}, true},
		{"not found by a handler", fails(caddyhttp.Error(404, errors.New("no file"))), nil, false},
		{"unknown error", fails(errors.New("?")), nil, true},
		{"wrote, then failed", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(200)
			return errors.New("reset")
		}, nil, false},
	}
	for _, mode := range []string{"fixed", "cost", "key"} {
		for i, o := range outcomes {
			t.Run(mode+"/"+o.name, func(t *testing.T) {
				t.Parallel()
				p := p.in(t)
				user := p.user(mode+string(rune('a'+i)), 8*creditcore.Credit)
				m := &meter.Meter{Credits: "5", App: "chat", Operation: "ai_chat", FreeOn: o.freeOn}
				request := edgetest.Ask("POST", "/generate?secret=1")
				cost, left := "5", "3"
				switch {
				case o.free:
					cost, left = "0", "8"
				case mode == "cost":
					m.CostFrom = "X-Mana-Cost"
				}
				if mode == "key" {
					request.Header.Set("Idempotency-Key", "k")
				}
				x := edgetest.Send(t, p.meter(m), by(user, request), o.upstream)
				wantBill(t, x.Header(), cost, left)
				if x.Reached != 1 {
					t.Errorf("the upstream was reached %d times", x.Reached)
				}
				p.wantAvailable(user, amount(t, left))
				var charged creditcore.Amount
				for _, e := range edgetest.Entries(t, p.Service, user) {
					charged -= e.Amount
					if e.Type == creditcore.Usage && (e.AppID != "chat" || e.Operation != "ai_chat" || strings.Contains(string(e.Metadata), "secret")) {
						t.Errorf("entry %+v", e)
					}
				}
				if charged != amount(t, cost) {
					t.Errorf("the ledger says %v, want %s", charged, cost)
				}
				want := "charged " + cost + " " + left
				if o.free {
					want = "free " + cost + " " + left
				}
				if got := x.Placeholders(); got != want {
					t.Errorf("placeholders %q, want %q", got, want)
				}
			})
		}
	}
}

func amount(t testing.TB, text string) creditcore.Amount {
	t.Helper()
	a, err := creditcore.ParseAmount(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMeterInsufficient(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	user := p.user("ada", 3250)
	for name, m := range map[string]*meter.Meter{
		"fixed": {Credits: "5.5", Operation: "ai_chat"}, "cost": {Credits: "5.5", Operation: "ai_chat", CostFrom: "X-Cost"},
	} {
		x := edgetest.Send(t, p.meter(m), by(user, edgetest.Ask("POST", "/generate?a=b", "Origin: https://todo.example.test")), edgetest.Answers(200))
		var body map[string]any
		if err := json.Unmarshal(x.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if at, _ := body["timestamp"].(string); len(at) != len("2006-01-02T15:04:05.000Z") {
			t.Errorf("%s: timestamp %v", name, body["timestamp"])
		}
		delete(body, "timestamp")
		want := map[string]any{
			"statusCode": 402., "message": "Insufficient credits", "code": "INSUFFICIENT_CREDITS", "error": "INSUFFICIENT_CREDITS", "path": "/generate",
			"details": map[string]any{"requiredCredits": 5.5, "availableCredits": 3.25, "creditType": "user", "operation": "ai_chat"},
			"type":    "about:blank", "title": "Payment Required", "status": 402., "detail": "Insufficient credits. Required: 5.5, Available: 3.25",
		}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if x.Code != 402 || x.Reached > 0 || x.Header().Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%s: %d, %v", name, x.Code, x.Header())
		}
		wantBill(t, x.Header(), "0", "3.25")
		if x.Header().Get("Access-Control-Allow-Origin") != "https://todo.example.test" ||
			!strings.Contains(x.Header().Get("Access-Control-Expose-Headers"), "Mana-Credits-Cost, Mana-Credits-Remaining") {
			t.Errorf("%s: a page cannot read it: %v", name, x.Header())
		}
		if got := x.Placeholders(); got != "insufficient 0 3.25" {
			t.Errorf("%s: placeholders %q", name, got)
		}
	}
	p.wantAvailable(user, 3250)
}

// Neither a guest nor anything a guest can send is charged, or passes.
func TestMeterGuest(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5"})
	for _, r := range []*http.Request{
		edgetest.Ask("GET", "/"),
		edgetest.Ask("GET", "/", "X-Mana-User-Id: "+ada),
		edgetest.Ask("GET", "/", "Sec-Fetch-Mode: navigate", "Accept: text/html"),
		by("", edgetest.Ask("GET", "/")),
		edgetest.Ask("OPTIONS", "/", "Origin: https://todo.example.test"),
	} {
		x := edgetest.Send(t, m, r, edgetest.Answers(200))
		edgetest.WantRefusal(t, x.ResponseRecorder, nil, 401, "No token provided")
		if x.Reached > 0 || x.Placeholders() != "guest 0 -" {
			t.Errorf("reached %d, placeholders %q", x.Reached, x.Placeholders())
		}
	}
	p.wantAvailable(ada, 8000)
	gone := edgetest.Send(t, m, by("nobody", edgetest.Ask("GET", "/")), edgetest.Answers(200))
	edgetest.WantRefusal(t, gone.ResponseRecorder, nil, 401, "Invalid token")
}

// The meter believes the gate alone, and of two gates the last.
func TestMeterBehindTheGate(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s := edgetest.GateService(t, db)
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	p := &purse{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool}), t, db}
	edgetest.GrantTo(t, p.Service, ada.User.ID, 10_000)
	m := p.meter(&meter.Meter{Credits: "5"})
	behind := func(next caddyhttp.Handler) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error { return m.ServeHTTP(w, r, next) }
	}
	upstream := behind(edgetest.Answers(200))
	for _, credential := range []string{"Authorization: Bearer " + ada.Tokens.AccessToken, "Cookie: " + ada.Cookie} {
		if x := edgetest.Send(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", credential, "Sec-Fetch-Site: same-origin"), upstream); x.Code != 200 {
			t.Errorf("%d: %s", x.Code, x.Body)
		}
	}
	p.wantAvailable(ada.User.ID, 0)
	guest := edgetest.Send(t, edgetest.Gate(s, &gate.Gate{Optional: true}), edgetest.Ask("GET", "/", "X-Mana-User-Id: "+ada.User.ID), upstream)
	edgetest.WantRefusal(t, guest.ResponseRecorder, nil, 401, "No token provided")

	second := func(w http.ResponseWriter, r *http.Request) error {
		r.Header.Del("Authorization")
		return edgetest.Gate(s, &gate.Gate{Optional: true}).ServeHTTP(w, r, upstream)
	}
	x := edgetest.Send(t, edgetest.Gate(s, &gate.Gate{}), edgetest.Ask("GET", "/", "Authorization: Bearer "+ada.Tokens.AccessToken), second)
	edgetest.WantRefusal(t, x.ResponseRecorder, nil, 401, "No token provided")
}

func TestMeterPreflightAndHead(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5"})
	for origin, status := range map[string]int{"https://todo.example.test": 204, "https://evil.test": 401} {
		preflight := edgetest.Ask("OPTIONS", "/", "Origin: "+origin, "Access-Control-Request-Method: POST")
		x := edgetest.Send(t, m, preflight, edgetest.Answers(200))
		if x.Code != status || x.Reached != 0 {
			t.Errorf("preflight of %s: %d, reached %d", origin, x.Code, x.Reached)
		}
		wantBill(t, x.Header(), "", "")
		x = edgetest.Send(t, p.meter(&meter.Meter{Credits: "5", Shadow: true}), preflight, edgetest.Answers(200))
		if x.Code != 200 || x.Reached != 1 {
			t.Errorf("preflight of %s past a shadow: %d, reached %d", origin, x.Code, x.Reached)
		}
	}
	wantBill(t, edgetest.Send(t, m, by(ada, edgetest.Ask("HEAD", "/")), edgetest.Answers(200)).Header(), "5", "3")
	p.wantAvailable(ada, 3000)
}

// A client that goes away before the response begins has ended the request,
// unless the upstream answers; one that goes later has not.
func TestMeterAbort(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for _, c := range []struct {
		name   string
		freeOn []string
		before bool
		status int
		left   creditcore.Amount
	}{
		{"charged by default", nil, true, 499, 3000},
		{"charged if only statuses are free", []string{"4xx", "5xx", "2xx", "timeout"}, true, 499, 3000},
		{"free", []string{"abort"}, true, 499, 8000},
		{"free, but later", []string{"abort"}, false, 499, 3000},
		{"failed meanwhile", nil, true, 503, 8000},
		{"answered meanwhile", nil, true, 200, 3000},
	} {
		for _, costFrom := range []string{"", "X-Cost"} {
			user := p.user(c.name+costFrom, 8000)
			m := p.meter(&meter.Meter{Credits: "5", FreeOn: c.freeOn, CostFrom: costFrom})
			ctx, leave := context.WithCancel(t.Context())
			edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/").WithContext(ctx)), func(w http.ResponseWriter, _ *http.Request) error {
				if c.before {
					leave()
				}
				w.WriteHeader(c.status)
				leave()
				return nil
			})
			t.Log(c.name, costFrom)
			p.wantAvailable(user, c.left)
		}
	}
	// Who is gone before the upstream was asked pays nothing.
	user := p.user("early", 8000)
	for _, costFrom := range []string{"", "X-Cost"} {
		ctx, leave := context.WithCancel(t.Context())
		leave()
		x := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5", CostFrom: costFrom}), by(user, edgetest.Ask("GET", "/").WithContext(ctx)), edgetest.Answers(200))
		if x.Reached > 0 || x.Code != 499 {
			t.Errorf("%d, reached %d", x.Code, x.Reached)
		}
	}
	p.wantAvailable(user, 8000)
}

// Two meters on the way of one request add up, and one that refuses takes the
// other's charge back.
func TestMetersAddUp(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	inner := p.meter(&meter.Meter{Credits: "5", CostFrom: "X-Cost"})
	upstream := func(w http.ResponseWriter, r *http.Request) error {
		return inner.ServeHTTP(w, r, edgetest.Answers(200, "X-Cost", "1.5"))
	}
	for name, outer := range map[string]*meter.Meter{
		"fixed": {Credits: "0.25"}, "cost": {Credits: "0.25", CostFrom: "X-Base"},
	} {
		user := p.user(name, 8000)
		x := edgetest.Send(t, p.meter(outer), by(user, edgetest.Ask("POST", "/")), upstream)
		wantBill(t, x.Header(), "1.75", "6.25")
		p.wantAvailable(user, 6250)
		for range 2 {
			x = edgetest.Send(t, p.meter(outer), by(user, edgetest.Ask("POST", "/", "Idempotency-Key: k")), upstream)
		}
		wantBill(t, x.Header(), "0", "4.5")
		p.wantAvailable(user, 4500)
		x = edgetest.Send(t, p.meter(outer), by(user, edgetest.Ask("POST", "/a")), upstream)
		if x.Code != 402 {
			t.Errorf("%d", x.Code)
		}
		wantBill(t, x.Header(), "0", "4.5")
		p.wantAvailable(user, 4500)
	}
	shadow := p.meter(&meter.Meter{Credits: "1", Shadow: true})
	user := p.user("shadow", 8000)
	x := edgetest.Send(t, shadow, by(user, edgetest.Ask("POST", "/")), upstream)
	wantBill(t, x.Header(), "1.5", "6.5")
	if got := x.Placeholders(); got != "charged 1.5 6.5" {
		t.Errorf("placeholders %q", got)
	}
}

// Before the app has started, and where it never does.
func TestMeterWithoutAnApp(t *testing.T) {
	t.Parallel()
	for policy, status := range map[string]int{"": 503, "refuse": 503, "allow": 200} {
		m := &meter.Meter{Credits: "5", OnOutage: policy}
		m.BaseURL, m.Log = new(url.URL), zap.NewNop()
		m.Bind(edgetest.StartedApp(func(context.Context) (*services.Runtime, error) { return nil, errors.New("not started") }))
		x := edgetest.Send(t, m, by("ada", edgetest.Ask("GET", "/")), edgetest.Answers(200))
		if x.Code != status {
			t.Errorf("%q: %d, want %d", policy, x.Code, status)
		}
		if status == 503 {
			edgetest.WantRefusal(t, x.ResponseRecorder, nil, 503, "Service unavailable: database connection unavailable")
		}
		x = edgetest.Send(t, m, edgetest.Ask("GET", "/"), edgetest.Answers(200))
		edgetest.WantRefusal(t, x.ResponseRecorder, nil, 401, "No token provided")
	}
}

func TestMeterDefaults(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	edgetest.Send(t, p.meter(&meter.Meter{Credits: "5"}), by(ada, edgetest.Ask("POST", "https://Chat.example.test:8443/generate?q=1")), edgetest.Answers(200))
	e := edgetest.Entries(t, p.Service, ada)[0]
	if e.AppID != "chat.example.test" || e.Description != "POST /generate" || e.Operation != "" {
		t.Errorf("entry %+v", e)
	}
	var metadata map[string]string
	if err := json.Unmarshal(e.Metadata, &metadata); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"method": "POST", "host": "chat.example.test", "path": "/generate"}, metadata); diff != "" {
		t.Error(diff)
	}
}

func TestMeterFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	err := (&meter.Meter{
		Credits: "0", App: strings.Repeat("a", 256), Operation: "a\x00", CostFrom: "Mana-Credits-Cost",
		FreeOn: []string{"6xx", "never", "5xx", "099"}, OnOutage: "pray", HoldTTL: caddy.Duration(time.Millisecond),
	}).Validate()
	for _, want := range []string{"credits:", "app:", "operation:", `cost_from: "Mana-Credits-Cost"`, `"6xx"`, `"never"`, `"099"`, `on_outage: "pray"`, "hold_ttl: 1ms"} {
		if err == nil || !strings.Contains(err.Error(), "mana_credits: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
	if lines := strings.Count(err.Error(), "mana_credits: "); lines != 9 {
		t.Errorf("%d faults in %v", lines, err)
	}
}
