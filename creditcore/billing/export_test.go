package billing

import (
	"context"
	"errors"
)

// RunSubscriptions is one round of the jobs that are due every minute.
func (s *Service) RunSubscriptions(ctx context.Context) error {
	return errors.Join(s.GrantDue(ctx), s.EndOrphans(ctx))
}

// ReconcileSubscriptions is one round of the job.
func (s *Service) ReconcileSubscriptions(ctx context.Context) error {
	return s.reconcileSubscriptions(ctx)
}
