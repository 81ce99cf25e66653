package keyring

import (
	"testing"
	"time"
)

// A reading of the keys that began before another and ends after it, changes
// nothing.
func TestOlderReadingChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ends []int // which of the readings 0, 1, 2 ends first, second, last
		want int
	}{
		{[]int{0, 1, 2}, 2}, {[]int{2, 1, 0}, 2}, {[]int{1, 0, 2}, 2}, {[]int{1, 2, 0}, 2}, {[]int{1, 0}, 1}, {[]int{0}, 0},
	} {
		var r readings
		begun := []uint64{r.begin(), r.begin(), r.begin()}
		got := -1
		for _, which := range tt.ends {
			r.finish(begun[which], func() { got = which })
		}
		if got != tt.want {
			t.Errorf("ended %v: reading %d stands, want %d", tt.ends, got, tt.want)
		}
	}
}

// Any number of tokens with key ids that nobody knows cause one look into the
// database a while, not one each.
func TestUnknownKeyIDsReadSeldom(t *testing.T) {
	t.Parallel()
	var g reloadGate
	now := time.Now()
	looks := 0
	for i := range 10_000 {
		if g.open(now.Add(time.Duration(i) * time.Millisecond)) {
			looks++
		}
	}
	if looks < 1 || looks > 10 {
		t.Errorf("%d looks in ten seconds", looks)
	}
}
