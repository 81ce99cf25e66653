package gift_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 100), s.user("bob", 0), s.user("eve", 0)
	nobody := creditcore.Caller{}
	open := s.give(ada, gift.Order{Credits: of(4), Portions: 2, Type: gift.Riddle, RiddleQuestion: "Who?", RiddleAnswer: "me", Message: "Hi"})
	info, err := s.Lookup(t.Context(), nobody, strings.ToLower(string(open.Code)))
	if err != nil || info.Code != open.Code || info.CreatorName != "Name of ada" || *info.Message != "Hi" || *info.RiddleQuestion != "Who?" ||
		!info.HasRiddle || info.Personalized || info.Status != gift.StatusActive {
		t.Errorf("%+v, %v", info, err)
	}
	for _, code := range []string{"", "AAAAAA", "AAAAAAA", "\x00AAAAA"} {
		if _, err := s.Lookup(t.Context(), nobody, code); !errors.Is(err, gift.ErrNotFound) {
			t.Errorf("%q: %v", code, err)
		}
	}
	s.exec(`INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id) VALUES ('l', '@eve:m', 'eve')`)
	private := s.give(ada, gift.Order{Credits: of(1), TargetEmail: "Bob@example.com", TargetMatrixID: "@eve:m", Message: "Only you"})
	for _, tt := range []struct {
		who  creditcore.Caller
		sees bool
	}{{nobody, false}, {s.user("carl", 0), false}, {ada, true}, {bob, true}, {eve, true}} {
		info, err := s.Lookup(t.Context(), tt.who, string(private.Code))
		if err != nil || (info.Message != nil) != tt.sees || (info.CreatorName != "") != tt.sees || !info.Personalized || info.HasRiddle {
			t.Errorf("%q: %+v, %v", tt.who.UserID, info, err)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 1000), s.user("bob", 0)
	if a, err := s.Created(t.Context(), bob); len(a) != 0 || err != nil {
		t.Errorf("created %v, %v", a, err)
	}
	if a, err := s.Received(t.Context(), bob); len(a) != 0 || err != nil {
		t.Errorf("received %v, %v", a, err)
	}
	var made []gift.Made
	for range 52 {
		g := s.give(ada, gift.Order{Credits: of(4), Portions: 2, Message: "Hi"})
		s.pass(time.Millisecond)
		s.take(bob, gift.Claim{Code: string(g.Code)})
		made = append(made, g)
	}
	riddle := s.give(ada, gift.Order{Credits: of(1), RiddleQuestion: "?", RiddleAnswer: "x"})
	s.refused(bob, gift.Claim{Code: string(riddle.Code), Answer: "y"}, gift.WrongAnswer)
	created, err := s.Created(t.Context(), ada)
	if err != nil || len(created) != 50 || created[0].ID != riddle.ID || created[1].ID != made[51].ID || created[49].ID != made[3].ID ||
		created[1].ClaimedPortions != 1 {
		t.Errorf("%d created: %+v, %v", len(created), created, err)
	}
	received, err := s.Received(t.Context(), bob)
	if err != nil || len(received) != 50 || received[0].Code != made[51].Code || received[49].Code != made[2].Code ||
		received[0].Credits != of(2) || *received[0].Message != "Hi" || received[0].CreatorName != "Name of ada" || received[0].ID == "" ||
		received[0].RedeemedAt.IsZero() {
		t.Errorf("%d received: %+v, %v", len(received), received, err)
	}
	if mine, err := s.Created(t.Context(), bob); len(mine) != 0 || err != nil {
		t.Errorf("bob created %v, %v", mine, err)
	}
}

func TestAutoRedeem(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada := s.user("ada", 1000)
	bob := creditcore.Caller{UserID: "bob", Email: "bob@example.com"}
	to := func(o gift.Order) gift.Made {
		o.Credits = of(6)
		if o.TargetEmail == "" {
			o.TargetEmail = "Bob@Example.com"
		}
		return s.give(ada, o)
	}
	end := s.now().Add(time.Hour)
	over := to(gift.Order{ExpiresAt: &end})
	s.pass(time.Hour)
	plain, message := to(gift.Order{Type: gift.Personalized}), to(gift.Order{Message: "Welcome"})
	split := to(gift.Order{Type: gift.Split, Portions: 3})
	riddle := to(gift.Order{RiddleQuestion: "?", RiddleAnswer: "x"})
	other := to(gift.Order{TargetEmail: "bob@example.org"})
	cancelled := to(gift.Order{})
	if _, err := s.Cancel(t.Context(), ada, cancelled.ID); err != nil {
		t.Fatal(err)
	}
	if n := s.AutoRedeem(t.Context(), "bob", "bob@example.com"); n != 0 {
		t.Errorf("%d gifts for nobody", n)
	}
	s.user("bob", 0)
	if n := s.AutoRedeem(t.Context(), "bob", "bob@example.com"); n != 3 {
		t.Errorf("%d gifts", n)
	}
	s.wantBalance(bob, 6+6+2, 14, 0)
	if app := s.lastEntry(bob).AppID; app != "registration" {
		t.Errorf("app %q", app)
	}
	for g, want := range map[*gift.Made]gift.Status{
		&plain: gift.StatusDepleted, &message: gift.StatusDepleted, &split: gift.StatusActive, &riddle: gift.StatusActive,
		&other: gift.StatusActive, &over: gift.StatusExpired, &cancelled: gift.StatusRefunded,
	} {
		s.wantStatus(*g, want)
	}
	// Once more, when the address is verified.
	if n := s.AutoRedeem(t.Context(), "bob", "bob@example.com"); n != 0 {
		t.Errorf("%d gifts again", n)
	}
	s.wantBalance(bob, 14, 14, 0)
	s.exec(`UPDATE auth.users SET email = 'b2@example.com' WHERE id = 'ada'`)
	s.give(ada, gift.Order{Credits: of(1), TargetEmail: "b2@example.com"})
	if n := s.AutoRedeem(t.Context(), "ada", "b2@example.com"); n != 0 {
		t.Errorf("%d gifts of their own", n)
	}
}
