package coupon_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/internal/pgtest"
)

// trials gives every new account 100 credits for two weeks, two of a domain.
func trials(c *coupon.Config) {
	c.Trial = &coupon.Trial{Credits: creditcore.Credits(100), Life: 14 * 24 * time.Hour, DomainLimit: 2}
}

// register makes a user with an address that is not proven, and promises the trial.
func (s *counter) register(id, address string) string {
	s.t.Helper()
	s.exec(`INSERT INTO auth.users (id, name, email) VALUES ($1, '', $2)`, id, address)
	if err := s.inTx(func(ctx context.Context, tx pgx.Tx) error { return s.PromiseTx(ctx, tx, id) }); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *counter) verify(id string) {
	s.t.Helper()
	s.exec(`UPDATE auth.users SET email_verified = true WHERE id = $1`, id)
}

// wantTrial proves the address and gives the trial.
func (s *counter) wantTrial(id string, credits int64) {
	s.t.Helper()
	s.verify(id)
	if given, err := s.GiveTrial(s.t.Context(), id); err != nil || given != creditcore.Credits(credits) {
		s.t.Errorf("%s is given %s, want %d, %v", id, given, credits, err)
	}
	s.wantBalance(id, credits)
}

func TestTrial(t *testing.T) {
	t.Parallel()
	s := newCounter(t, trials)
	ada := s.register("ada", "ada@mail.test")
	if given, err := s.GiveTrial(t.Context(), ada); err != nil || given != 0 {
		t.Errorf("without proof: %s, %v", given, err)
	}
	s.wantTrial(ada, 100)
	for range 2 {
		if given, err := s.GiveTrial(t.Context(), ada); err != nil || given != 0 {
			t.Errorf("again: %s, %v", given, err)
		}
	}
	lots, err := s.ledger.Lots(t.Context(), creditcore.Caller{UserID: ada})
	if err != nil || len(lots) != 1 || lots[0].Source != creditcore.SourcePromotion || lots[0].ExpiresAt == nil || lots[0].ExpiresAt.Sub(s.now()) > 14*24*time.Hour {
		t.Errorf("lots %+v, %v", lots, err)
	}

	// Who was there before gets none, whatever becomes of their address.
	old := s.user("old", "old@mail.test")
	if given, err := s.GiveTrial(t.Context(), old); err != nil || given != 0 {
		t.Errorf("an old account: %s, %v", given, err)
	}
	if s.told("trial given") != 1 {
		t.Error("the observer was not told")
	}
}

func TestTrialOncePerPersonAndDomain(t *testing.T) {
	t.Parallel()
	s := newCounter(t, trials)
	ada := s.register("ada", "ada@mail.test")
	s.wantTrial(ada, 100)
	s.wantTrial(s.register("ada2", "ada+b@mail.test"), 0)
	s.erase(ada)
	s.wantTrial(s.register("ada3", "ada@mail.test"), 0)

	s.wantTrial(s.register("a", "a@firm.test"), 100)
	s.wantTrial(s.register("b", "b@x.firm.test"), 100)
	s.wantTrial(s.register("c", "c@firm.test"), 0)
	if got := s.text(`SELECT string_agg(user_id || ' ' || reason, ', ' ORDER BY user_id) FROM credits.trials WHERE state = 'refused'`); got != "ada2 person, ada3 person, c domain" {
		t.Errorf("refused: %s", got)
	}
	if s.told("trial refused") != 3 {
		t.Errorf("the observer was told of %d", s.told("trial refused"))
	}
}

