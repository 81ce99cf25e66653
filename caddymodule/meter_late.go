package caddymodule

import (
	"context"
	"encoding/json"
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

// waits tells whether any settlement of that ledger waits.
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

func (l *lateSettlements) add(ledger *creditcore.Service, holdID string, cost creditcore.Amount, note json.RawMessage) {
	log := processLogger().With("hold", holdID, "credits", cost.String())
	if !l.enter(ledger) {
		lateSettled.WithLabelValues("given_up").Inc()
		log.Error("too many charges wait for the database, one is given up")
		return
	}
	log.Warn("a charge waits for the database")
	go func() {
		defer l.leave(ledger)
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
