package creditcore

import (
	"context"
	"sync"
	"time"

	"mana.how/edge/internal/dbscope"
)

// maxReads bounds the accounts of one reading.
const maxReads = 256

// reader reads the balances that are asked for while others are read in one
// statement. A reading begins after each of its questions was asked, so that
// nobody gets an answer that is older than the question.
type reader struct {
	read func([]string) (map[string]standing, error)

	mu      sync.Mutex
	waiting []*question
	lanes   lanes
}

// question is one user's balance. Its answer is found under that user's id, so
// that no two can be mixed up.
type question struct {
	userID string
	done   chan struct{} // closed when the rest is set
	answer standing
	err    error
}

// standing is an account with whether something of it is due to expire.
type standing struct {
	UserID string
	Due    bool
	account
}

func newReader(read func([]string) (map[string]standing, error)) *reader { return &reader{read: read} }

// do reads one account with others. It fails with [ErrAccountNotFound].
func (r *reader) do(ctx context.Context, userID string) (standing, error) {
	q := &question{userID: userID, done: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, q)
	r.start()
	r.mu.Unlock()
	select {
	case <-q.done:
		return q.answer, q.err
	case <-ctx.Done():
		return standing{}, ctx.Err()
	}
}

// start begins to read if somebody waits and a lane is free. r.mu is held.
func (r *reader) start() {
	if len(r.waiting) > 0 && r.lanes.enter() {
		go r.work()
	}
}

// work reads as long as somebody waits and the lane is needed.
func (r *reader) work() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.lanes.leave(len(r.waiting) == 0) {
		n := min(len(r.waiting), maxReads)
		batch := r.waiting[:n:n]
		r.waiting = r.waiting[n:]
		slow := time.AfterFunc(slowLane, r.slow)
		r.mu.Unlock()
		r.answer(batch)
		r.mu.Lock()
		if !slow.Stop() {
			r.lanes.slow--
		}
	}
}

// slow notes that a reading is slow; others need not wait for it.
func (r *reader) slow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lanes.slow++
	r.start()
}

func (r *reader) answer(batch []*question) {
	asked := make(map[string]bool, len(batch))
	users := make([]string, 0, len(batch))
	for _, q := range batch {
		if !asked[q.userID] {
			asked[q.userID] = true
			users = append(users, q.userID)
		}
	}
	found, err := r.read(users)
	for _, q := range batch {
		var ok bool
		if q.answer, ok = found[q.userID]; err != nil {
			q.err = err
		} else if !ok {
			q.err = ErrAccountNotFound
		}
		close(q.done)
	}
}

// readBalances reads the named accounts and no others. It acts as mana_system,
// for a user's own scope holds one user: each caller was found to be, or to act
// for, the user whose id stands in the list.
func (s *Service) readBalances(users []string) (map[string]standing, error) {
	list, err := dbscope.List[standing](context.Background(), s.db, dbscope.System(),
		`SELECT user_id, `+accountColumns+`,
		   coalesce(next_expiry <= now(), false) AS due
		 FROM credits.balances WHERE user_id = ANY ($1::text[])`, users)
	if err != nil {
		return nil, err
	}
	found := make(map[string]standing, len(list))
	for _, a := range list {
		found[a.UserID] = a
	}
	return found, nil
}
