package invoice

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// A period is spread over its months, and nothing of its credits is lost.
func TestSpread(t *testing.T) {
	t.Parallel()
	type part struct {
		Starts, Ends string
		Credits      string
	}
	for name, c := range map[string]struct {
		starts, ends string
		credits      creditcore.Amount
		want         []part
	}{
		"nothing": {"2026-01-05 10:00", "2026-02-05 10:00", 0, nil},
		"a month": {"2026-01-05 10:00", "2026-02-05 10:00", creditcore.Credits(100), []part{
			{"01-05", "02-05", "100"},
		}},
		"a short month": {"2026-01-31 10:00", "2026-02-28 10:00", creditcore.Credits(100), []part{
			{"01-31", "02-28", "100"},
		}},
		"after a short month": {"2026-02-28 10:00", "2026-03-31 10:00", creditcore.Credits(100), []part{
			{"02-28", "03-31", "100"},
		}},
		"a week": {"2026-01-05 10:00", "2026-01-12 10:00", creditcore.Credits(23), []part{
			{"01-05", "01-12", "23"},
		}},
		"a quarter from the 31st": {"2026-01-31 10:00", "2026-04-30 10:00", creditcore.Credits(1500), []part{
			{"01-31", "02-28", "500"}, {"02-28", "03-31", "500"}, {"03-31", "04-30", "500"},
		}},
		"the rest of a year": {"2026-03-20 00:00", "2026-06-05 00:00", creditcore.Credits(250), []part{
			{"03-20", "04-20", "83"}, {"04-20", "05-20", "83"}, {"05-20", "06-05", "84"},
		}},
		"parts of a credit": {"2026-01-01 00:00", "2026-03-01 00:00", 1001, []part{
			{"02-01", "03-01", "1.001"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []part
			for _, m := range spread(c.credits, at(t, c.starts), at(t, c.ends)) {
				got = append(got, part{m.starts.Format("01-02"), m.ends.Format("01-02"), m.credits.String()})
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	year := spread(creditcore.Credits(1200), at(t, "2024-02-29 08:00"), at(t, "2025-02-28 08:00"))
	if len(year) != 12 {
		t.Fatalf("a year has %d months", len(year))
	}
	for i, m := range year {
		if m.credits != creditcore.Credits(100) || i > 0 && m.starts != year[i-1].ends {
			t.Errorf("month %d: %+v", i, m)
		}
	}
}

func FuzzSpread(f *testing.F) {
	f.Add(int64(1_200_000), int64(1767225600), int64(365*24*3600))
	f.Add(int64(1), int64(1767225600), int64(1))
	f.Fuzz(func(t *testing.T, credits, starts, length int64) {
		if credits < 0 || credits > 1e15 || starts < 0 || starts > 1e11 || length < 1 || length > 4*366*24*3600 {
			return // nothing that an invoice says
		}
		from, to := time.Unix(starts, 0), time.Unix(starts+length, 0)
		sum, end := creditcore.Amount(0), from
		for _, m := range spread(creditcore.Amount(credits), from, to) {
			if m.credits <= 0 || m.starts.Before(end) || !m.ends.After(m.starts) || m.ends.After(to) {
				t.Errorf("%+v", m)
			}
			sum, end = sum+m.credits, m.ends
		}
		if sum != creditcore.Amount(credits) {
			t.Errorf("%d of %d", sum, credits)
		}
	})
}

func TestKept(t *testing.T) {
	t.Parallel()
	m := month{at(t, "2026-04-01 00:00"), at(t, "2026-05-01 00:00"), creditcore.Credits(100)}
	for cut, want := range map[string]int64{
		"2026-03-01 00:00": 0, "2026-04-01 00:00": 0, "2026-04-01 01:00": 0, "2026-04-16 00:00": 50,
		"2026-04-30 23:00": 100, "2026-05-01 00:00": 100, "2026-06-01 00:00": 100,
	} {
		moment := at(t, cut)
		if got := m.kept(&moment); got != creditcore.Credits(want) {
			t.Errorf("cut at %s: %s", cut, got)
		}
	}
	if got := m.kept(nil); got != m.credits {
		t.Errorf("not cut: %s", got)
	}
}
