package gift

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

// page bounds the gifts that are read at once.
const page = 100

// Run gives gifts whose time is over back to their creators, at once and then
// every [Config.ExpireEvery], until ctx ends. Any number of edges may run it.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.ExpireEvery)
	defer tick.Stop()
	for {
		s.expireDue(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

type due struct{ ID string }

// expireDue expires every gift whose time is over. One that fails is left for
// the next round and keeps no other from its turn.
func (s *Service) expireDue(ctx context.Context) {
	last := ""
	for ctx.Err() == nil {
		list, err := dbscope.List[due](ctx, s.db, system(),
			`SELECT g.id FROM gifts.gift_codes AS g
			 WHERE g.status = 'active' AND g.expires_at <= $1 AND g.id > $2
			 ORDER BY g.id
			 LIMIT $3`, s.now(), last, page)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("look for expired gifts", "error", err)
		}
		for _, g := range list {
			s.expire(ctx, g.ID)
			last = g.ID
		}
		if len(list) < page {
			return
		}
	}
}

// expire ends a gift if its time is over.
func (s *Service) expire(ctx context.Context, id string) {
	expired := false
	err := s.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		g, err := lockTx(ctx, tx, "id", id)
		now := s.now()
		if err != nil || !g.overdue(now) {
			return err
		}
		expired = true
		_, err = s.returnTx(ctx, tx, g, StatusExpired, now)
		return err
	})
	switch {
	case err != nil && ctx.Err() == nil:
		s.log.Warn("expire a gift; it is tried again", "gift", id, "error", err)
	case err == nil && expired:
		s.saw("expired")
	}
}

// touch tells the true status of a gift, and gives it back if its time is over.
func (s *Service) touch(ctx context.Context, g *Gift) {
	if g.overdue(s.now()) {
		s.expire(ctx, g.ID)
		g.Status = StatusExpired
	}
}
