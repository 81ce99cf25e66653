package gift_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"mana.how/edge/creditcore/gift"
)

func TestAnswersAreFolded(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	long := strings.Repeat("ß", 90)
	for answer, same := range map[string]string{
		"Café": " CAFE\u0301 ", "x": "X", "two words": "Two Words", long: strings.ToUpper(long[:4]) + long[4:],
	} {
		g := s.give(ada, gift.Order{Credits: of(1), Type: gift.Riddle, RiddleQuestion: "?", RiddleAnswer: answer})
		s.refused(bob, gift.Claim{Code: string(g.Code), Answer: answer + "!"}, gift.WrongAnswer)
		s.refused(bob, gift.Claim{Code: string(g.Code), Answer: " "}, gift.WrongAnswer)
		s.take(bob, gift.Claim{Code: string(g.Code), Answer: same})
	}
}

// Hashes of the replaced service are of the first 72 bytes.
func TestImportedAnswer(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	answer := strings.Repeat("imported ", 10)
	hash, err := bcrypt.GenerateFromPassword([]byte(answer[:72]), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	g := s.give(ada, gift.Order{Credits: of(1), RiddleQuestion: "?", RiddleAnswer: "x"})
	s.exec(`UPDATE gifts.gift_codes SET riddle_answer_hash = $1`, strings.Replace(string(hash), "$2a$", "$2b$", 1))
	s.refused(bob, gift.Claim{Code: string(g.Code), Answer: "x"}, gift.WrongAnswer)
	s.take(bob, gift.Claim{Code: string(g.Code), Answer: answer})

	broken := s.give(ada, gift.Order{Credits: of(1), RiddleQuestion: "?", RiddleAnswer: "x"})
	for _, hash := range []string{"", "x", "$2b$31$" + strings.Repeat("a", 53)} {
		s.exec(`UPDATE gifts.gift_codes SET riddle_answer_hash = $1 WHERE id = $2`, hash, broken.ID)
		var refused gift.Refusal
		if _, err := s.claim(bob, gift.Claim{Code: string(broken.Code), Answer: "x"}); err == nil || errors.As(err, &refused) {
			t.Errorf("hash %q: %v", hash, err)
		}
	}
}

// However many guess at once, no more than ten of one user's answers are ever
// told right from wrong.
func TestWrongAnswersOfOneUser(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 100), s.user("bob", 0), s.user("eve", 0)
	g := s.give(ada, gift.Order{Credits: of(2), Portions: 2, RiddleQuestion: "?", RiddleAnswer: "yes"})
	var mu sync.Mutex
	told := map[error]int{}
	concurrently(30, func(int) {
		_, err := s.claim(bob, gift.Claim{Code: string(g.Code), Answer: "no"})
		mu.Lock()
		defer mu.Unlock()
		told[err]++
	})
	if told[gift.WrongAnswer] != 10 || told[gift.TooManyAnswers]+told[gift.GuessedTooMuch] != 20 {
		t.Errorf("%v", told)
	}
	s.refused(bob, gift.Claim{Code: string(g.Code), Answer: "yes"}, gift.TooManyAnswers)
	s.pass(24 * time.Hour)
	s.refused(bob, gift.Claim{Code: string(g.Code), Answer: "yes"}, gift.TooManyAnswers)
	s.take(eve, gift.Claim{Code: string(g.Code), Answer: "yes"})
	if got := s.attempts(g, "failed_wrong_answer"); got != "10" {
		t.Errorf("%s wrong answers", got)
	}
}

// Fifty wrong answers by all close a riddle, until an hour has passed.
func TestWrongAnswersOfAll(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	g := s.give(ada, gift.Order{Credits: of(2), Portions: 2, RiddleQuestion: "?", RiddleAnswer: "yes"})
	wrong, right := gift.Claim{Code: string(g.Code), Answer: "no"}, gift.Claim{Code: string(g.Code), Answer: "yes"}
	crowd := s.users(6)
	for i := range 50 {
		s.refused(crowd[i%5], wrong, gift.WrongAnswer)
	}
	s.refused(crowd[5], wrong, gift.GuessedTooMuch)
	s.refused(bob, right, gift.GuessedTooMuch)
	s.pass(time.Hour)
	s.take(bob, right)
}

// A queue that does not move answers, and a caller who leaves is not waited for.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob := s.user("ada", 100), s.user("bob", 0)
	g := s.give(ada, gift.Order{Credits: of(1), RiddleQuestion: "?", RiddleAnswer: "yes"})
	claim := gift.Claim{Code: string(g.Code), Answer: "yes"}
	release := s.OccupyHashing()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := s.Redeem(ctx, bob, claim); !errors.Is(err, context.Canceled) {
		t.Errorf("left: %v", err)
	}
	concurrently(2, func(i int) {
		var err error
		if i == 0 {
			_, err = s.claim(bob, claim)
		} else {
			_, err = s.Create(t.Context(), ada, gift.Order{Credits: of(1), RiddleQuestion: "?", RiddleAnswer: "yes"})
		}
		if !errors.Is(err, gift.ErrBusy) {
			t.Errorf("waited: %v", err)
		}
	})
	release()
	s.take(bob, claim)
}
