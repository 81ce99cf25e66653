package meter_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// Prices of a token: 0.1, 0.01 and 0.2 credits.
var tokenPrices = creditcore.NewPrices(
	creditcore.Price{Name: "in", Credits: 100, Per: 1}, creditcore.Price{Name: "cached", Credits: 10, Per: 1},
	creditcore.Price{Name: "out", Credits: 200, Per: 1},
)

// tokenMeter charges up to five credits for tokens, and reserves so many at a time.
func tokenMeter(reserve string) *meter.Meter {
	m := &meter.Meter{Credits: "5", CostTokens: &meter.TokenPrices{Price: "out", Input: "in", Cached: "cached"}}
	m.KnowPrices(tokenPrices)
	m.CostTokens.Reserve = price.Price(reserve)
	return m
}

const (
	eventStream = "text/event-stream"
	chatAnswer  = `{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":10}}}`
	chatStream  = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n" +
		"data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n" + "data: " + chatAnswer + "\n\ndata: [DONE]\n\n"
	messageAnswer = `{"type":"message","usage":{"input_tokens":1,"cache_read_input_tokens":10,"output_tokens":5}}`
	messageStream = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":10,\"output_tokens\":1}}}\n\n" +
		"event: content_block_delta\ndata: {\"delta\":{\"text\":\"a\"}}\n\nevent: message_delta\ndata: {\"usage\":{\"output_tokens\":5}}\n\n"
)

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

// says is an upstream that answers in pieces of so many bytes, 0 for one.
func says(status int, media, coding, body string, piece int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		if h.Set("Content-Type", media); coding != "" {
			h.Set("Content-Encoding", coding)
		}
		h.Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(status)
		if piece == 0 {
			piece = len(body) + 1
		}
		for p := range slices.Chunk([]byte(body), piece) {
			if _, err := w.Write(p); err != nil {
				return err
			}
		}
		return nil
	}
}

// What an answer used is charged, whatever its shape, and as it says.
func TestMeterCostTokens(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for name, c := range map[string]struct {
		status              int
		media, coding, body string
		cost                string
		tokens              string // as the ledger row notes them
	}{
		"chat":               {200, "application/json", "", chatAnswer, "1.2", `{"input":1,"cached":10,"output":5}`},
		"chat, gzip":         {200, "application/json", "gzip", zipped(chatAnswer), "1.2", `{"input":1,"cached":10,"output":5}`},
		"chat stream":        {200, eventStream, "", chatStream, "1.2", `{"input":1,"cached":10,"output":5}`},
		"chat stream, gzip":  {200, eventStream, "gzip", zipped(chatStream), "1.2", `{"input":1,"cached":10,"output":5}`},
		"message":            {200, "application/json", "", messageAnswer, "1.2", `{"input":1,"cached":10,"output":5}`},
		"message stream":     {200, eventStream, "", messageStream, "1.2", `{"input":1,"cached":10,"output":5}`},
		"more than the most": {200, "application/json", "", `{"usage":{"prompt_tokens":1,"completion_tokens":1000000}}`, "5", `{"input":1,"output":1000000}`},
		"no tokens":          {200, "application/json", "", `{"usage":{"prompt_tokens":0,"completion_tokens":0}}`, "0", ""},
		"no usage":           {200, "application/json", "", `{}`, "5", "null"},
		"a lie":              {200, "application/json", "", `{"usage":{"prompt_tokens":-1,"completion_tokens":2}}`, "5", "null"},
		"a lie, streamed":    {200, eventStream, "", messageStream + "data: {\"usage\":{\"output_tokens\":1e400}}\n\n", "5", "null"},
		"broken off":         {200, eventStream, "", chatStream[:80], "5", "null"},
		"unreadable":         {200, "application/json", "br", chatAnswer, "5", "null"},
		"no answer of one":   {200, "text/plain", "", chatAnswer, "5", "null"},
		"an error in JSON":   {200, "application/problem+json", "", chatAnswer, "1.2", `{"input":1,"cached":10,"output":5}`},
		"a bad request":      {400, "application/json", "", `{"error":{}}`, "0", ""},
		"too many requests":  {429, "application/json", "", chatAnswer, "0", ""},
		"a failure":          {503, "application/json", "", chatAnswer, "0", ""},
	} {
		for _, piece := range []int{0, 1, 7} {
			user := p.user(fmt.Sprint(name, piece), 8000)
			for _, key := range []string{"", "k"} {
				r := by(user, edgetest.Ask("POST", "/"))
				if key != "" && c.cost != "0" {
					p.user(user+key, 8000)
					user += key
					r = keyed(user, key, "POST", "/", "x")
				}
				x := edgetest.Send(t, p.meter(tokenMeter("")), r, says(c.status, c.media, c.coding, c.body, piece))
				left := 8*creditcore.Credit - amount(t, c.cost)
				t.Log(name, piece, key)
				wantBill(t, x.Header(), c.cost, left.String())
				p.wantAvailable(user, left)
				if x.Body.String() != c.body || x.Code != c.status {
					t.Errorf("the client gets %d %q", x.Code, x.Body)
				}
				if rows := edgetest.Entries(t, p.Service, user); c.tokens != "" {
					var noted struct{ Tokens json.RawMessage }
					if len(rows) != 1 || json.Unmarshal(rows[0].Metadata, &noted) != nil {
						t.Fatalf("rows %+v", rows)
					}
					var got, want any
					_ = json.Unmarshal(noted.Tokens, &got)
					_ = json.Unmarshal([]byte(c.tokens), &want)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Error(diff)
					}
				} else if len(rows) != 0 {
					t.Errorf("rows %+v", rows)
				}
			}
		}
	}
}

