package creditcore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// enrol makes this process known to the others before it charges for a request
// that has no answer yet.
func (s *Service) enrol(ctx context.Context) error {
	f := &s.flights
	f.mu.Lock()
	known := f.edge != ""
	f.mu.Unlock()
	if known {
		return nil
	}
	f.enrol.Lock()
	defer f.enrol.Unlock()
	f.mu.Lock()
	known = f.edge != ""
	f.mu.Unlock()
	if known {
		return nil
	}
	name := newID()
	_, err := s.db.Exec(ctx, dbscope.System(), `INSERT INTO credits.edges (id, horizon) VALUES ($1, $1)`, name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edge = name
	return nil
}

// beat says what this process has in flight.
func (s *Service) beat(ctx context.Context) error {
	s.flights.speak.Lock()
	defer s.flights.speak.Unlock()
	w, due := s.flights.next()
	if !due {
		return nil
	}
	n, err := s.db.Exec(ctx, dbscope.System(),
		`UPDATE credits.edges SET seen_at = clock_timestamp(), horizon = $2, open = $3 WHERE id = $1`, w.edge, w.horizon, w.open)
	switch {
	case err != nil:
		s.flights.unheard(w)
		return err
	case n == 1:
		return nil
	}
	answered := s.flights.buried(w)
	s.log.Warn("this process was silent for so long that others gave back what it had in flight", "edge", w.edge)
	for _, e := range answered {
		err = errors.Join(err, s.takeAgain(ctx, e))
	}
	return err
}

// leave takes this process off the list, unless it still has something in
// flight, which is then given back by the others.
func (s *Service) leave(ctx context.Context) {
	s.flights.mu.Lock()
	edge, open := s.flights.edge, len(s.flights.open)
	s.flights.mu.Unlock()
	if edge == "" || open > 0 {
		return
	}
	if _, err := s.db.Exec(ctx, dbscope.System(), `DELETE FROM credits.edges WHERE id = $1`, edge); err != nil {
		s.log.Warn("take this process off the list of edges", "error", err)
		return
	}
	s.flights.mu.Lock()
	defer s.flights.mu.Unlock()
	s.flights.edge = ""
}

// peer is another process, or this one, by its last word.
type peer struct {
	ID     string
	SeenAt time.Time
	Silent bool
}

// watch finds the processes that are gone and gives back what they had in
// flight. A process is gone that said nothing from one look to the next, if
// both saw the database: after an outage all are given time to speak.
// before is what the look before this one saw.
func (s *Service) watch(ctx context.Context, before map[string]time.Time) map[string]time.Time {
	peers, err := dbscope.List[peer](ctx, s.db, dbscope.System(),
		`SELECT id, seen_at, seen_at < clock_timestamp() - $1::interval AS silent FROM credits.edges`, s.cfg.GoneAfter)
	if err != nil {
		s.log.Warn("look at the other edges", "error", err)
		return nil
	}
	seen := make(map[string]time.Time, len(peers))
	for _, p := range peers {
		seen[p.ID] = p.SeenAt
		if last, known := before[p.ID]; p.Silent && known && last.Equal(p.SeenAt) {
			s.bury(ctx, p)
		}
	}
	return seen
}

// bury gives back what a process that is gone had in flight, and forgets it
// once all is given back.
func (s *Service) bury(ctx context.Context, p peer) {
	charges, err := dbscope.List[Entry](ctx, s.db, dbscope.System(),
		`SELECT `+entryColumns+`
		 FROM credits.edges AS e
		 JOIN credits.transactions AS t ON t.edge = e.id AND (t.id > e.horizon OR t.id = ANY (e.open))
		 WHERE e.id = $1 AND e.seen_at = $2 AND t.amount < 0`, p.ID, p.SeenAt)
	for _, e := range charges {
		if _, again := s.compensate(ctx, e); again != nil && !errors.Is(again, ErrRefundExceeds) {
			err = errors.Join(err, again)
		}
	}
	if err == nil {
		_, err = s.db.Exec(ctx, dbscope.System(), `DELETE FROM credits.edges WHERE id = $1 AND seen_at = $2`, p.ID, p.SeenAt)
	}
	if err != nil {
		s.log.Warn("give back what an edge had in flight", "edge", p.ID, "error", err)
		return
	}
	s.log.Warn("an edge is gone: what it had in flight is given back", "edge", p.ID, "charges", len(charges))
}

// takeAgain charges again for what was answered and given back, as far as the
// account has it. The ledger row says what was short.
func (s *Service) takeAgain(ctx context.Context, e Entry) error {
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		a, err := s.lockTx(ctx, tx, e.UserID)
		if err != nil {
			return err
		}
		again := "again:" + e.ID
		if _, done, err := s.replayTx(ctx, tx, a, "", "", again, nil); done || err != nil {
			return err
		}
		if _, back, err := s.replayTx(ctx, tx, a, "", "", compensationKey(e.ID), nil); !back || err != nil {
			return err
		}
		amount := min(-e.Amount, a.Balance-a.Held)
		if amount <= 0 {
			s.log.Warn("a charge that was given back cannot be taken again", "transaction", e.ID, "user", e.UserID)
			return nil
		}
		_, err = s.postTx(ctx, tx, &a, posting{
			Type: Usage, Spent: amount, Unburnt: amount, AppID: e.AppID, Operation: e.Operation, Description: e.Description,
			Metadata: e.Metadata, InternalKey: again, APIKey: textOf(e.APIKey), SpentBy: textOf(e.SpentBy),
		})
		return err
	})
}
