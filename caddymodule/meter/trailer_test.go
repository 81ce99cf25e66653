package meter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// grpcAnswer is an upstream of gRPC, as reverse_proxy passes it on: header and
// trailer as name and value. An empty trailer is a response that broke off.
func grpcAnswer(status string, trailer ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/grpc+proto")
		if status != "" {
			w.Header().Set("Grpc-Status", status)
			w.WriteHeader(200)
			return nil
		}
		w.WriteHeader(200)
		_, err := w.Write([]byte("message"))
		for i := 0; i < len(trailer); i += 2 {
			w.Header().Set(http.TrailerPrefix+trailer[i], trailer[i+1])
		}
		return err
	}
}

// The outcome of gRPC stands in its trailer, or in a header without a body.
func TestMeterGRPC(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for i, c := range []struct {
		costFrom string
		freeOn   []string
		upstream caddyhttp.HandlerFunc
		cost     string
	}{
		{"", nil, grpcAnswer("", "Grpc-Status", "14"), "5"},
		{"", []string{"grpc", "unavailable"}, grpcAnswer("", "Grpc-Status", "14"), "0"},
		{"", []string{"grpc", "14"}, grpcAnswer("", "Grpc-Status", "14"), "0"},
		{"", []string{"5xx", "grpc", "UNAVAILABLE", "Internal"}, grpcAnswer("", "Grpc-Status", "13"), "0"},
		{"", []string{"grpc", "resource-exhausted"}, grpcAnswer("", "Grpc-Status", "8"), "0"},
		{"", []string{"grpc", "unavailable"}, grpcAnswer("", "Grpc-Status", "3"), "5"},
		{"", []string{"grpc", "unavailable"}, grpcAnswer("", "Grpc-Status", "0"), "5"},
		{"", []string{"grpc", "unavailable"}, grpcAnswer("14"), "0"},
		{"", []string{"grpc", "unavailable"}, grpcAnswer("0"), "5"},
		{"", []string{"grpc", "unavailable"}, grpcAnswer(""), "0"},
		{"", []string{"grpc", "internal"}, grpcAnswer(""), "5"},
		{"", []string{"grpc", "unavailable"}, edgetest.Answers(503), "0"},
		{"", []string{"grpc", "unavailable"}, edgetest.Answers(200, "Grpc-Status", "9"), "5"},
		{"X-Cost", nil, grpcAnswer("", "Grpc-Status", "0", "X-Cost", "2"), "2"},
		{"X-Cost", []string{"grpc", "internal"}, grpcAnswer("", "Grpc-Status", "13", "X-Cost", "2"), "0"},
		{"X-Cost", nil, grpcAnswer("", "Grpc-Status", "0"), "5"},
		{"X-Cost", nil, grpcAnswer("", "Grpc-Status", "0", "X-Cost", "9"), "5"},
	} {
		for _, key := range []string{"", "k"} {
			user := p.user(fmt.Sprint(i, key), 8000)
			r := by(user, edgetest.Ask("POST", "/"))
			if key != "" {
				r = keyed(user, key, "POST", "/", "x")
			}
			x := edgetest.Send(t, p.meter(&meter.Meter{Credits: "5", CostFrom: c.costFrom, FreeOn: c.freeOn}), r, c.upstream)
			left := 8*creditcore.Credit - amount(t, c.cost)
			t.Log(i, key)
			wantBill(t, x.Header(), c.cost, left.String())
			p.wantAvailable(user, left)
			if got := x.Result().Trailer.Get("Grpc-Status"); x.Header().Get(http.TrailerPrefix+"Grpc-Status") != got {
				t.Errorf("the client gets Grpc-Status %q", got)
			}
			for name := range x.Header() {
				if strings.HasSuffix(name, "X-Cost") {
					t.Errorf("the client gets %s", name)
				}
			}
		}
	}
}

