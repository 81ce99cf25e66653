package gift_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

func TestCreateReserves(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada := s.user("ada", 150)
	made := s.give(ada, gift.Order{Credits: of(101), Portions: 5, Message: "Hi", SourceApp: "matrix-bot"})
	if made.TotalCredits != of(100) || made.CreditsPerPortion != of(20) || made.TotalPortions != 5 || made.Type != gift.Simple ||
		made.Status != gift.StatusActive || *made.Message != "Hi" || made.URL != "https://mana.how/g/"+string(made.Code) || made.Replayed {
		t.Errorf("made %+v", made)
	}
	if _, ok := gift.ParseCode(string(made.Code)); !ok {
		t.Errorf("code %q", made.Code)
	}
	if life := made.ExpiresAt.Sub(made.CreatedAt); life != 90*24*time.Hour {
		t.Errorf("it lives %v", life)
	}
	s.wantBalance(ada, 50, 150, 100)
	e := s.lastEntry(ada)
	if e.Type != creditcore.Gift || e.Amount != -of(100) || e.AppID != "matrix-bot" || e.Metadata != nil ||
		e.Description != "Gift code reservation: "+string(made.Code) ||
		e.ID != s.text(`SELECT reservation_transaction_id FROM gifts.gift_codes WHERE id = $1`, made.ID) {
		t.Errorf("entry %+v", e)
	}
	s.give(ada, gift.Order{Credits: of(1)})
	if app := s.lastEntry(ada).AppID; app != "gift" {
		t.Errorf("app %q", app)
	}
}

func TestCreateArithmetic(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada := s.user("ada", 100_000)
	for _, tt := range []struct {
		credits        creditcore.Amount
		portions       int
		portion, total int64
		err            error
	}{
		{of(1), 0, 1, 1, nil},
		{of(10_000), 100, 100, 10_000, nil},
		{10_999, 1, 10, 10, nil},
		{10_999, 3, 3, 9, nil},
		{of(100), 100, 1, 100, nil},
		{of(99), 100, 0, 0, gift.ErrPortion},
		{1_999, 2, 0, 0, gift.ErrPortion},
		{999, 1, 0, 0, gift.ErrInvalid},
		{of(10_000) + 1, 1, 0, 0, gift.ErrInvalid},
		{of(5), -1, 0, 0, gift.ErrInvalid},
		{of(500), 101, 0, 0, gift.ErrInvalid},
	} {
		made, err := s.Create(t.Context(), ada, gift.Order{Credits: tt.credits, Portions: tt.portions})
		if !errors.Is(err, tt.err) || made.CreditsPerPortion != of(tt.portion) || made.TotalCredits != of(tt.total) {
			t.Errorf("%s over %d: %s each, %s in all, %v", tt.credits, tt.portions, made.CreditsPerPortion, made.TotalCredits, err)
		}
	}
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 10), s.user("bob", 0)
	past, now := time.Now().Add(-time.Minute), time.Now()
	for name, tt := range map[string]struct {
		order gift.Order
		want  error
	}{
		"riddle without parts":    {gift.Order{Type: gift.Riddle}, gift.ErrRiddle},
		"riddle without answer":   {gift.Order{Type: gift.Riddle, RiddleQuestion: "?"}, gift.ErrRiddle},
		"riddle without question": {gift.Order{Type: gift.Riddle, RiddleAnswer: "x"}, gift.ErrRiddle},
		"answer without question": {gift.Order{RiddleAnswer: "x"}, gift.ErrRiddle},
		"blank answer":            {gift.Order{Type: gift.Riddle, RiddleQuestion: "?", RiddleAnswer: " \t"}, gift.ErrRiddle},
		"expired":                 {gift.Order{ExpiresAt: &past}, gift.ErrExpiry},
		"expires now":             {gift.Order{ExpiresAt: &now}, gift.ErrExpiry},
		"unknown type":            {gift.Order{Type: "lottery"}, gift.ErrInvalid},
		"long message":            {gift.Order{Message: strings.Repeat("ä", 501)}, gift.ErrInvalid},
		"NUL":                     {gift.Order{Message: "\x00"}, gift.ErrInvalid},
		"no UTF-8":                {gift.Order{TargetMatrixID: "\xff"}, gift.ErrInvalid},
	} {
		tt.order.Credits = of(1)
		if _, err := s.Create(t.Context(), ada, tt.order); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var short *creditcore.InsufficientError
	if _, err := s.Create(t.Context(), ada, gift.Order{Credits: of(11)}); !errors.As(err, &short) || short.Required != of(11) || short.Available != of(10) {
		t.Errorf("too few credits: %v", err)
	}
	if _, err := s.Create(t.Context(), bob, gift.Order{Credits: of(3)}); !errors.As(err, &short) || short.Available != 0 {
		t.Errorf("no account: %v", err)
	}
	if _, err := s.Create(t.Context(), creditcore.Caller{UserID: "nobody"}, gift.Order{Credits: of(3)}); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("no user: %v", err)
	}
	s.wantBalance(ada, 10, 10, 0)
	if n := s.text(`SELECT count(*) FROM gifts.gift_codes`); n != "0" {
		t.Errorf("%s gifts were made", n)
	}
}

