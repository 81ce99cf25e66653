package meter_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

func TestMeterCostFrom(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	logs, seen := observer.New(zap.WarnLevel)
	m := p.loudMeter(&meter.Meter{Credits: "5", CostFrom: "x-mana-cost"}, zap.New(logs))
	for i, c := range []struct {
		values []string
		cost   string
		bad    bool
	}{
		{[]string{"3"}, "3", false},
		{[]string{" 0.125 "}, "0.125", false},
		{[]string{"0"}, "0", false},
		{[]string{"5"}, "5", false},
		{[]string{"0.30000000000000004"}, "0.3", false},
		{[]string{"1e-3"}, "0.001", false},
		{nil, "1", false}, // the trailer says it
		{[]string{""}, "5", true},
		{[]string{"5.01"}, "5", true},
		{[]string{"1000000"}, "5", true},
		{[]string{"-1"}, "5", true},
		{[]string{"NaN"}, "5", true},
		{[]string{"Inf"}, "5", true},
		{[]string{"1e400"}, "5", true},
		{[]string{"0x1"}, "5", true},
		{[]string{"1,5"}, "5", true},
		{[]string{"two"}, "5", true},
		{[]string{"1", "1"}, "5", true},
	} {
		user := p.user(strconv.Itoa(i), 8*creditcore.Credit)
		before := seen.Len()
		x := edgetest.Send(t, m, by(user, edgetest.Ask("GET", "/")), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header()["X-Mana-Cost"] = c.values
			w.Header()["Trailer"] = []string{"X-Mana-Cost, X-Checksum", "mana-credits-cost"}
			w.Header().Set("Mana-Credits-Cost", "forged")
			w.Header().Set("Mana-Credits-Bonus", "forged")
			w.WriteHeader(200)
			w.Header().Set(http.TrailerPrefix+"X-Mana-Cost", "1")
			w.Header().Set(http.TrailerPrefix+"X-Other", "1")
			return nil
		})
		left := 8*creditcore.Credit - amount(t, c.cost)
		wantBill(t, x.Header(), c.cost, left.String())
		p.wantAvailable(user, left)
		if bad := seen.Len() > before; bad != c.bad {
			t.Errorf("%q: in the log %v", c.values, bad)
		}
		for _, name := range []string{"X-Mana-Cost", "Mana-Credits-Bonus", http.TrailerPrefix + "X-Mana-Cost"} {
			if _, ok := x.Header()[name]; ok {
				t.Errorf("%q: the client gets %s", c.values, name)
			}
		}
		if diff := cmp.Diff([]string{"X-Checksum"}, x.Header()["Trailer"]); diff != "" || x.Header().Get(http.TrailerPrefix+"X-Other") != "1" {
			t.Errorf("%q: other trailers: %s", c.values, diff)
		}
	}
}
