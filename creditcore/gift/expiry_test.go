package gift_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	g := s.give(ada, gift.Order{Credits: of(9), Portions: 3})
	for _, id := range []string{"", "x", string(g.Code), "a\x00", g.ID + " "} {
		if _, err := s.Cancel(t.Context(), ada, id); !errors.Is(err, gift.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := s.Cancel(t.Context(), bob, g.ID); !errors.Is(err, gift.ErrNotFound) {
		t.Errorf("another's gift: %v", err)
	}
	s.take(bob, gift.Claim{Code: string(g.Code)})
	if n, err := s.Cancel(t.Context(), ada, g.ID); n != of(6) || err != nil {
		t.Errorf("refunded %s, %v", n, err)
	}
	s.wantStatus(g, gift.StatusCancelled)
	s.wantBalance(ada, 97, 100, 3)
	e := s.lastEntry(ada)
	if e.Type != creditcore.Returned || e.Amount != of(6) || e.AppID != "gift" || e.Description != "Gift code cancelled: "+string(g.Code) ||
		string(e.Metadata) != `{"giftCodeId": "`+g.ID+`"}` || *e.Reverses == "" {
		t.Errorf("entry %+v %s", e, e.Metadata)
	}
	if _, err := s.Cancel(t.Context(), ada, g.ID); !errors.Is(err, gift.ErrNotActive) {
		t.Errorf("again: %v", err)
	}
	whole := s.give(ada, gift.Order{Credits: of(9)})
	if n, err := s.Cancel(t.Context(), ada, whole.ID); n != of(9) || err != nil {
		t.Errorf("refunded %s, %v", n, err)
	}
	s.wantStatus(whole, gift.StatusRefunded)
	s.wantBalance(ada, 97, 100, 3)
}

// Whoever touches a gift whose time is over gives it back to its creator.
func TestExpiryByTouch(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	for name, touch := range map[string]func(gift.Made) error{
		"redeem": func(g gift.Made) error { s.refused(bob, gift.Claim{Code: string(g.Code)}, gift.Expired); return nil },
		"lookup": func(g gift.Made) error {
			info, err := s.Lookup(t.Context(), creditcore.Caller{}, string(g.Code))
			if info.Status != gift.StatusExpired {
				t.Errorf("lookup says %s", info.Status)
			}
			return err
		},
		"created": func(gift.Made) error {
			list, err := s.Created(t.Context(), ada)
			if len(list) == 0 || list[0].Status != gift.StatusExpired {
				t.Errorf("list says %+v", list)
			}
			return err
		},
		"cancel": func(g gift.Made) error {
			if _, err := s.Cancel(t.Context(), ada, g.ID); !errors.Is(err, gift.ErrNotActive) {
				return err
			}
			return nil
		},
	} {
		end := s.now().Add(time.Hour)
		g := s.give(ada, gift.Order{Credits: of(10), Portions: 2, ExpiresAt: &end})
		s.take(s.user("taker-"+name, 0), gift.Claim{Code: string(g.Code)})
		before := s.balance(ada)
		s.pass(time.Hour)
		if err := touch(g); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.wantStatus(g, gift.StatusExpired)
		after := s.balance(ada)
		if after.Available-before.Available != of(5) || after.TotalEarned != before.TotalEarned || before.TotalSpent-after.TotalSpent != of(5) {
			t.Errorf("%s: %+v, before %+v", name, after, before)
		}
		if e := s.lastEntry(ada); e.Type != creditcore.Returned || e.Description != "Gift code expired: "+string(g.Code) {
			t.Errorf("%s: entry %+v", name, e)
		}
	}
	if s.told()["expired"] != 4 {
		t.Errorf("observer %v", s.told())
	}
}

// The job finds what nobody touches, and one that fails stops no other.
func TestExpiryByJob(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada := s.user("ada", 1000)
	end := s.now().Add(time.Hour)
	var last gift.Made
	for range 150 {
		last = s.give(ada, gift.Order{Credits: of(1), ExpiresAt: &end})
	}
	stays := s.give(ada, gift.Order{Credits: of(5)})
	broken := s.give(ada, gift.Order{Credits: of(7), ExpiresAt: &end})
	other := s.lastEntry(s.user("eve", 1)).ID // not a charge of ada's
	reservation := s.text(`SELECT reservation_transaction_id FROM gifts.gift_codes WHERE id = $1`, broken.ID)
	s.exec(`UPDATE gifts.gift_codes SET reservation_transaction_id = $1 WHERE id = $2`, other, broken.ID)
	s.pass(time.Hour)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 { // two edges
		go func() { ended <- s.Run(ctx) }()
	}
	wait(t, func() bool { return s.balance(ada).Available == of(1000-5-7) })
	s.wantStatus(last, gift.StatusExpired)
	s.wantStatus(stays, gift.StatusActive)
	s.wantStatus(broken, gift.StatusActive)
	s.exec(`UPDATE gifts.gift_codes SET reservation_transaction_id = $1 WHERE id = $2`, reservation, broken.ID)
	wait(t, func() bool { return s.status(broken) == gift.StatusExpired })
	stop()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	s.wantBalance(ada, 995, 1000, 5)
	if s.told()["expired"] != 151 {
		t.Errorf("observer %v", s.told())
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not come to pass")
		}
	}
}