// A key's request is charged for its tokens once.
func TestMeterTokensOfAKey(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for _, reserve := range []string{"", "0.5"} {
		user := p.user("ada"+reserve, 8000)
		for i, cost := range []string{"1.2", "0", "0"} {
			x := edgetest.Send(t, p.meter(tokenMeter(reserve)), keyed(user, "k", "POST", "/", "x"), says(200, eventStream, "", chatStream, 0))
			t.Log(reserve, i)
			wantBill(t, x.Header(), cost, "6.8")
			p.wantAvailable(user, 6800)
		}
	}
}

// events are so many, each of a token, that say what they used in the end if they are let.
func events(n int, let *int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", eventStream)
		for i := range n {
			if _, err := fmt.Fprintf(w, "data: {\"choices\":[%d]}\r\n\r\n", i); err != nil {
				return err
			}
			*let = i + 1
		}
		_, err := fmt.Fprintf(w, "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":%d}}\n\n", n)
		return err
	}
}

// A stream reserves as it goes, and is charged by one row for what it used.
func TestMeterStreamReservesAsItGoes(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for _, reserve := range []string{"0.3", "1", "5"} {
		user := p.user("ada"+reserve, 8000)
		most, let := creditcore.Amount(0), 0
		x := edgetest.Send(t, p.meter(tokenMeter(reserve)), by(user, edgetest.Ask("POST", "/")), func(w http.ResponseWriter, r *http.Request) error {
			if got := r.Header.Get("Accept-Encoding"); (got == "identity") != (reserve != "5") {
				t.Errorf("reserving %s the upstream is asked for %q", reserve, got)
			}
			b, err := p.BalanceOf(t.Context(), user)
			if most = b.Held; err != nil || most != amount(t, reserve) {
				t.Errorf("reserving %s: %s is held, %v", reserve, b.Held, err)
			}
			return events(20, &let)(w, r)
		})
		if x.Err != nil || let != 20 || strings.Contains(x.Body.String(), "event: error") {
			t.Errorf("reserving %s: %d events, %v", reserve, let, x.Err)
		}
		wantBill(t, x.Header(), "4.1", "3.9")
		p.wantAvailable(user, 3900)
		if rows := edgetest.Entries(t, p.Service, user); len(rows) != 1 || rows[0].Amount != -4100 {
			t.Errorf("reserving %s: rows %+v", reserve, rows)
		}
	}
}

