package creditcore

import (
	"context"
	"sync"
	"time"

	"mana.how/edge/internal/dbscope"
)

// longestReservation bounds how long this process prolongs a hold that nobody
// resolves.
const longestReservation = 24 * time.Hour

// reservations are the open holds that this process answers for. It prolongs
// them: a hold's lifetime is there for processes that are gone, never for
// requests that are slow.
type reservations struct {
	mu   sync.Mutex
	open map[string]*reservation // by hold
}

type reservation struct {
	userID   string
	ttl      time.Duration
	attempts int       // of this process
	since    time.Time // the first of them
	due      time.Time // for the next prolongation
}

// opened notes that an attempt under a hold begins.
func (r *reservations) opened(holdID, userID string, ttl time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = make(map[string]*reservation)
	}
	h := r.open[holdID]
	if h == nil {
		now := time.Now()
		h = &reservation{userID: userID, ttl: ttl, since: now, due: now.Add(ttl / 3)}
		r.open[holdID] = h
	}
	h.attempts++
	h.ttl = max(h.ttl, ttl)
}

// resolved notes that an attempt has ended.
func (r *reservations) resolved(holdID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.open[holdID]; h != nil {
		if h.attempts--; h.attempts <= 0 {
			delete(r.open, holdID)
		}
	}
}

func (r *reservations) userOf(holdID string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.open[holdID]
	if !ok {
		return "", false
	}
	return h.userID, true
}

// due are the holds to prolong now.
func (r *reservations) due(now time.Time) (holds []string, ttls []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, h := range r.open {
		switch {
		case now.Sub(h.since) > longestReservation:
			delete(r.open, id)
		case !now.Before(h.due):
			holds, ttls = append(holds, id), append(ttls, h.ttl)
		}
	}
	return holds, ttls
}

// prolonged notes when those holds are due next.
func (r *reservations) prolonged(holds []string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range holds {
		if h := r.open[id]; h != nil {
			h.due = now.Add(h.ttl / 3)
		}
	}
}

// prolong gives the open holds of this process that are due their whole
// lifetime again.
func (s *Service) prolong(ctx context.Context) error {
	now := time.Now()
	holds, ttls := s.reservations.due(now)
	if len(holds) == 0 {
		return nil
	}
	_, err := s.db.Exec(ctx, dbscope.System(),
		`UPDATE credits.holds AS h
		 SET expires_at = greatest(h.expires_at, clock_timestamp() + p.ttl)
		 FROM unnest($1::text[], $2::interval[]) AS p (id, ttl)
		 WHERE h.id = p.id AND h.state = 'open'`, holds, ttls)
	if err == nil {
		s.reservations.prolonged(holds, now)
	}
	return err
}
