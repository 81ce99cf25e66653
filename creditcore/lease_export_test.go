package creditcore

// Watches reports whether this process has a lease of an account, or may want one.
func (s *Service) Watches(account string) bool {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return s.leases.accounts[account] != nil
}
