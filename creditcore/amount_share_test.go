package creditcore

import (
	"math"
	"testing"
)

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, part, of, want int64 }{
		{100, 1, 2, 50}, {5, 1, 2, 3}, {100, 0, 2, 0}, {100, 1, 0, 0}, {0, 1, 2, 0}, {-5, 1, 2, 0}, {100, 3, 1, 300},
		{math.MaxInt64, 1, math.MaxInt64, 1}, {1e12, 1e12, 1e12, 1e12}, {math.MaxInt64, math.MaxInt64, 1, int64(MaxAmount)},
	} {
		if got := share(c.a, c.part, c.of); got != c.want {
			t.Errorf("%d × %d/%d: %d, want %d", c.a, c.part, c.of, got, c.want)
		}
	}
}
