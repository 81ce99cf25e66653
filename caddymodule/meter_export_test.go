package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
)

// Provisioned readies the meter without an app.
func (m *Meter) Provisioned(ledger *creditcore.Service, origins authcore.Origins, log *zap.Logger) *Meter {
	m.runtime = func(context.Context) (meterRuntime, error) { return meterRuntime{ledger, origins}, nil }
	m.logger, m.log = log, log
	m.base, m.origins = new(url.URL), origins
	m.resolve()
	return m
}

// Unready readies the meter on an app that never starts.
func (m *Meter) Unready(err error) *Meter {
	m.runtime = func(context.Context) (meterRuntime, error) { return meterRuntime{}, err }
	m.logger, m.log, m.base = zap.NewNop(), zap.NewNop(), new(url.URL)
	m.resolve()
	return m
}

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
func Waits(ledger *creditcore.Service) bool { return ledger.Owes() || late.waits(ledger) }

// Tests do not wait long for late charges.
func init() { late.first, late.last = 20*time.Millisecond, 100*time.Millisecond }
