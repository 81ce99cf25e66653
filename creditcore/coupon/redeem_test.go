package coupon_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
)

func TestRedeem(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada := s.user("ada", "ada@mail.test")
	made, code := s.make("Spring-Time 27", func(terms *coupon.Terms) { terms.CreditsLife = time.Hour })
	if code != "SPRING-TIME 27" || made.Redeemed != 0 {
		t.Errorf("made %+v with the code %q", made, code)
	}
	var recorded map[string]any
	r, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: " springtime-27", Record: func(_ context.Context, _ pgx.Tx, about map[string]any) error {
		recorded = about
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Credits != creditcore.Credits(10) || r.Balance != creditcore.Credits(10) || r.Name != "Spring" || r.CouponID != made.ID || r.Replayed || recorded["coupon"] != made.ID || recorded["credits"] != r.Credits {
		t.Errorf("redeemed %+v, recorded %v", r, recorded)
	}
	if r.ExpiresAt == nil || r.ExpiresAt.Sub(s.now()) > time.Hour || r.ExpiresAt.Sub(s.now()) < time.Hour-time.Minute {
		t.Errorf("the credits end %v", r.ExpiresAt)
	}
	lots, err := s.ledger.Lots(t.Context(), creditcore.Caller{UserID: ada})
	if err != nil || len(lots) != 1 || lots[0].Source != creditcore.SourcePromotion || !lots[0].ExpiresAt.Equal(r.ExpiresAt.Truncate(time.Microsecond)) {
		t.Errorf("lots %+v, %v", lots, err)
	}
	e, err := s.ledger.EntryOf(t.Context(), r.TransactionID)
	if err != nil || e.Type != creditcore.Gift || e.AppID != "coupon" || e.Description != "Coupon: Spring" || !strings.Contains(string(e.Metadata), made.ID) {
		t.Errorf("the ledger row is %+v, %v", e, err)
	}
	list, err := s.RedemptionsOf(t.Context(), ada)
	if err != nil || len(list) != 1 || list[0].ID != r.ID || list[0].Name != "Spring" || list[0].ExpiresAt == nil {
		t.Errorf("listed %+v, %v", list, err)
	}
	if s.told("coupon redeemed") != 1 {
		t.Error("the observer was not told")
	}
}

// A redemption that cannot be recorded gives nothing.
func TestUnrecordedRedemption(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada := s.user("ada", "ada@mail.test")
	_, code := s.make("")
	broken := errors.New("broken")
	if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: code, Record: func(context.Context, pgx.Tx, map[string]any) error { return broken }}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	s.wantBalance(ada, 0)
	s.take(ada, code)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada, bob, eve := s.user("ada", "ada@mail.test"), s.user("bob", "bob@dept.example.com"), s.user("eve", "eve@notexample.com")
	s.exec(`UPDATE auth.users SET email_verified = false WHERE id = 'eve'`)
	in := func(d time.Duration) *time.Time {
		at := s.now().Add(d)
		return &at
	}
	for _, text := range []string{"", "SHORT", "NOTTHERE", "12345678", "ÄÄÄÄÄÄÄÄ", strings.Repeat("A", 41), "A\x00BCDEFGH"} {
		s.refused(ada, text, coupon.Unknown)
	}

	_, later := s.make("", func(terms *coupon.Terms) { terms.StartsAt = *in(time.Hour) })
	s.refused(ada, later, coupon.NotStarted)
	_, brief := s.make("", func(terms *coupon.Terms) { terms.EndsAt = in(2 * time.Hour) })
	s.pass(time.Hour + time.Second)
	s.take(ada, later)
	s.pass(time.Hour)
	s.refused(ada, brief, coupon.Ended)

	ended, code := s.make("")
	s.take(bob, code)
	for _, want := range []error{nil, coupon.ErrEnded} {
		if _, err := s.End(t.Context(), ended.ID, nil); !errors.Is(err, want) {
			t.Errorf("end: %v, want %v", err, want)
		}
	}
	s.refused(ada, code, coupon.Ended)
	s.refused(bob, code, coupon.Used)

	_, proven := s.make("")
	s.refused(eve, proven, coupon.Unverified)
	s.exec(`UPDATE auth.users SET email_verified = true WHERE id = 'eve'`)
	s.take(eve, proven)

	_, work := s.make("", func(terms *coupon.Terms) { terms.Domains = []string{"@Example.com"} })
	s.refused(eve, work, coupon.OtherDomain)
	s.take(bob, work)

	_, fresh := s.make("", func(terms *coupon.Terms) { terms.NewWithin = 3 * time.Hour })
	s.take(ada, fresh)
	s.pass(time.Hour)
	s.refused(bob, fresh, coupon.NotNew)

	_, single := s.make("", func(terms *coupon.Terms) { terms.MaxRedemptions = 1 })
	s.take(ada, single)
	s.refused(bob, single, coupon.Depleted)

	for _, id := range []string{"nobody", ""} {
		_, open := s.make("")
		if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: id, Code: open}); !errors.Is(err, creditcore.ErrAccountNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	s.exec(`UPDATE auth.users SET disabled_at = now() WHERE id = 'ada'`)
	if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: proven}); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("a disabled account: %v", err)
	}
}

