package creditcore

import (
	"context"
	"time"

	"mana.how/edge/internal/dbscope"
)

const (
	// recallWait bounds the wait for others to give leases back, recallLook is how
	// often they are looked at. It is many times what a flush takes.
	recallWait = 1500 * time.Millisecond
	recallLook = 5 * time.Millisecond
	// maxRecalls bounds how often one change has leases recalled.
	maxRecalls = 2
)

// Recall has what is spare of the leases of an account given back, by this process and
// by others, and waits for it. It reports whether there was any: whoever was told that
// the account has too little asks again then. For a second after, the account is
// charged at once.
func (s *Service) Recall(ctx context.Context, account string) bool {
	recalled, _, _ := s.leases.recalls.Do(account, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallWait)
		defer cancel()
		own := s.recallOwn(ctx, account)
		others, err := s.recallOthers(ctx, account)
		if err != nil {
			s.log.Warn("recall the leases of an account", "user", account, "error", err)
		}
		return own || others, nil
	})
	return recalled == true
}

// recallOwn gives back what this process has.
func (s *Service) recallOwn(ctx context.Context, account string) bool {
	l := &s.leases
	l.mu.Lock()
	t := l.accounts[account]
	had := t != nil && (t.flushing || t.spare > 0)
	if had {
		t.closing, t.paused = true, time.Now().Add(leasePause)
	}
	l.mu.Unlock()
	return had && s.flushAccount(ctx, account) == nil
}

// recallOthers asks for what others have, and waits until they have given it back. The
// leases of processes that are gone are given back here once their time is over.
func (s *Service) recallOthers(ctx context.Context, account string) (bool, error) {
	own := ""
	s.leases.mu.Lock()
	if t := s.leases.accounts[account]; t != nil {
		own = t.id
	}
	s.leases.mu.Unlock()
	asked, err := s.db.Exec(ctx, dbscope.System(),
		`UPDATE credits.holds AS h SET recalled = true
		 WHERE h.user_id = $1 AND h.state = 'open' AND h.lease AND h.id <> $2`, account, own)
	if err != nil || asked == 0 {
		return false, err
	}
	type remaining struct{ Open, Over int64 }
	left := remaining{Open: asked}
	for {
		left, err = dbscope.One[remaining](ctx, s.db, dbscope.System(),
			`SELECT count(*) AS open, count(*) FILTER (WHERE h.expires_at <= clock_timestamp()) AS over
			 FROM credits.holds AS h
			 WHERE h.user_id = $1 AND h.state = 'open' AND h.recalled`, account)
		switch {
		case err != nil:
			return false, err
		case left.Open == 0:
			return true, nil
		case left.Over > 0:
			s.reap(ctx)
		}
		select {
		case <-ctx.Done():
			return left.Open < asked, nil // the others are gone
		case <-time.After(recallLook):
		}
	}
}

// heedRecalls looks which leases of this process others need.
func (s *Service) heedRecalls(ctx context.Context) error {
	l := &s.leases
	byID := make(map[string]*lease)
	l.mu.Lock()
	for _, t := range l.accounts {
		if t.id != "" {
			byID[t.id] = t
		}
	}
	l.mu.Unlock()
	if len(byID) == 0 {
		return nil
	}
	recalled, err := dbscope.Texts(ctx, s.db, dbscope.System(), `SELECT h.id AS text FROM credits.holds AS h WHERE h.recalled AND h.state = 'open'`)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range recalled {
		if t := byID[id]; t != nil && t.id == id {
			t.closing, t.paused = true, time.Now().Add(leasePause)
		}
	}
	return nil
}
