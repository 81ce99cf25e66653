package authcore

import (
	"context"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// RotateKeys makes a new key of an algorithm. It is announced in the JWKS for
// Config.KeyAnnounce before it signs, or with now for a second only. Older keys
// verify until the last token they signed has expired: for a key that leaked
// there is [Service.RevokeKey].
func (s *Service) RotateKeys(ctx context.Context, op principal.Operator, a token.Algorithm, now bool) (token.Info, error) {
	return s.ring.Rotate(ctx, op, a, now)
}

// RevokeKey ends a key that leaked, on every edge: see [keyring.Ring.Revoke]. It
// returns all keys, as [Service.Keys] does, or fails with [ErrKeyNotFound].
func (s *Service) RevokeKey(ctx context.Context, op principal.Operator, id string) ([]token.Info, error) {
	return s.ring.Revoke(ctx, op, id)
}

// Keys lists the signing keys, oldest first, also those that are gone or
// revoked.
func (s *Service) Keys(ctx context.Context) ([]token.Info, error) { return s.ring.List(ctx) }

// JWKS is the public key set as JSON (RFC 7517), announced keys included.
func (s *Service) JWKS() []byte { return s.keys.Load().JWKS(s.now()) }
