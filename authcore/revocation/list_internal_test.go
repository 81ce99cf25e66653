package revocation

import (
	"testing"
	"time"
)

func TestRevocationsAreForgottenByTheEdgesClock(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"right": 0, "an hour ahead": time.Hour, "an hour behind": -time.Hour} {
		database := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		received, session := database.Add(skew), "session"
		r := NewList()
		if !r.Add(Revocation{UserID: "ada", SessionID: &session, Reason: "logout", CreatedAt: database}, received) ||
			!r.Add(Revocation{UserID: "bob", Epoch: new(int32(1)), Reason: "account_disabled", CreatedAt: database}, received) {
			t.Fatalf("%s: it was no news", name)
		}
		if r.Add(Revocation{UserID: "ada", SessionID: &session, Reason: "logout", CreatedAt: database}, received.Add(time.Minute)) {
			t.Errorf("%s: received twice, it is news twice", name)
		}
		const span = 20 * time.Minute
		r.Forget(received.Add(span - time.Second).Add(-span))
		if !r.Refuses(session, "ada", 0) || !r.Refuses("other", "bob", 0) {
			t.Errorf("%s: forgotten too soon", name)
		}
		r.Forget(received.Add(span + time.Second).Add(-span))
		if !r.None() {
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
		r := NewList()
		for _, epoch := range order {
			r.Add(Revocation{UserID: "ada", Epoch: &epoch}, now)
		}
		for epoch := range int32(5) {
			if got := r.Refuses("session", "ada", epoch); got != (epoch < 3) {
				t.Errorf("order %v: epoch %d refused: %v", order, epoch, got)
			}
			if got := r.Overtakes("session", "ada", epoch, now.Add(time.Hour)); got != (epoch < 3) {
				t.Errorf("order %v: a cached session of epoch %d overtaken: %v", order, epoch, got)
			}
		}
		if r.Refuses("session", "bob", 0) {
			t.Errorf("order %v: another user is cut off", order)
		}
	}
}
