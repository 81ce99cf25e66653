package gift_test

import (
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

// Expiring credits expire, whoever has them: they come out of a gift as they
// went in, and a gift ends with the first of what is in it.
func TestGiftsKeepTheEndOfTheirCredits(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	alice, bob := s.user("alice", 10), s.user("bob", 0)
	end := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	_, err := s.ledger.Grant(t.Context(), creditcore.Grant{UserID: "alice", Amount: creditcore.Credits(10), Type: creditcore.Gift,
		Source: creditcore.SourceAdmin, ExpiresAt: &end})
	if err != nil {
		t.Fatal(err)
	}
	first := s.give(alice, gift.Order{Credits: creditcore.Credits(12), Portions: 1})
	if first.ExpiresAt == nil || !first.ExpiresAt.Equal(end) {
		t.Errorf("the gift ends at %v, want %v", first.ExpiresAt, end)
	}
	s.take(bob, gift.Claim{Code: string(first.Code)})
	lots := func(user string) string {
		return s.text(`SELECT string_agg(source || ' ' || remaining || ' ' || (expires_at IS NOT NULL), ', ' ORDER BY source)
			FROM credits.lots WHERE user_id = $1 AND remaining > 0`, user)
	}
	if got, want := lots("bob"), "admin 10000 true, purchase 2000 false"; got != want {
		t.Errorf("bob has %q, want %q", got, want)
	}
	second := s.give(bob, gift.Order{Credits: creditcore.Credits(11), Portions: 1})
	if _, err := s.Cancel(t.Context(), bob, second.ID); err != nil {
		t.Fatal(err)
	}
	if got, want := lots("bob"), "admin 10000 true, purchase 2000 false"; got != want {
		t.Errorf("after a cancelled gift bob has %q, want %q", got, want)
	}
	s.exec(`UPDATE credits.lots SET expires_at = now() WHERE expires_at IS NOT NULL`)
	s.exec(`UPDATE credits.balances SET next_expiry = now() WHERE user_id = 'bob'`)
	if got := s.balance(bob).Available; got != creditcore.Credits(2) {
		t.Errorf("bob has %s after the end, want 2", got)
	}
}
