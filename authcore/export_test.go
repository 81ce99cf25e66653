package authcore

import "context"

// Purge is one step of the sweep.
func (s *Service) Purge(ctx context.Context) error { return s.purge(ctx) }
