package gift_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/pgtest"
)

// Without a database everything says so, and nothing hangs or ends the job.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.New(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	s := gift.New(gift.Config{ExpireEvery: time.Millisecond}, gift.Deps{
		Pool: pool, Ledger: creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: pool}),
	})
	ada := creditcore.Caller{UserID: "ada", Email: "ada@example.com"}
	_, create := s.Create(t.Context(), ada, gift.Order{Credits: of(1)})
	_, redeem := s.Redeem(t.Context(), ada, gift.Claim{Code: "ABCDEF"})
	_, answer := s.Redeem(t.Context(), ada, gift.Claim{Code: "ABCDEF", Answer: "x"})
	_, cancel := s.Cancel(t.Context(), ada, "id")
	_, lookup := s.Lookup(t.Context(), ada, "ABCDEF")
	_, created := s.Created(t.Context(), ada)
	_, received := s.Received(t.Context(), ada)
	for name, err := range map[string]error{
		"create": create, "redeem": redeem, "answer": answer, "cancel": cancel, "lookup": lookup, "created": created, "received": received,
	} {
		if !errors.Is(err, creditcore.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.AutoRedeem(t.Context(), "ada", "ada@example.com"); n != 0 {
		t.Errorf("%d gifts", n)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := s.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the job ended: %v", err)
	}
}
