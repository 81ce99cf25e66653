package authcore

import (
	"testing"
	"time"
)

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