// Spellings of one address are one person, and so is who left and came again.
func TestOncePerPerson(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada, tagged := s.user("ada", "ada@mail.test"), s.user("ada2", "ada+again@mail.test")
	_, code := s.make("")
	s.take(ada, code)
	s.refused(ada, code, coupon.Used)
	s.refused(tagged, code, coupon.Used)

	s.erase(ada)
	again := s.user("ada3", "ada@mail.test")
	s.refused(again, code, coupon.Used)
	s.wantBalance(again, 0)

	// Another address of the account is no second redemption either.
	_, other := s.make("")
	s.take(tagged, other)
	s.exec(`UPDATE auth.users SET email = 'somebody@mail.test' WHERE id = $1`, tagged)
	s.refused(tagged, other, coupon.Used)
}

func TestDomainLimit(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	_, code := s.make("", func(terms *coupon.Terms) { terms.DomainLimit = 2 })
	s.take(s.user("a", "a@firm.test"), code)
	s.take(s.user("b", "b@x.firm.test"), code) // a domain below is the same
	s.refused(s.user("c", "c@firm.test"), code, coupon.DomainLimit)
	s.take(s.user("d", "d@other.test"), code)
	for _, id := range s.users(4) { // of a public provider
		s.take(id, code)
	}
}

// Many redeem at once, at two edges: each once, and no more than there is.
func TestConcurrentRedemptions(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	other := openCounter(t, s.db, sealer("first"))
	users := s.users(32)
	other.refused(users[0], "NOT-THERE", coupon.Unknown) // it has the secret by now, as an edge that serves does
	made, code := s.make("", func(terms *coupon.Terms) { terms.MaxRedemptions = 20 })
	var given atomic.Int64
	concurrently(64, func(i int) {
		edge := s
		if i%2 == 0 {
			edge = other
		}
		switch r, err := edge.patiently(coupon.Claim{UserID: users[i/2], Code: code}); {
		case err == nil && r.Credits == creditcore.Credits(10):
			given.Add(1)
		case !errors.Is(err, coupon.Used) && !errors.Is(err, coupon.Depleted):
			t.Errorf("%d: %+v, %v", i, r, err)
		}
	})
	rows := s.text(`SELECT count(*) || ' of ' || count(DISTINCT user_id) FROM credits.transactions WHERE app_id = 'coupon'`)
	if given.Load() != 20 || rows != "20 of 20" {
		t.Errorf("%d redeemed, rows of the ledger: %s", given.Load(), rows)
	}
	if n := s.text(`SELECT redeemed FROM credits.coupons WHERE id = $1`, made.ID); n != "20" {
		t.Errorf("the coupon counts %s", n)
	}
}