// A stream that has used up what its account has ends behind an event, with one that says
// so; what there was is charged, and no more.
func TestMeterStreamEndsWithItsCredits(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for _, key := range []string{"", "k"} {
		user := p.user("ada"+key, 1500)
		r := by(user, edgetest.Ask("POST", "/v1/chat?secret"))
		if key != "" {
			r = keyed(user, key, "POST", "/", "x")
		}
		let := 0
		var failure error
		x := edgetest.Send(t, p.meter(tokenMeter("0.4")), r, func(w http.ResponseWriter, r *http.Request) error {
			if failure = events(1000, &let)(w, r); failure != nil {
				panic(http.ErrAbortHandler) // as reverse_proxy does
			}
			return nil
		})
		if x.Err != nil || failure == nil || let > 8 || let < 6 {
			t.Errorf("%d events were let, %v, %v", let, failure, x.Err)
		}
		wantBill(t, x.Header(), "1.5", "0")
		p.wantAvailable(user, 0)
		body := strings.ReplaceAll(x.Body.String(), "\r\n", "\n")
		_, last, found := strings.Cut(body, "\nevent: error\ndata: ")
		if !found || !strings.Contains(body, fmt.Sprintf("data: {\"choices\":[%d]}\n\n\nevent: error", let)) {
			t.Fatalf("the client gets %q", body)
		}
		var said struct {
			Type, Code string
			StatusCode int
			Error      struct{ Type, Code, Message string }
			Details    struct{ RequiredCredits, AvailableCredits float64 }
		}
		if err := json.Unmarshal([]byte(last), &said); err != nil || said.Type != "error" || said.Code != "INSUFFICIENT_CREDITS" ||
			said.StatusCode != 402 || said.Error.Code != said.Code || said.Error.Type != "insufficient_credits" || said.Error.Message != "Insufficient credits" {
			t.Errorf("%+v, %v", said, err)
		}
	}
}

// What an answer turns out to have used beyond what is reserved is charged, and what the
// account does not have is owed.
func TestMeterTokensBeyondWhatIsReserved(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for name, c := range map[string]struct {
		has, paid, left, debt creditcore.Amount
		rows                  int
	}{"is there": {8000, 1200, 6800, 0, 1}, "is there in part": {700, 700, 0, 500, 2}} {
		user := p.user(name, c.has)
		x := edgetest.Send(t, p.meter(tokenMeter("0.5")), by(user, edgetest.Ask("POST", "/")), says(200, "application/json", "", chatAnswer, 0))
		wantBill(t, x.Header(), c.paid.String(), c.left.String())
		b, err := p.BalanceOf(t.Context(), user)
		if err != nil || b.Available != c.left || b.Debt != c.debt || b.Held != 0 {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
		if rows := edgetest.Entries(t, p.Service, user); len(rows) != c.rows {
			t.Errorf("%s: rows %+v", name, rows)
		}
	}
	x := edgetest.Send(t, p.meter(tokenMeter("0.5")), by(p.user("poor", 499), edgetest.Ask("POST", "/")), says(200, "application/json", "", chatAnswer, 0))
	if x.Code != 402 || x.Reached != 0 {
		t.Errorf("%d, reached %d", x.Code, x.Reached)
	}
}

// A stream goes on while the ledger cannot be asked, and is charged when it can be.
func TestMeterStreamOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	far, relay := distant(t, p)
	ada := p.user("ada", 8000)
	let := 0
	m := tokenMeter("2")
	x := edgetest.Send(t, far.meter(m), by(ada, edgetest.Ask("POST", "/")), func(w http.ResponseWriter, r *http.Request) error {
		relay.Cut(true)
		return events(12, &let)(w, r)
	})
	relay.Cut(false)
	if x.Err != nil || let != 12 || strings.Contains(x.Body.String(), "event: error") {
		t.Errorf("%d events, %v", let, x.Err)
	}
	edgetest.Eventually(t, "all of it is charged", func() bool {
		b, err := p.BalanceOf(t.Context(), ada)
		return err == nil && b.Available == 5500 && b.Held == 0
	})
	edgetest.Eventually(t, "nothing waits", func() bool { return !far.Owes() })
}

