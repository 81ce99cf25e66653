package billing

import "context"

// RunSubscriptions is one round of the job.
func (s *Service) RunSubscriptions(ctx context.Context) error { return s.runSubscriptions(ctx) }

// ReconcileSubscriptions is one round of the job.
func (s *Service) ReconcileSubscriptions(ctx context.Context) error {
	return s.reconcileSubscriptions(ctx)
}
