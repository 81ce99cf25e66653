//go:build soak

package api_test

import (
	"slices"
	"testing"
	"time"
)

// A page of the desk takes about as long among 100 000 accounts, a million ledger rows and
// ten million events as among a fifth of the accounts and a hundredth of the events. The
// medians are printed. Nothing else must run beside it.
func TestDeskStaysQuick(t *testing.T) {
	few, many := crowd{20_000, 60_000, 60_000}, crowd{100_000, 1_000_000, 10_000_000}
	took := func(n crowd) map[string]time.Duration {
		s, _ := crowded(t, n)
		id, _ := s.proven("boss@example.test", "Boss")
		s.exec(`UPDATE auth.users SET role = 'admin' WHERE id = $1`, id)
		boss := s.cookie("boss@example.test")
		medians := make(map[string]time.Duration)
		for _, path := range deskPaths {
			var each []time.Duration
			for range 7 {
				began := time.Now()
				s.send("GET", path, nil, boss).status(200)
				each = append(each, time.Since(began))
			}
			slices.Sort(each)
			medians[path] = each[len(each)/2]
		}
		return medians
	}
	before, after := took(few), took(many)
	const noise = 5 * time.Millisecond
	for _, path := range deskPaths {
		t.Logf("%8v %8v %s", before[path].Round(100*time.Microsecond), after[path].Round(100*time.Microsecond), path)
		if after[path] > 6*max(before[path], noise) {
			t.Errorf("%s takes %v among %+v, and took %v among %+v", path, after[path], many, before[path], few)
		}
	}
}