// A client that leaves in mid-stream pays what is reserved, or what the route says, or
// what the stream comes to without it.
func TestMeterTokensOfAnAbort(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for name, c := range map[string]struct {
		set  func(*meter.Meter)
		left creditcore.Amount
	}{
		"what is reserved":         {func(m *meter.Meter) { m.CostTokens.Reserve = "1" }, 7000},
		"the most":                 {func(*meter.Meter) {}, 3000},
		"an amount":                {func(m *meter.Meter) { m.AbortCost = "0.7" }, 7300},
		"no more than is reserved": {func(m *meter.Meter) { m.AbortCost, m.CostTokens.Reserve = "3", "1" }, 7000},
		"what comes of it":         {func(m *meter.Meter) { m.AbortCost = "wait" }, 6800},
		"not nothing":              {func(m *meter.Meter) { m.FreeOn = []string{"5xx", "abort"} }, 3000},
	} {
		user := p.user(name, 8000)
		m := tokenMeter("")
		c.set(m)
		ctx, leave := context.WithCancel(t.Context())
		edgetest.Send(t, p.meter(m), by(user, edgetest.Ask("POST", "/").WithContext(ctx)), func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", eventStream)
			_, err := io.WriteString(w, "data: {}\n\n")
			if leave(); r.Context().Err() != nil {
				return r.Context().Err()
			}
			_, again := io.WriteString(w, chatStream)
			return errors.Join(err, again)
		})
		leave()
		t.Log(name)
		p.wantAvailable(user, c.left)
	}
}

// The shadow reads too, and changes nothing of a response.
func TestMeterTokensInTheShadow(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	user := p.user("ada", 8000)
	m := tokenMeter("0.5")
	m.Shadow = true
	x := edgetest.Send(t, p.meter(m), by(user, edgetest.Ask("POST", "/")), says(200, eventStream, "", chatStream, 3))
	if got := x.Placeholders(); got != "shadow_charged 1.2 8" {
		t.Errorf("placeholders %q", got)
	}
	if x.Header().Get("Content-Length") == "" || x.Header().Get("Trailer") != "" || x.Body.String() != chatStream {
		t.Errorf("the client gets %v %q", x.Header(), x.Body)
	}
	p.wantAvailable(user, 8000)
}

// The upstream is asked for what the meter can read.
func TestMeterAsksForWhatItCanRead(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	user := p.user("ada", 80_000)
	for asked, want := range map[string]string{
		"": "", "br": "identity", "gzip, br, zstd": "gzip", "br;q=1, GZIP;q=0.5 , *;q=0": "GZIP;q=0.5", "identity": "identity", "*": "identity",
	} {
		r := by(user, edgetest.Ask("POST", "/"))
		if asked != "" {
			r.Header.Set("Accept-Encoding", asked)
		}
		edgetest.Send(t, p.meter(tokenMeter("")), r, func(w http.ResponseWriter, r *http.Request) error {
			if got := strings.Join(r.Header["Accept-Encoding"], "|"); got != want {
				t.Errorf("%q becomes %q, want %q", asked, got, want)
			}
			return says(200, "application/json", "", chatAnswer, 0)(w, r)
		})
	}
}