// Many accounts of one person and of one domain at once.
func TestConcurrentPersonAndDomain(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	_, code := s.make("", func(terms *coupon.Terms) { terms.DomainLimit = 3 })
	var list []string
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		list = append(list, s.user(id, id+"@firm.test"), s.user(id+"-2", "ada+"+id+"@mail.test"))
	}
	concurrently(len(list), func(i int) {
		if _, err := s.patiently(coupon.Claim{UserID: list[i], Code: code}); err != nil && !errors.Is(err, coupon.Used) && !errors.Is(err, coupon.DomainLimit) {
			t.Error(err)
		}
	})
	if n := s.text(`SELECT count(*) FILTER (WHERE u.email LIKE '%firm.test') || ' and ' || count(*) FILTER (WHERE u.email LIKE '%mail.test')
		FROM credits.coupon_redemptions AS r JOIN auth.users AS u ON u.id = r.user_id`); n != "3 and 1" {
		t.Errorf("redeemed by %s", n)
	}
}

func TestRedeemIdempotency(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada := s.user("ada", "ada@mail.test")
	made, code := s.make("", func(terms *coupon.Terms) { terms.CreditsLife = time.Hour })
	_, other := s.make("")
	claim := coupon.Claim{UserID: ada, Code: code, Key: "one"}
	got := make([]coupon.Redemption, 6)
	concurrently(len(got), func(i int) { got[i], _ = s.patiently(claim) })
	fresh := 0
	for _, r := range got {
		if r.Credits != creditcore.Credits(10) || r.Balance != creditcore.Credits(10) || r.CouponID != made.ID || r.ID != got[0].ID || r.ExpiresAt == nil {
			t.Errorf("redeemed %+v", r)
		}
		if !r.Replayed {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of them were new", fresh)
	}
	if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: other, Key: "one"}); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("another coupon: %v", err)
	}
	if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: code, Key: "two"}); !errors.Is(err, coupon.Used) {
		t.Errorf("another key: %v", err)
	}
	if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: other, Key: "two"}); err != nil {
		t.Errorf("a refusal kept its key: %v", err)
	}
	if _, err := s.Redeem(t.Context(), coupon.Claim{UserID: ada, Code: code, Key: strings.Repeat("k", 256)}); !errors.Is(err, creditcore.ErrInvalid) {
		t.Errorf("a long key: %v", err)
	}
}

// What a coupon gave stays promotional in a gift, ends when it would have ended, and
// is no money that was received.
func TestPromotionalCreditsStaySo(t *testing.T) {
	t.Parallel()
	s := newCounter(t)
	ada, bob := s.user("ada", "ada@mail.test"), s.user("bob", "bob@mail.test")
	end := s.now().Add(time.Hour).Truncate(time.Second)
	_, code := s.make("", func(terms *coupon.Terms) { terms.CreditsExpireAt, terms.CreditsLife = &end, 24*time.Hour })
	s.take(ada, code)
	g, err := s.gifts.Create(t.Context(), creditcore.Caller{UserID: ada}, gift.Order{Credits: creditcore.Credits(4)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.gifts.Redeem(t.Context(), creditcore.Caller{UserID: bob}, gift.Claim{Code: string(g.Code)}); err != nil {
		t.Fatal(err)
	}
	lots, err := s.ledger.Lots(t.Context(), creditcore.Caller{UserID: bob})
	if err != nil || len(lots) != 1 || lots[0].Source != creditcore.SourcePromotion || !lots[0].ExpiresAt.Equal(end) {
		t.Errorf("the gift is %+v, %v", lots, err)
	}
	if err := s.ledger.DeferredRevenue(t.Context(), func(d creditcore.Deferred) error {
		t.Errorf("deferred %+v", d)
		return nil
	}); err != nil {
		t.Error(err)
	}
	if paid := s.text(`SELECT count(*) FROM credits.lots WHERE NOT promotional`); paid != "0" {
		t.Errorf("%s lots count as paid", paid)
	}
}
