package authcore

import "mana.how/edge/authcore/twofactor"

// The codes of [Service.FixCodes].
const (
	FixedCode     = twofactor.FixedCode
	FixedMailCode = "00000000"
)

// FixCodes has every mailed code be [FixedMailCode] from now on, and
// [FixedCode] a right code of every authenticator. It is for an edge that is
// run for development: whoever knows a password, or an address, gets in.
func (s *Service) FixCodes() { s.fixedCodes.Store(true) }