func TestMeterCostTokensConfig(t *testing.T) {
	t.Parallel()
	got := new(meter.Meter)
	err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser("mana_credits 5 {\n cost_tokens out {\n input in\n cached c\n cache_write w\n reserve 0.5\n }\n}"))
	want := `{"credits":5,"cost_tokens":{"price":"out","input":"in","cached":"c","cache_write":"w","reserve":0.5}}`
	if diff := cmp.Diff(want, edgetest.AsJSON(t, got)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for in, want := range map[string]string{
		"mana_credits 5 {\n cost_tokens\n}":                      "cost_tokens: takes one argument",
		"mana_credits 5 {\n cost_tokens a b\n}":                  "cost_tokens: takes one argument",
		"mana_credits 5 {\n cost_tokens a {\n output 3\n }\n}":   `cost_tokens has no directive "output"`,
		"mana_credits 5 {\n cost_tokens a {\n input a b\n }\n}":  "cost_tokens input: takes one argument",
		"mana_credits 5 {\n cost_tokens a\n cost_tokens a\n}":    "already set",
		"mana_credits 5 {\n cost_tokens a {\n input\n}\n app\n}": ":5",
	} {
		if err := new(meter.Meter).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
	for want, set := range map[string]func(*meter.Meter){
		`cost_tokens: takes the name of a price`:           func(m *meter.Meter) { m.CostTokens.Price = "" },
		`cost_tokens: reserve: is more than`:               func(m *meter.Meter) { m.CostTokens.Reserve = "5.001" },
		`cost_tokens: reserve: a price is`:                 func(m *meter.Meter) { m.CostTokens.Reserve = "0" },
		`cost_tokens: cost_from already says`:              func(m *meter.Meter) { m.CostFrom = "X-Cost" },
		`free_on: "never" is neither a status, 2xx to 5xx`: func(m *meter.Meter) { m.FreeOn = []string{"never"} },
	} {
		m := tokenMeter("")
		set(m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := tokenMeter("5").Validate(); err != nil {
		t.Error(err)
	}
}

// By the wire and past reverse_proxy: the first event is there before the upstream has
// sent another, the bill comes as a trailer, and a stream whose credits are used up ends for
// both sides.
func TestLiveMeterTokens(t *testing.T) {
	goOn, left := make(chan struct{}), make(chan struct{}, 1)
	m := startTokens(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventStream)
		var out io.Writer = w
		flush := func() { _ = http.NewResponseController(w).Flush() }
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			defer zip.Close()
			out, flush = zip, func() { _ = zip.Flush(); _ = http.NewResponseController(w).Flush() }
		}
		_, _ = io.WriteString(out, "data: {}\n\n")
		flush()
		if strings.HasPrefix(r.URL.Path, "/endless") {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(out, "data: {}\n\n")
				flush()
			}
			left <- struct{}{}
			return
		}
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(out, chatStream)
	})
	for _, coding := range []string{"", "gzip", "br"} {
		user, bearer := m.payer(t, "/tokens"+coding)
		r := m.Request(t, "POST", "/tokens/", bearer)
		if coding != "" {
			r.Header.Set("Accept-Encoding", coding)
		}
		resp := m.Do(t, r)
		body := resp.Body
		if (resp.Header.Get("Content-Encoding") == "gzip") != (coding == "gzip") {
			t.Errorf("%s: the client gets %q", coding, resp.Header.Get("Content-Encoding"))
		}
		if coding == "gzip" {
			zip, err := gzip.NewReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = zip
		}
		first := make([]byte, len("data: {}\n\n"))
		if _, err := io.ReadFull(body, first); err != nil || string(first) != "data: {}\n\n" {
			t.Fatalf("%s: %q, %v", coding, first, err)
		}
		goOn <- struct{}{}
		rest, err := io.ReadAll(body)
		if err != nil || string(rest) != chatStream {
			t.Errorf("%s: %q, %v", coding, rest, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		wantBill(t, resp.Trailer, "1.2", "6.8")
		m.wantBooked(t, user, "6.8", creditcore.Usage)
	}
	user, bearer := m.payer(t, "/endless")
	resp := m.Do(t, m.Request(t, "POST", "/endless/", bearer))
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `"code":"INSUFFICIENT_CREDITS"`) || !strings.HasSuffix(string(body), "}\n\n") {
		t.Errorf("%q, %v", body, err)
	}
	wantBill(t, resp.Trailer, "8", "0")
	<-left
	m.wantBooked(t, user, "0", creditcore.Usage)
}

// A price is found by its name, and one that is not there is a fault of the config.
func TestLiveMeterNamedPrice(t *testing.T) {
	m := startTokens(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	user, bearer := m.payer(t, "/named")
	wantBill(t, m.Do(t, m.Request(t, "POST", "/named", bearer)).Header, "0.2", "7.8")
	m.wantBooked(t, user, "7.8", creditcore.Usage)
	// A rehearsal of other prices goes by what the row says.
	entries := edgetest.Entries(t, edgetest.LiveRuntime(t).Credits, user)
	if metadata := string(entries[len(entries)-1].Metadata); !strings.Contains(metadata, `"quantity": 1`) {
		t.Errorf("the row of a named price says %s", metadata)
	}
	faulty := strings.ReplaceAll(strings.Replace(string(m.Config), `"input":"in"`, `"input":"inn"`, 1), `"price":"out"`, `"price":"outt"`)
	err := caddy.Load([]byte(faulty), true)
	for _, want := range []string{`mana_credits: price "outt" is neither among`, `mana_credits: price "inn" is neither among`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in %v", want, err)
		}
	}
}