// By the wire: a cost in an announced trailer is charged, and the client finds
// it in one of ours; one that is not announced comes too late.
func TestLiveMeterTrailers(t *testing.T) {
	m := startMetered(t)
	for _, c := range []struct{ path, cost, left string }{{"/cost/trailer", "1.5", "6.5"}, {"/cost/broken-trailer", "", "3"}, {"/cost/unannounced", "", "3"}} {
		user, bearer := m.payer(t, c.path)
		resp := m.Do(t, m.Request(t, "POST", c.path, bearer))
		body, err := io.ReadAll(resp.Body)
		if string(body) != "half and half" && c.path != "/cost/broken-trailer" {
			t.Errorf("%s: %q, %v", c.path, body, err)
		}
		if c.cost != "" {
			wantBill(t, resp.Trailer, c.cost, c.left)
		}
		if resp.Trailer.Get("X-Mana-Cost") != "" || resp.Header.Get("X-Mana-Cost") != "" {
			t.Errorf("%s: the client gets the upstream's", c.path)
		}
		m.wantBooked(t, user, c.left, creditcore.Usage)
	}
}

// A route says what a client pays that leaves early.
func TestMeterAbortCost(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for name, c := range map[string]struct {
		meter    *meter.Meter
		upstream caddyhttp.HandlerFunc
		left     creditcore.Amount
	}{
		"a part":              {&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "1.5"}, gone, 6500},
		"nothing":             {&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "0"}, gone, 8000},
		"a part of a fixed":   {&meter.Meter{Credits: "5", AbortCost: "2"}, gone, 6000},
		"fixed, and stays":    {&meter.Meter{Credits: "5", AbortCost: "2"}, edgetest.Answers(200), 3000},
		"the upstream says":   {&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "4"}, edgetest.Answers(200, "X-Cost", "1"), 7000},
		"waits for the cost":  {&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "wait"}, patient(edgetest.Answers(200, "X-Cost", "1")), 7000},
		"waits for a failure": {&meter.Meter{Credits: "5", AbortCost: "wait"}, patient(edgetest.Answers(500)), 8000},
		"waits for a trailer": {&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "wait"}, patient(grpcAnswer("", "Grpc-Status", "0", "X-Cost", "2")), 6000},
		"waits in vain":       {&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "wait"}, patient(gone), 3000},
	} {
		user := p.user(name, 8000)
		ctx, leave := context.WithCancel(t.Context())
		x := edgetest.Send(t, p.meter(c.meter), by(user, edgetest.Ask("POST", "/").WithContext(ctx)), func(w http.ResponseWriter, r *http.Request) error {
			if name != "fixed, and stays" {
				leave()
			}
			return c.upstream(w, r)
		})
		leave()
		t.Log(name, x.Err)
		p.wantAvailable(user, c.left)
	}
}

// gone is what reverse_proxy says when the client is gone.
func gone(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(499, context.Canceled) }

// patient is an upstream that works for as long as it is let.
func patient(next caddyhttp.HandlerFunc) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := r.Context().Err(); err != nil {
			return caddyhttp.Error(499, err)
		}
		return next(w, r)
	}
}

func TestMeterFaultsOfAbortsAndGRPC(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]*meter.Meter{
		"abort_cost: takes wait, or a number":    {Credits: "5", AbortCost: "6"},
		"abort_cost: takes wait, or a number of": {Credits: "5", AbortCost: "later"},
		"abort_cost: free_on abort already":      {Credits: "5", AbortCost: "wait", FreeOn: []string{"abort"}},
		`free_on: "17" is neither`:               {Credits: "5", FreeOn: []string{"grpc", "17"}},
		`free_on: "ok" is neither`:               {Credits: "5", FreeOn: []string{"grpc", "ok"}},
		`free_on: "grpc" is neither`:             {Credits: "5", FreeOn: []string{"grpc"}},
		`free_on: "unavailable" is neither`:      {Credits: "5", FreeOn: []string{"unavailable"}},
		`free_on: "-1" is neither a status`:      {Credits: "5", FreeOn: []string{"grpc", "-1"}},
	} {
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
