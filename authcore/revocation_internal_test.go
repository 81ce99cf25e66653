package authcore

import (
	"testing"
	"time"
)

func TestRevocationsAreForgottenByTheEdgesClock(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"right": 0, "an hour ahead": time.Hour, "an hour behind": -time.Hour} {
		database := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		heard, session := database.Add(skew), "session"
		r := newRevocations()
		if !r.add(revocation{UserID: "ada", SessionID: &session, Reason: reasonSignOut, CreatedAt: database}, heard) ||
			!r.add(revocation{UserID: "bob", Epoch: new(int32(1)), Reason: reasonDisabled, CreatedAt: database}, heard) {
			t.Fatalf("%s: it was no news", name)
		}
		if r.add(revocation{UserID: "ada", SessionID: &session, Reason: reasonSignOut, CreatedAt: database}, heard.Add(time.Minute)) {
			t.Errorf("%s: heard twice, it is news twice", name)
		}
		const span = 20 * time.Minute
		r.forget(heard.Add(span - time.Second).Add(-span))
		if !r.refuses(session, "ada", 0) || !r.refuses("other", "bob", 0) {
			t.Errorf("%s: forgotten too soon", name)
		}
		r.forget(heard.Add(span + time.Second).Add(-span))
		if !r.none() {
			t.Errorf("%s: remembered for ever", name)
		}
	}
}

// Cut-offs of a user come by NOTIFY, by Redis and by reading the table, in any
// order: the highest epoch counts.
func TestHighestEpochStands(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, order := range [][]int32{{1, 2, 3}, {3, 2, 1}, {2, 3, 1}, {3, 3, 3}} {
		r := newRevocations()
		for _, epoch := range order {
			r.add(revocation{UserID: "ada", Epoch: &epoch}, now)
		}
		for epoch := range int32(5) {
			if got := r.refuses("session", "ada", epoch); got != (epoch < 3) {
				t.Errorf("order %v: epoch %d refused: %v", order, epoch, got)
			}
			if got := r.overtakes("session", "ada", epoch, now.Add(time.Hour)); got != (epoch < 3) {
				t.Errorf("order %v: a cached session of epoch %d overtaken: %v", order, epoch, got)
			}
		}
		if r.refuses("session", "bob", 0) {
			t.Errorf("order %v: another user is cut off", order)
		}
	}
}
