package creditcore

// Owed is how many refunds wait.
func (s *Service) Owed() int {
	s.compensations.mu.Lock()
	defer s.compensations.mu.Unlock()
	return len(s.compensations.owed)
}
