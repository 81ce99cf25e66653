package creditcore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
)

// A charge is the check: either the account has the credits and they are taken,
// or nothing happens. The same key charges once, however often it comes.
func ExampleService_Debit() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://mana@db.example.com/mana")
	if err != nil {
		panic(err)
	}
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: pool})
	receipt, err := ledger.Debit(ctx, creditcore.Debit{
		UserID: "ada", Amount: 5 * creditcore.Credit, AppID: "chat", Operation: "chat.generate", Key: "one request of a client",
	})
	var short *creditcore.InsufficientError
	switch {
	case errors.As(err, &short):
		fmt.Println("missing:", short.Required-short.Available)
	case err != nil:
		fmt.Println("nothing was charged, or ask again with the key:", err)
	default:
		fmt.Println("left:", receipt.Balance.Available)
	}
}

// A hold reserves the most that something may cost; what it came to is charged
// when that is known.
func ExampleService_Hold() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://mana@db.example.com/mana")
	if err != nil {
		panic(err)
	}
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: pool})
	held, err := ledger.Hold(ctx, creditcore.Hold{UserID: "ada", Amount: 20 * creditcore.Credit, AppID: "images"})
	if err != nil {
		panic(err)
	}
	cost, failed := 12*creditcore.Credit, false
	if failed {
		_, err = ledger.Release(ctx, held.ID)
	} else {
		_, err = ledger.Settle(ctx, held.ID, cost, nil)
	}
	if err != nil {
		panic(err)
	}
}
