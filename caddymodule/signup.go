package caddymodule

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/gift"
)

const (
	// giftWait bounds how long a registration waits for gifts to arrive.
	giftWait = 5 * time.Second
	// cancelWait bounds the end of a subscription.
	cancelWait = time.Minute
)

// accounts composes what happens in both cores when an account begins or ends.
type accounts struct {
	ledger *creditcore.Service
	gifts  *gift.Service
	sales  *billing.Service
	log    *slog.Logger
	// later runs work in the background; ctx ends with the process.
	later func(work func(ctx context.Context))
}

func (a accounts) hooks() authcore.Hooks {
	return authcore.Hooks{RegisterTx: a.open, Registered: a.welcome, Deleted: a.close}
}

// open gives a new user a balance, in the transaction that makes him.
func (a accounts) open(ctx context.Context, tx pgx.Tx, u authcore.User) error {
	return a.ledger.OpenTx(ctx, tx, u.ID)
}

// welcome redeems the gifts that are meant for the new user's address. Whatever
// becomes of them, the registration stands. Addresses count as verified here:
// email_verification is optional in this version.
func (a accounts) welcome(ctx context.Context, u authcore.User) {
	ctx, cancel := context.WithTimeout(ctx, giftWait)
	defer cancel()
	if n := a.gifts.AutoRedeem(ctx, u.ID, u.Email); n > 0 {
		a.log.Info("redeemed the gifts of a new user", "user", u.ID, "gifts", n)
	}
}

// close ends the subscriptions of a user who has left, in the background: an
// account is deleted also while Stripe is away. His ledger stays. What fails
// here is made up for by the rounds of billing.
func (a accounts) close(_ context.Context, userID string) {
	a.later(func(process context.Context) {
		ctx, cancel := context.WithTimeout(process, cancelWait)
		defer cancel()
		if err := a.sales.CancelForUser(ctx, userID); err != nil && process.Err() == nil {
			a.log.Warn("end the subscriptions of a deleted account; it is tried again", "user", userID, "error", err)
		}
	})
}
