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
			!r.add(revocation{UserID: "bob", Reason: reasonDisabled, CreatedAt: database}, heard) {
			t.Fatalf("%s: it was no news", name)
		}
		if r.add(revocation{UserID: "ada", SessionID: &session, Reason: reasonSignOut, CreatedAt: database}, heard.Add(time.Minute)) {
			t.Errorf("%s: heard twice, it is news twice", name)
		}
		const span = 20 * time.Minute
		r.forget(heard.Add(span - time.Second).Add(-span))
		if !r.refuses(session, "ada", heard) || !r.refuses("other", "bob", heard) {
			t.Errorf("%s: forgotten too soon", name)
		}
		r.forget(heard.Add(span + time.Second).Add(-span))
		if !r.none() {
			t.Errorf("%s: remembered for ever", name)
		}
	}
}
