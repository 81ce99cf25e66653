package creditcore

import "context"

// Prune is the job that deletes old holds.
func (s *Service) Prune(ctx context.Context) { s.prune(ctx) }

// Reap is the job that gives expired holds back.
func (s *Service) Reap(ctx context.Context) { s.reap(ctx) }

// Prolong is the job that prolongs the holds of this process, all that are due.
func (s *Service) Prolong(ctx context.Context) error { return s.prolong(ctx) }

// PruneAlerts is the job that deletes old alerts.
func (s *Service) PruneAlerts(ctx context.Context) { s.pruneAlerts(ctx) }
