package catalog

import (
	"testing"

	"mana.how/edge/creditcore"
)

func TestPeriodCredits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		period string
		count  int64
		want   int64
	}{
		{"month", 1, 100}, {"month", 3, 300}, {"year", 1, 1200}, {"week", 1, 23}, {"week", 2, 47}, {"day", 30, 100}, {"day", 1, 3},
	} {
		p := PlanPrice{MonthlyCredits: creditcore.Credits(100), Period: c.period, PeriodCount: c.count}
		if got := p.PeriodCredits(); got != creditcore.Credits(c.want) {
			t.Errorf("%d %s: %s credits", c.count, c.period, got)
		}
	}
}
