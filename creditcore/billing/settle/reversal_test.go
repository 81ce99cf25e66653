package settle

import (
	"testing"

	"mana.how/edge/creditcore"
)

func TestReversedCredits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		credits            creditcore.Amount
		reversed, received int64
		want               creditcore.Amount
	}{
		{creditcore.Credits(100), 0, 100, 0},
		{creditcore.Credits(100), 50, 100, creditcore.Credits(50)},
		{creditcore.Credits(1000), 500, 999, creditcore.Credits(500)},
		{creditcore.Credits(100), 1, 999, 0},
		{creditcore.Credits(100), 998, 999, creditcore.Credits(99)},
		{creditcore.Credits(100), 999, 999, creditcore.Credits(100)},
		{creditcore.Credits(100), 1000, 999, creditcore.Credits(100)},
		{creditcore.Credit / 2, 50, 100, 0},
		{creditcore.Credit / 2, 100, 100, creditcore.Credit / 2},
		{creditcore.MaxAmount, 99_999_998, 99_999_999, creditcore.Credits(999_999_989)},
	} {
		if got := ReversedCredits(c.credits, c.reversed, c.received); got != c.want {
			t.Errorf("%s credits, %d of %d cents: %s, want %s", c.credits, c.reversed, c.received, got, c.want)
		}
	}
}