// The answer is nowhere but in its hash, which takes as long as a password's.
func TestRiddleAnswerIsHashed(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada := s.user("ada", 10)
	s.give(ada, gift.Order{Credits: of(1), Type: gift.Riddle, RiddleQuestion: "?", RiddleAnswer: " Pineapple ", Key: "k"})
	if row := s.text(`SELECT g FROM gifts.gift_codes AS g`); strings.Contains(strings.ToLower(row), "pineapple") {
		t.Errorf("row %s", row)
	}
	hash := s.text(`SELECT riddle_answer_hash FROM gifts.gift_codes`)
	if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("pineapple")); err != nil {
		t.Error(err)
	}
	usual := gift.New(gift.Config{}, gift.Deps{Pool: s.db.Pool, Ledger: s.ledger})
	if _, err := usual.Create(t.Context(), ada, gift.Order{Credits: of(1), RiddleQuestion: "?", RiddleAnswer: "x"}); err != nil {
		t.Fatal(err)
	}
	hash = s.text(`SELECT riddle_answer_hash FROM gifts.gift_codes ORDER BY created_at DESC LIMIT 1`)
	if cost, err := bcrypt.Cost([]byte(hash)); cost != 10 || err != nil {
		t.Errorf("cost %d, %v", cost, err)
	}
}

// TestTakenCode lets the first codes collide.
func TestTakenCode(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada := s.user("ada", 10)
	codes := []gift.Code{"AAAAAA", "AAAAAA", "AAAAAA", "BBBBBB"}
	s.SetCodes(func() gift.Code {
		c := codes[0]
		if len(codes) > 1 {
			codes = codes[1:]
		}
		return c
	})
	if a, b := s.give(ada, gift.Order{Credits: of(1)}), s.give(ada, gift.Order{Credits: of(2)}); a.Code != "AAAAAA" || b.Code != "BBBBBB" {
		t.Errorf("codes %s and %s", a.Code, b.Code)
	}
	s.wantBalance(ada, 7, 10, 3)
	if _, err := s.Create(t.Context(), ada, gift.Order{Credits: of(1)}); err == nil {
		t.Error("a gift was made under a code that is taken")
	}
	s.wantBalance(ada, 7, 10, 3)
}

func TestCreateIdempotency(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 100)
	order := gift.Order{Credits: of(10), Portions: 2, Type: gift.Riddle, RiddleQuestion: "?", RiddleAnswer: "yes", Key: "one"}
	made := make([]gift.Made, 8)
	concurrently(len(made), func(i int) { made[i], _ = s.Create(t.Context(), ada, order) })
	fresh := 0
	for _, m := range made {
		if m.ID != made[0].ID || m.URL != made[0].URL {
			t.Errorf("gift %s, another %s", m.ID, made[0].ID)
		}
		if !m.Replayed {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d of them were new", fresh)
	}
	s.wantBalance(ada, 90, 100, 10)
	end := time.Now().Add(time.Hour)
	for name, change := range map[string]func(*gift.Order){
		"credits": func(o *gift.Order) { o.Credits++ }, "portions": func(o *gift.Order) { o.Portions = 3 },
		"type": func(o *gift.Order) { o.Type = gift.Split }, "message": func(o *gift.Order) { o.Message = "m" },
		"e-mail": func(o *gift.Order) { o.TargetEmail = "x@example.com" }, "matrix": func(o *gift.Order) { o.TargetMatrixID = "@x:m" },
		"question": func(o *gift.Order) { o.RiddleQuestion = "??" }, "answer": func(o *gift.Order) { o.RiddleAnswer = "no" },
		"app": func(o *gift.Order) { o.SourceApp = "a" }, "end": func(o *gift.Order) { o.ExpiresAt = &end },
		"riddle": func(o *gift.Order) { o.Type, o.RiddleAnswer, o.RiddleQuestion = gift.Simple, "", "" },
	} {
		other := order
		change(&other)
		if _, err := s.Create(t.Context(), ada, other); !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("other %s: %v", name, err)
		}
	}
	if m := s.give(bob, order); m.ID == made[0].ID || m.Replayed {
		t.Error("another user's key counts")
	}
	brief := gift.Order{Credits: of(1), ExpiresAt: &end, Key: "brief"}
	first := s.give(ada, brief)
	s.pass(2 * time.Hour)
	if m := s.give(ada, brief); m.ID != first.ID || !m.Replayed {
		t.Error("the order is not known any more once its gift is over")
	}
	refused := gift.Order{Credits: of(1000), Key: "two"}
	if _, err := s.Create(t.Context(), ada, refused); err == nil {
		t.Fatal("too few credits")
	}
	if m := s.give(ada, gift.Order{Credits: of(1), Key: "two"}); m.Replayed {
		t.Error("a refusal kept its key")
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, link, want string }{
		{"https://auth.mana.how", "", "https://mana.how/g/ABCDEF"},
		{"https://mana.how", "", "https://mana.how/g/ABCDEF"},
		{"", "", "https://mana.how/g/ABCDEF"},
		{"https://auth.mana.localhost:8443", "", "https://auth.mana.localhost:8443/g/ABCDEF"},
		{"https://notmana.how", "", "https://notmana.how/g/ABCDEF"},
		{"http://auth.mana.how", "", "http://auth.mana.how/g/ABCDEF"},
		{"https://auth.mana.how", "https://gift.example/", "https://gift.example/ABCDEF"},
	} {
		s := gift.New(gift.Config{BaseURL: tt.base, LinkBase: tt.link}, gift.Deps{Ledger: creditcore.New(creditcore.Config{}, creditcore.Deps{})})
		if got := s.URL("ABCDEF"); got != tt.want {
			t.Errorf("%q, %q: %s, want %s", tt.base, tt.link, got, tt.want)
		}
	}
}
