package creditcore

import "context"

// Prune is the job that deletes old holds.
func (s *Service) Prune(ctx context.Context) { s.prune(ctx) }
