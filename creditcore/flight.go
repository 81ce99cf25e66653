package creditcore

import (
	"context"
	"sync"

	"mana.how/edge/internal/dbscope"
)

// idleBeats is how many words are left out where nothing changes.
const idleBeats = 3

// flights are the charges of this process whose request has no answer yet.
//
// Each is noted here before it is made. Once a second the process writes which
// of them are open, and a horizon: whatever it charged before that and is not
// open is finished. So what a process that is gone had in flight is, at most,
// what it named last and what it charged after the horizon. Ids order by time,
// so that the horizon is one.
//
// A process that was only silent, stopped for instance, learns at its next word
// that it was taken for gone. What of its charges was answered, and given back
// meanwhile, it takes again ([Service.takeAgain]).
type flights struct {
	mu       sync.Mutex
	edge     string           // the name of this process, empty until it is known to the others
	open     map[string]Entry // by id
	answered map[string]Entry // since the last word
	lost     map[string]bool  // open when the process was taken for gone
	changed  bool             // since the last word
	idle     int              // words left out
	enrol    sync.Mutex       // held by who makes the process known
	speak    sync.Mutex       // held by who says a word
}

// takeOff names a charge and notes it as in flight.
func (s *Service) takeOff(ctx context.Context, it *item) error {
	if err := s.enrol(ctx); err != nil {
		return err
	}
	f := &s.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	it.ID, it.Edge = newID(), f.edge // under the lock: no horizon is younger and leaves it out
	f.open[it.ID] = Entry{ID: it.ID, UserID: it.UserID, Amount: -it.Amount, AppID: it.AppID, Description: it.Description, Operation: it.Operation, Metadata: it.Metadata, APIKey: dbscope.NullText(it.APIKey), SpentBy: dbscope.NullText(it.Spender)}
	f.changed = true
	return nil
}

// landed takes a charge out of flight. It reports whether that charge may have
// been given back by others, who took this process for gone.
func (f *flights) landed(id string, answered bool) (Entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.open[id]
	if !ok {
		return e, false
	}
	delete(f.open, id)
	f.changed = true
	lost := f.lost[id]
	delete(f.lost, id)
	if answered && !lost {
		f.answered[id] = e
	}
	return e, lost
}

// word is what a process says of itself.
type word struct {
	edge    string
	horizon string
	open    []string
	covers  map[string]Entry // answered before it
}

// next is the next word, if one is due.
func (f *flights) next() (word, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.edge == "" {
		return word{}, false
	}
	if !f.changed && len(f.open) == 0 && f.idle < idleBeats {
		f.idle++
		return word{}, false
	}
	w := word{edge: f.edge, horizon: newID(), open: make([]string, 0, len(f.open)), covers: f.answered}
	for id := range f.open {
		w.open = append(w.open, id)
	}
	f.answered, f.changed, f.idle = make(map[string]Entry), false, 0
	return w, true
}

// unheard takes back a word.
func (f *flights) unheard(w word) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, e := range w.covers {
		f.answered[id] = e
	}
	f.changed = true
}

// buried notes that the process was taken for gone: it has no name any more,
// and all that was in flight then may have been given back.
func (f *flights) buried(w word) (answered []Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.open {
		f.lost[id] = true
	}
	for _, e := range w.covers {
		answered = append(answered, e)
	}
	for _, e := range f.answered {
		answered = append(answered, e)
	}
	f.edge, f.answered = "", make(map[string]Entry)
	return answered
}

// Begun says that the response to what a charge in flight paid for has begun:
// from now on it stands. Where others took this process for gone and gave it
// back, it is taken again, as far as the account has it: now, or once this
// process learns of it.
func (s *Service) Begun(ctx context.Context, r Receipt) error {
	e, lost := s.flights.landed(r.Entry.ID, true)
	if !lost {
		return nil
	}
	return s.takeAgain(ctx, e)
}
