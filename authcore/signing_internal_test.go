package authcore

import (
	"testing"
	"time"

	"mana.how/edge/authcore/token"
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

// A token in memory counts while the very key that verified it is in the set.
func TestVerifiedTokenDiesWithItsKey(t *testing.T) {
	t.Parallel()
	k := newTestKey(t)
	other, err := token.NewKey(k.CreatedAt, k.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	other.ID = k.ID
	gone := k
	gone.GoneAt = new(k.CreatedAt.Add(time.Minute))
	v := verifiedToken{Claims: token.Claims{KeyID: k.ID}, public: k.Public}
	for name, tt := range map[string]struct {
		keys []token.Key
		want bool
	}{
		"in the set": {[]token.Key{k}, true}, "not in the set": {nil, false},
		"another key of its id": {[]token.Key{other}, false}, "to go": {[]token.Key{gone}, true},
	} {
		if got := v.by(token.NewKeySet(tt.keys), k.CreatedAt); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if v.by(token.NewKeySet([]token.Key{gone}), *gone.GoneAt) {
		t.Error("its key is gone")
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
