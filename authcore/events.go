package authcore

import (
	"context"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
)

// record writes an event that stands alone. Losing it must not change the
// answer, so a failure is logged.
func (s *Service) record(ctx context.Context, e audit.Event) {
	if err := audit.Record(ctx, s.db, e); err != nil {
		s.log.Warn("a security event was not recorded", "event", e.Type, "error", err)
	}
}

// Events lists security events, the newest first.
func (s *Service) Events(ctx context.Context, _ principal.Operator, q audit.Query) ([]audit.Entry, error) {
	return audit.List(ctx, s.db, q)
}

// OwnEvents lists what happened to the caller's account, the newest first.
func (s *Service) OwnEvents(ctx context.Context, c principal.Caller, q audit.Query) ([]audit.Entry, error) {
	q.UserID = c.UserID
	return audit.List(ctx, s.db, q)
}
