package verifier

import (
	"testing"
	"time"

	"mana.how/edge/authcore/token"
)

// A token in memory counts while the very key that verified it is in the set.
func TestVerifiedTokenDiesWithItsKey(t *testing.T) {
	t.Parallel()
	k := newTestKey(t)
	other, err := token.NewKey(token.EdDSA, k.CreatedAt, k.CreatedAt)
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
