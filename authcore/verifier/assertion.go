package verifier

import (
	"mana.how/edge/authcore/token"
)

// Assert makes an assertion that the request acts for whom the claims name, good for
// [token.AssertionLife].
func (s *Verifier) Assert(c token.Claims, r token.AssertedRequest) (string, error) {
	k, err := s.with.Ring.Signer()
	if err != nil {
		return "", err
	}
	return token.SignAssertion(k, c, r, s.with.Now())
}
