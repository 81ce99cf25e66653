package authcore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// proofLife is how long what a proof key has signed may be met: for ever, as far as
// dates go.
const proofLife = 200 * 365 * 24 * time.Hour

// loadProofKeys reads the keys that prove the ledger, or makes the first one.
func (s *Service) loadProofKeys(ctx context.Context) error {
	if err := s.proofRing.Load(ctx); err != nil {
		return fmt.Errorf("read proof keys: %w", err)
	}
	if s.proofKeys.Load().Empty() {
		if err := s.proofRing.MakeFirst(ctx, token.EdDSA); err != nil {
			return fmt.Errorf("make the first proof key: %w", err)
		}
	}
	return nil
}

// loadKeys reads all keys, which have changed.
func (s *Service) loadKeys(ctx context.Context) error {
	return errors.Join(s.ring.Load(ctx), s.proofRing.Load(ctx))
}

// resealKeys seals all keys with today's encryption key.
func (s *Service) resealKeys(ctx context.Context) error {
	return errors.Join(s.ring.Reseal(ctx), s.proofRing.Reseal(ctx))
}

// SignProof makes a JWS in compact form (RFC 7515) of a payload, with the key that
// proves the ledger and signs nothing else. typ is its kind.
func (s *Service) SignProof(typ string, payload []byte) (string, error) {
	k, err := s.proofRing.Signer()
	if err != nil {
		return "", err
	}
	return token.SignPayload(k, typ, payload)
}

// OpenProof verifies what SignProof made, of that kind, and returns the payload. A
// key that is not known is looked for once in a while. Every error is or wraps
// [token.ErrInvalid].
func (s *Service) OpenProof(ctx context.Context, typ, statement string) ([]byte, error) {
	payload, head, err := token.VerifyPayload(s.proofKeys.Load(), statement, s.now())
	if err != nil && (s.proofRing.LoadUnknown(ctx) || s.cfg.Keyless) {
		payload, head, err = token.VerifyPayload(s.proofKeys.Load(), statement, s.now())
	}
	if err == nil && head.Type != typ {
		err = fmt.Errorf("%w: it is of type %q", token.ErrInvalid, head.Type)
	}
	return payload, err
}

// ProofKeys is the public JWK set that proves verify by (RFC 7517), of every key that
// was not revoked.
func (s *Service) ProofKeys() []byte { return s.proofKeys.Load().JWKS(s.now()) }

// RotateProofKey makes a new key for proofs, see [Service.RotateKeys]. What the older
// ones have signed verifies for ever.
func (s *Service) RotateProofKey(ctx context.Context, op principal.Operator, now bool) (token.Info, error) {
	return s.proofRing.Rotate(ctx, op, token.EdDSA, now)
}

// RevokeProofKey ends a key for proofs that leaked: what it has signed proves nothing
// any more. See [Service.RevokeKey].
func (s *Service) RevokeProofKey(ctx context.Context, op principal.Operator, id string) ([]token.Info, error) {
	return s.proofRing.Revoke(ctx, op, id)
}

// ProofKeyList lists the keys for proofs, see [Service.Keys].
func (s *Service) ProofKeyList(ctx context.Context) ([]token.Info, error) {
	return s.proofRing.List(ctx)
}
