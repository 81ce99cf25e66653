package revocation_test

import (
	"testing"
	"time"

	"mana.how/edge/authcore/revocation"
)

// Each kind of what is known counts, whatever else is.
func TestNothingCancelsOut(t *testing.T) {
	t.Parallel()
	session, epoch, now := "s", int32(2), time.Unix(1, 0)
	add := map[string]func(*revocation.List){
		"session": func(l *revocation.List) { l.Add(revocation.Revocation{UserID: "u", SessionID: &session}, now) },
		"user":    func(l *revocation.List) { l.Add(revocation.Revocation{UserID: "u", Epoch: &epoch}, now) },
		"change":  func(l *revocation.List) { l.Change("u", now) },
		"close":   func(l *revocation.List) { l.Close() },
	}
	for one, first := range add {
		for other, second := range add {
			l := revocation.NewList()
			if !l.None() {
				t.Error("a new list has something")
			}
			first(l)
			second(l)
			if l.None() {
				t.Errorf("%s and %s are nothing", one, other)
			}
		}
	}
}

// A cut-off is news once, and a lower one never.
func TestSameEpochIsNoNews(t *testing.T) {
	t.Parallel()
	l, two, one, three := revocation.NewList(), int32(2), int32(1), int32(3)
	for _, tt := range []struct {
		epoch *int32
		news  bool
	}{{&two, true}, {&two, false}, {&one, false}, {&three, true}} {
		if got := l.Add(revocation.Revocation{UserID: "u", Epoch: tt.epoch}, time.Unix(1, 0)); got != tt.news {
			t.Errorf("epoch %d: %v", *tt.epoch, got)
		}
	}
}
