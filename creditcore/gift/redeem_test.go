package gift_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

func TestRedeem(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	g := s.give(ada, gift.Order{Credits: of(10), Portions: 2, Message: "Hi"})
	r := s.take(bob, gift.Claim{Code: strings.ToLower(string(g.Code)), SourceApp: "matrix-bot"})
	if r.Credits != of(5) || r.Balance != of(5) || r.Code != g.Code || *r.Message != "Hi" || r.Replayed {
		t.Errorf("received %+v", r)
	}
	s.wantBalance(bob, 5, 5, 0)
	s.wantBalance(ada, 90, 100, 10)
	e := s.lastEntry(bob)
	if e.Type != creditcore.Gift || e.Amount != of(5) || e.AppID != "matrix-bot" || e.Description != "Gift received: "+string(g.Code) ||
		string(e.Metadata) != `{"giftCodeId": "`+g.ID+`", "portionNumber": 1}` {
		t.Errorf("entry %+v %s", e, e.Metadata)
	}
	s.wantStatus(g, gift.StatusActive)
	s.take(s.user("eve", 0), gift.Claim{Code: string(g.Code)})
	s.wantStatus(g, gift.StatusDepleted)
	if diff := cmp.Diff(map[string]int{"created": 1, "redeemed": 2}, s.told()); diff != "" {
		t.Errorf("observer (-want +got)\n%s", diff)
	}
}

// TestRefusals goes through the checks of the contract in their order, each
// with a gift that fails the later ones, too.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 1000), s.user("bob", 0), s.user("eve", 0)
	barred := gift.Order{Credits: of(4), TargetEmail: "eve@example.com", RiddleQuestion: "?", RiddleAnswer: "yes"}
	claim := func(g gift.Made) gift.Claim { return gift.Claim{Code: string(g.Code)} }

	for _, code := range []string{"", "ABCDEF", "short", "IIIIII", "ABCDEFG", "ABCDE\x00", "' OR 1"} {
		s.refused(bob, gift.Claim{Code: code, Answer: "x"}, gift.Unknown)
	}

	depleted := s.give(ada, gift.Order{Credits: of(1)})
	s.take(eve, claim(depleted))
	s.refused(eve, claim(depleted), gift.Depleted)

	refunded := s.give(ada, barred)
	if n, err := s.Cancel(t.Context(), ada, refunded.ID); n != of(4) || err != nil {
		t.Fatalf("cancel: %s, %v", n, err)
	}
	s.refused(bob, claim(refunded), gift.Refunded)

	cancelled := s.give(ada, gift.Order{Credits: of(4), Portions: 4})
	s.take(eve, claim(cancelled))
	if n, err := s.Cancel(t.Context(), ada, cancelled.ID); n != of(3) || err != nil {
		t.Fatalf("cancel: %s, %v", n, err)
	}
	s.refused(ada, claim(cancelled), gift.Cancelled)

	end := time.Now().Add(time.Hour)
	barred.ExpiresAt = &end
	expired := s.give(ada, barred)
	s.pass(time.Hour)
	before := s.balance(ada).Available
	s.refused(bob, claim(expired), gift.Expired)
	s.wantStatus(expired, gift.StatusExpired)
	if got := s.balance(ada).Available - before; got != of(4) {
		t.Errorf("the creator got %s back", got)
	}
	s.refused(bob, claim(expired), gift.Expired)
	barred.ExpiresAt = nil

	g := s.give(ada, barred)
	s.refused(ada, claim(g), gift.Own)
	s.refused(bob, claim(g), gift.OtherPerson)
	s.refused(bob, gift.Claim{Code: string(g.Code), Answer: "yes"}, gift.OtherPerson)
	if got := s.attempts(g, "failed_wrong_user"); got != "1" {
		t.Errorf("%s rows of the wrong user", got)
	}
	s.refused(eve, claim(g), gift.NoAnswer)
	s.refused(eve, gift.Claim{Code: string(g.Code), Answer: "no"}, gift.WrongAnswer)
	if got := s.attempts(g, "failed_wrong_answer"); got != "1" {
		t.Errorf("%s rows of wrong answers", got)
	}
	s.take(eve, gift.Claim{Code: string(g.Code), Answer: "  YES\n"})

	once := s.give(ada, gift.Order{Credits: of(3), Portions: 3, RiddleQuestion: "?", RiddleAnswer: "yes"})
	s.take(bob, gift.Claim{Code: string(once.Code), Answer: "yes"})
	s.refused(bob, gift.Claim{Code: string(once.Code), Answer: "no"}, gift.WrongAnswer)
	s.refused(bob, gift.Claim{Code: string(once.Code), Answer: "yes"}, gift.AlreadyClaimed)
	s.wantBalance(bob, 1, 1, 0)
}

