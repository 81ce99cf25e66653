package metrics

import (
	"testing"
	"time"
)

func TestRecentMinutes(t *testing.T) {
	t.Parallel()
	var r recent
	start := time.Unix(1_800_000_000, 0).Truncate(time.Minute)
	for i := range 1000 {
		took := 10 * time.Millisecond
		if i >= 985 { // more than one in a hundred
			took = time.Second
		}
		r.observe(took, start)
	}
	for range 1000 {
		r.observe(10*time.Millisecond, start.Add(time.Minute))
	}
	r.observe(0, start.Add(2*time.Minute))
	r.observe(time.Hour, start.Add(3*time.Minute))
	r.observe(time.Second, start.Add(-time.Minute)) // in another order

	within := func(got, least time.Duration) bool { return got >= least && float64(got) <= 1.2*float64(least) }
	list := r.series(start.Add(3*time.Minute + 30*time.Second))
	if len(list) != 60 || !list[59].At.Equal(start.Add(3*time.Minute)) || !list[56].At.Equal(start) {
		t.Fatalf("%d minutes, the last %v", len(list), list[len(list)-1])
	}
	if !within(list[56].P99, time.Second) || !within(list[57].P99, 10*time.Millisecond) || list[58].P99 != 100*time.Microsecond ||
		list[59].P99 < 40*time.Second || !within(list[55].P99, time.Second) || list[54].P99 != 0 {
		t.Errorf("%v", list[54:])
	}

	// An hour later the place of a minute is taken by another.
	later := start.Add(time.Hour)
	r.observe(10*time.Millisecond, later)
	r.observe(time.Second, start) // put back: not counted
	list = r.series(later)
	if !within(list[59].P99, 10*time.Millisecond) || !within(list[0].P99, 10*time.Millisecond) {
		t.Errorf("after an hour: %v and %v", list[0], list[59])
	}
}
