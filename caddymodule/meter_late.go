package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"mana.how/edge/creditcore"
)

// lateSettlements charge holds whose response has left while the database was
// away. They live in the process: what a crash forgets is given back when the
// hold expires.
type lateSettlements struct {
	places chan struct{} // bounds how many wait
	first  time.Duration // until the second try; each wait doubles
	last   time.Duration
	limit  time.Duration // a try after that is the last
}

// late are the settlements of this process. A runtime stays open for at least
// as long as they try.
var late = &lateSettlements{
	places: make(chan struct{}, 10_000), first: time.Second, last: 15 * time.Second, limit: longestRequest - time.Minute,
}

func (l *lateSettlements) add(ledger *creditcore.Service, holdID string, cost creditcore.Amount, note json.RawMessage) {
	log := processLogger().With("hold", holdID, "credits", cost.String())
	select {
	case l.places <- struct{}{}:
	default:
		lateSettled.WithLabelValues("given_up").Inc()
		log.Error("too many charges wait for the database, one is given up")
		return
	}
	log.Warn("a charge waits for the database")
	go func() {
		defer func() { <-l.places }()
		if err := l.settle(ledger, holdID, cost, note); err != nil {
			lateSettled.WithLabelValues("given_up").Inc()
			log.Error("a charge is given up", "error", err)
			return
		}
		lateSettled.WithLabelValues("settled").Inc()
	}()
}

func (l *lateSettlements) settle(ledger *creditcore.Service, holdID string, cost creditcore.Amount, note json.RawMessage) error {
	end := time.Now().Add(l.limit)
	for wait := l.first; ; wait = min(2*wait, l.last) {
		time.Sleep(wait)
		ctx, cancel := context.WithTimeout(context.Background(), ledgerWait)
		_, err := ledger.Settle(ctx, holdID, cost, note)
		cancel()
		if !errors.Is(err, creditcore.ErrUnavailable) || time.Now().After(end) {
			return err
		}
	}
}
