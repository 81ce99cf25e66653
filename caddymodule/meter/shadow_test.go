package meter_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

func TestMeterShadow(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	rich, poor := p.user("rich", 8000), p.user("poor", 1000)
	logs, seen := observer.New(zap.InfoLevel)
	m := p.loudMeter(&meter.Meter{Credits: "5", CostFrom: "X-Cost", Shadow: true}, zap.New(logs))
	for _, c := range []struct {
		user     string
		status   int
		header   []string
		want     string
		reported bool
	}{
		{rich, 200, []string{"X-Cost", "2"}, "shadow_charged 2 8", false},
		{rich, 500, nil, "shadow_free 0 8", false},
		{poor, 200, []string{"X-Cost", "2"}, "shadow_insufficient 0 1", true},
		{"", 200, []string{"X-Cost", "2"}, "shadow_guest 0 -", true},
		{"nobody", 200, []string{"X-Cost", "2"}, "shadow_guest 0 -", true},
	} {
		before := seen.Len()
		x := edgetest.Send(t, m, by(c.user, edgetest.Ask("POST", "/", "Idempotency-Key: ")), edgetest.Answers(c.status, c.header...))
		if x.Code != c.status || x.Reached != 1 || x.Placeholders() != c.want {
			t.Errorf("%s: %d, placeholders %q, want %q", c.user, x.Code, x.Placeholders(), c.want)
		}
		if reported := seen.Len() > before; reported != c.reported {
			t.Errorf("%s: in the log %v", c.user, reported)
		}
		wantBill(t, x.Header(), "", "")
		if x.Header().Get("X-Cost") != "" {
			t.Errorf("the client gets X-Cost")
		}
	}
	p.wantAvailable(rich, 8000)
	p.wantAvailable(poor, 1000)

	closed, err := pgxpool.New(t.Context(), p.db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	m = (&purse{creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: closed}), t, p.db}).meter(&meter.Meter{Credits: "5", Shadow: true})
	began := time.Now()
	if x := edgetest.Send(t, m, by(rich, edgetest.Ask("POST", "/")), edgetest.Answers(200)); x.Code != 200 || x.Placeholders() != "shadow_unavailable 0 -" {
		t.Errorf("without a database: %d, %q", x.Code, x.Placeholders())
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}
