package gift_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/pgtest"
)

func TestConcurrentRedeemers(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, crowd := s.user("ada", 100), s.users(40)
	g := s.give(ada, gift.Order{Credits: of(100), Portions: 10, Type: gift.FirstCome})
	var won atomic.Int64
	concurrently(len(crowd), func(i int) {
		switch r, err := s.claim(crowd[i], gift.Claim{Code: string(g.Code)}); {
		case err == nil && r.Credits == of(10):
			won.Add(1)
		case !errors.Is(err, gift.Depleted):
			t.Errorf("redeemer %d: %+v, %v", i, r, err)
		}
	})
	if won.Load() != 10 || s.attempts(g, "success") != "10" {
		t.Errorf("%d won", won.Load())
	}
	s.wantStatus(g, gift.StatusDepleted)
	s.wantBalance(ada, 0, 100, 100)
}

func TestOneUserAtOnce(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	ada, bob, eve := s.user("ada", 100), s.user("bob", 0), s.user("eve", 0)
	once := s.give(ada, gift.Order{Credits: of(10), Portions: 10})
	split := s.give(ada, gift.Order{Credits: of(10), Portions: 10, Type: gift.Split})
	concurrently(20, func(int) {
		if _, err := s.claim(bob, gift.Claim{Code: string(once.Code)}); err != nil && !errors.Is(err, gift.AlreadyClaimed) {
			t.Error(err)
		}
		if _, err := s.claim(eve, gift.Claim{Code: string(split.Code)}); err != nil && !errors.Is(err, gift.Depleted) {
			t.Error(err)
		}
	})
	s.wantBalance(bob, 1, 1, 0)
	s.wantBalance(eve, 10, 10, 0)
}

// TestCreationsOnASmallPool is the deadlock that the replaced service had.
func TestCreationsOnASmallPool(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	config, err := pgxpool.ParseConfig(db.DSN)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := openStall(t, db, pool)
	ada, crowd := s.user("ada", 100), s.users(30)
	for _, c := range crowd {
		if _, err := s.ledger.Grant(t.Context(), creditcore.Grant{UserID: c.UserID, Amount: of(5), Type: creditcore.Purchase, Source: creditcore.SourcePurchase}); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	concurrently(60, func(i int) {
		who := ada
		if i%2 == 0 {
			who = crowd[i/2]
		}
		if _, err := s.Create(t.Context(), who, gift.Order{Credits: of(2), Portions: 2, Key: fmt.Sprint(i)}); err != nil {
			t.Errorf("creation %d: %v", i, err)
		}
	})
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("60 creations took %v", took)
	}
	s.wantBalance(ada, 40, 100, 60)
}

// TestEverythingAtOnce mixes what locks gifts and accounts in every order, on
// few of both: nobody waits for ever, and the books add up.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := newStall(t)
	people := []creditcore.Caller{s.user("zoe", 500), s.user("ada", 500), s.user("bob", 500), s.user("eve", 500)}
	var mu sync.Mutex
	var gifts []gift.Made
	some := func(i int) (gift.Made, bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(gifts) == 0 {
			return gift.Made{}, false
		}
		return gifts[i%len(gifts)], true
	}
	ctx, stop := context.WithCancel(t.Context())
	var job sync.WaitGroup
	job.Go(func() { _ = s.Run(ctx) })
	concurrently(16, func(worker int) {
		for i := range 25 {
			n := worker*31 + i*17
			if n%23 == 0 {
				s.pass(10 * time.Minute)
			}
			who := people[n%len(people)]
			var err error
			switch g, ok := some(n / 3); {
			case n%4 == 0 || !ok:
				end := s.now().Add(time.Duration(20+n%300) * time.Minute)
				order := gift.Order{Credits: of(int64(3 + n%5)), Portions: 1 + n%3, Type: gift.Types[n%2*2], ExpiresAt: &end}
				var made gift.Made
				if made, err = s.Create(ctx, who, order); err == nil {
					mu.Lock()
					gifts = append(gifts, made)
					mu.Unlock()
				}
			case n%7 == 0:
				_, err = s.Cancel(ctx, creditcore.Caller{UserID: g.CreatorID}, g.ID)
			case n%5 == 0:
				_, err = s.ledger.Debit(ctx, creditcore.Debit{UserID: who.UserID, Amount: of(1), AppID: "app"})
			default:
				_, err = s.claim(who, gift.Claim{Code: string(g.Code)})
			}
			var refused gift.Refusal
			var short *creditcore.InsufficientError
			if err != nil && !errors.As(err, &refused) && !errors.As(err, &short) && !errors.Is(err, gift.ErrNotActive) {
				t.Errorf("worker %d, %d: %v", worker, i, err)
			}
		}
	})
	s.pass(6 * time.Hour)
	wait(t, func() bool { return s.text(`SELECT count(*) FROM gifts.gift_codes WHERE status = 'active'`) == "0" })
	stop()
	job.Wait()
	if s.told()["redeemed"] == 0 || s.told()["expired"] == 0 || s.told()["cancelled"] == 0 {
		t.Errorf("nothing is proven: %v", s.told())
	}
	// What was bought is what they have and what the app took.
	if sum := s.text(`SELECT sum(balance) + (SELECT coalesce(-sum(amount), 0) FROM credits.transactions WHERE type = 'usage') FROM credits.balances`); sum != "2000000" {
		t.Errorf("2000 credits became %s thousandths", sum)
	}
}
