package meter

import (
	"context"
	"net/http"

	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

var CostOf = costOf

// WithCaller is the context behind a gate that found the user.
func WithCaller(ctx context.Context, userID string) context.Context {
	return &request.Auth{Context: ctx, Principal: request.Principal{Kind: request.User, UserID: userID}}
}

// MeterBody makes the request's body mark itself, and returns its mark.
func MeterBody(r *http.Request) (mark func() BodyMark) {
	b := meterBody(r)
	return func() BodyMark { return BodyMark(b.mark()) }
}

// BodyMark is a mark outside.
type BodyMark bodyMark

func (m BodyMark) Contradicts(o BodyMark) bool { return bodyMark(m).contradicts(bodyMark(o)) }
func (m BodyMark) Extends(o BodyMark) bool     { return bodyMark(m).extends(bodyMark(o)) }

var (
	WithoutBoundary = withoutBoundary
	Boundary        = boundaryOf
)

// Amount is the price as the meter reads it.
func (p Price) Amount() (creditcore.Amount, error) { return p.amount() }

// Waits reports whether charges or refunds of the ledger wait for its database.
func Waits(ledger *creditcore.Service) bool { return ledger.Owes() }