// One user may take several portions of a split gift, and one of any other.
func TestPortionsByType(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 100), s.user("bob", 0), s.user("eve", 0)
	for _, kind := range gift.Types {
		g := s.give(ada, gift.Order{Credits: of(6), Portions: 3, Type: kind, RiddleQuestion: "?", RiddleAnswer: "yes"})
		claim := gift.Claim{Code: string(g.Code), Answer: "yes"}
		s.take(bob, claim)
		if kind == gift.Split {
			s.take(bob, claim)
			s.take(bob, claim)
			s.wantStatus(g, gift.StatusDepleted)
			continue
		}
		s.refused(bob, claim, gift.AlreadyClaimed)
		if r := s.take(eve, claim); r.Credits != of(2) {
			t.Errorf("%s: %s credits", kind, r.Credits)
		}
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 100), s.user("bob", 0), s.user("eve", 0)
	s.exec(`INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id) VALUES ('l', '@bob:m', 'bob')`)
	give := func(o gift.Order) gift.Claim {
		o.Credits = of(1)
		return gift.Claim{Code: string(s.give(ada, o).Code)}
	}
	mail := give(gift.Order{TargetEmail: " Bob@Example.COM ", Type: gift.Personalized})
	s.refused(eve, mail, gift.OtherPerson)
	bob.Email = "BOB@example.com"
	s.take(bob, mail)

	linked := give(gift.Order{TargetMatrixID: "@bob:m"})
	s.refused(eve, linked, gift.OtherPerson)
	s.take(bob, linked)

	proven := give(gift.Order{TargetMatrixID: "@eve:m"})
	for _, id := range []string{"", "@EVE:m", "@eve:m "} {
		proven.MatrixID = id
		s.refused(eve, proven, gift.OtherPerson)
	}
	proven.MatrixID = "@eve:m"
	s.take(eve, proven)

	either := gift.Order{TargetMatrixID: "@x:m", TargetEmail: "eve@example.com"}
	s.take(eve, give(either))
	byID := give(either)
	byID.MatrixID = "@x:m"
	s.take(bob, byID)

	nobody := creditcore.Caller{UserID: bob.UserID}
	s.take(nobody, give(gift.Order{TargetEmail: "bob@example.com"}))
	s.take(nobody, give(gift.Order{Type: gift.Personalized}))
}

func TestRedeemIdempotency(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 100), s.user("bob", 0), s.user("eve", 0)
	g := s.give(ada, gift.Order{Credits: of(6), Portions: 6, Type: gift.Split, RiddleQuestion: "?", RiddleAnswer: "yes"})
	claim := gift.Claim{Code: string(g.Code), Answer: "yes", SourceApp: "a", Key: "one"}
	got := make([]gift.Received, 6)
	concurrently(len(got), func(i int) { got[i], _ = s.claim(bob, claim) })
	fresh := 0
	for _, r := range got {
		if r.Credits != of(1) || r.Balance != of(1) {
			t.Errorf("received %+v", r)
		}
		if !r.Replayed {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of them were new", fresh)
	}
	other := s.give(ada, gift.Order{Credits: of(1)})
	for name, c := range map[string]gift.Claim{
		"gift":   {Code: string(other.Code), Answer: "yes", SourceApp: "a", Key: "one"},
		"answer": {Code: string(g.Code), Answer: "no", SourceApp: "a", Key: "one"},
		"none":   {Code: string(g.Code), SourceApp: "a", Key: "one"},
		"app":    {Code: string(g.Code), Answer: "yes", Key: "one"},
	} {
		if _, err := s.claim(bob, c); !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("other %s: %v", name, err)
		}
	}
	s.wantBalance(bob, 1, 1, 0)
	if r := s.take(eve, claim); r.Replayed {
		t.Error("another user's key counts")
	}

	// A refusal keeps no key; a success is repeated even when the gift is over.
	wrong := claim
	wrong.Key, wrong.Answer = "two", "no"
	s.refused(bob, wrong, gift.WrongAnswer)
	right := claim
	right.Key = "two"
	if r := s.take(bob, right); r.Replayed || r.Balance != of(2) {
		t.Errorf("received %+v", r)
	}
	if _, err := s.Cancel(t.Context(), ada, g.ID); err != nil {
		t.Fatal(err)
	}
	if r := s.take(bob, claim); !r.Replayed || r.Balance != of(2) {
		t.Errorf("received %+v", r)
	}
	plain := gift.Claim{Code: string(other.Code), Answer: "ignored", Key: "three"}
	s.take(bob, plain)
	plain.Answer = "another"
	if _, err := s.claim(bob, plain); !errors.Is(err, creditcore.ErrKeyReused) {
		t.Errorf("other answer to no riddle: %v", err)
	}
}

// Two gifts under one key at once: one of them is another request.
func TestOneKeyOnTwoGifts(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	codes := []gift.Made{s.give(ada, gift.Order{Credits: of(1)}), s.give(ada, gift.Order{Credits: of(1)})}
	errs := make([]error, 2)
	concurrently(2, func(i int) { _, errs[i] = s.claim(bob, gift.Claim{Code: string(codes[i].Code), Key: "k"}) })
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), creditcore.ErrKeyReused) {
		t.Errorf("%v", errs)
	}
	s.wantBalance(bob, 1, 1, 0)
}
