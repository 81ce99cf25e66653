package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"mana.how/edge/creditcore"
)

// lateSettlements charge holds whose response has left while the database was
// away. They live in the process: what a crash forgets is given back when the
// hold expires.
type lateSettlements struct {
	most  int           // bounds how many wait
	first time.Duration // until the second try; each wait doubles
	last  time.Duration
	limit time.Duration // a try after that is the last

	mu      sync.Mutex
	waiting map[*creditcore.Service]int
}

// late are the settlements of this process. A runtime stays open while any of
// its own wait.
var late = &lateSettlements{most: 10_000, first: time.Second, last: 15 * time.Second, limit: longestRequest - time.Minute}

// waits reports whether any settlement of that ledger waits.
func (l *lateSettlements) waits(ledger *creditcore.Service) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[ledger] > 0
}

// enter counts a settlement in, unless too many wait.
func (l *lateSettlements) enter(ledger *creditcore.Service) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for _, n := range l.waiting {
		total += n
	}
	if total >= l.most {
		return false
	}
	if l.waiting == nil {
		l.waiting = make(map[*creditcore.Service]int)
	}
	l.waiting[ledger]++
	return true
}

func (l *lateSettlements) leave(ledger *creditcore.Service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[ledger]--; l.waiting[ledger] == 0 {
		delete(l.waiting, ledger)
	}
}

// add has settle called until it succeeds or fails for good. name says for the
// log what is settled.
func (l *lateSettlements) add(ledger *creditcore.Service, name string, cost creditcore.Amount, settle func(context.Context) error) {
	log := processLogger().With("charge", name, "credits", cost.String())
	if !l.enter(ledger) {
		lateSettled.WithLabelValues("given_up").Inc()
		log.Error("too many charges wait for the database, one is given up")
		return
	}
	log.Warn("a charge waits for the database")
	go func() {
		defer l.leave(ledger)
		if err := l.try(settle); err != nil {
			lateSettled.WithLabelValues("given_up").Inc()
			log.Error("a charge is given up", "error", err)
			return
		}
		lateSettled.WithLabelValues("settled").Inc()
	}()
}

// try tells only of what the ledger has decided that it is in vain. Any other
// error may pass: a charge is not given away for one that nobody knew of.
func (l *lateSettlements) try(settle func(context.Context) error) error {
	end := time.Now().Add(l.limit)
	for wait := l.first; ; wait = min(2*wait, l.last) {
		time.Sleep(wait)
		ctx, cancel := context.WithTimeout(context.Background(), ledgerWait)
		err := settle(ctx)
		cancel()
		var short *creditcore.InsufficientError
		if err == nil || errors.Is(err, creditcore.ErrHoldNotFound) || errors.Is(err, creditcore.ErrInvalid) ||
			errors.As(err, &short) || time.Now().After(end) {
			return err
		}
	}
}