// Accounts of one person at once, at two edges.
func TestConcurrentTrials(t *testing.T) {
	t.Parallel()
	s := newCounter(t, trials)
	other := openCounter(t, s.db, sealer("first"), trials)
	var list []string
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		list = append(list, s.register(id, "ada+"+id+"@mail.test"), s.register(id+"-2", id+"@firm.test"))
	}
	for _, id := range list {
		s.verify(id)
	}
	concurrently(4*len(list), func(i int) {
		edge := s
		if i%2 == 0 {
			edge = other
		}
		if _, err := edge.GiveTrial(t.Context(), list[i/4]); err != nil {
			t.Error(err)
		}
	})
	if n := s.text(`SELECT count(*) FILTER (WHERE u.email LIKE '%mail.test') || ' and ' || count(*) FILTER (WHERE u.email LIKE '%firm.test')
		FROM credits.trials AS t JOIN auth.users AS u ON u.id = t.user_id WHERE t.state = 'given'`); n != "1 and 2" {
		t.Errorf("given to %s", n)
	}
	if n := s.text(`SELECT count(*) FROM credits.trials WHERE state = 'waiting'`); n != "0" {
		t.Errorf("%s wait", n)
	}
}

// What was interrupted is given later, by the terms of the registration; what is not
// proven for long is forgotten.
func TestTrialsAreSwept(t *testing.T) {
	t.Parallel()
	s := newCounter(t, trials)
	ada, bob, eve := s.register("ada", "ada@mail.test"), s.register("bob", "bob@mail.test"), s.register("eve", "eve@mail.test")
	s.verify(ada)
	s.erase(eve)
	if n := s.text(`SELECT count(*) FROM credits.trials WHERE user_id = 'eve'`); n != "0" {
		t.Error("the trial of a deleted account waits")
	}
	keyless := openCounter(t, s.db, nil, trials)
	if given, err := keyless.GiveTrial(t.Context(), ada); err != nil || given != 0 {
		t.Errorf("without a key: %s, %v", given, err)
	}
	later := openCounter(t, s.db, sealer("first")) // the option is gone
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- later.Run(ctx) }()
	wait(t, func() bool { return s.text(`SELECT state FROM credits.trials WHERE user_id = 'ada'`) == "given" })
	s.wantBalance(ada, 100)
	s.wantBalance(bob, 0)
	later.pass(91 * 24 * time.Hour)
	wait(t, func() bool { return s.text(`SELECT count(*) FROM credits.trials WHERE user_id = 'bob'`) == "0" })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A trial that cannot be recorded waits.
func TestUnrecordedTrial(t *testing.T) {
	t.Parallel()
	s := newCounter(t, trials)
	ada, broken := s.register("ada", "ada@mail.test"), errors.New("broken")
	s.verify(ada)
	edge := coupon.New(coupon.Config{}, coupon.Deps{
		Pool: s.db.Pool, Ledger: s.ledger, Sealer: sealer("first"),
		TrialTx: func(context.Context, pgx.Tx, string, creditcore.Amount) error { return broken },
	})
	if given, err := edge.GiveTrial(t.Context(), ada); !errors.Is(err, broken) || given != 0 {
		t.Errorf("given %s, %v", given, err)
	}
	s.wantTrial(ada, 100)
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// An account that cannot be given its trial holds up nobody else's.
func TestOneTrialHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := openCounter(t, pgtest.New(t), sealer("first"), trials)
	all := []string{s.register("stuck", "stuck@mail.test"), s.register("ada", "ada@mail.test"), s.register("bob", "bob@mail.test")}
	for _, id := range all {
		s.verify(id)
	}
	s.exec(`INSERT INTO credits.balances (user_id, balance, total_earned) VALUES ('stuck', 9223372036854775807, 9223372036854775807)
		ON CONFLICT (user_id) DO UPDATE SET balance = excluded.balance, total_earned = excluded.total_earned`) // no credit fits
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("the round: %v", err)
	}
	for id, want := range map[string]string{"stuck": "waiting", "ada": "given", "bob": "given"} {
		if got := s.text(`SELECT state FROM credits.trials WHERE user_id = $1`, id); got != want {
			t.Errorf("the trial of %s is %s", id, got)
		}
	}
}
