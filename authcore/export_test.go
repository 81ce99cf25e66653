package authcore

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/token"
)

// Issue signs an access token of its own for a user in a session.
func (s *Service) Issue(userID, sessionID string) (string, error) {
	return s.AccessToken(User{ID: userID, Role: principal.RoleUser}, Session{ID: sessionID})
}

// SealingKeyID is the id of the key that seals.
func SealingKeyID(s secret.Keys) string {
	sealed, _ := s.Seal(nil)
	id, _, _ := strings.Cut(sealed, ".")
	return id
}

// SigningJWK is the key that signs now, with its private half.
func (s *Service) SigningJWK() map[string]string {
	k, _ := s.keys.Load().Signer(token.EdDSA, time.Now())
	j := make(map[string]string)
	doc, err := token.EncodeJWK(k.Private)
	if err == nil {
		err = json.Unmarshal(doc, &j)
	}
	if err != nil {
		panic(err)
	}
	return j
}

// SigningKey is the id of the key that signs now.
func (s *Service) SigningKey() string {
	k, _ := s.keys.Load().Signer(token.EdDSA, time.Now())
	return k.ID
}

// Purge is one step of the sweep.
func (s *Service) Purge(ctx context.Context) error { return s.purge(ctx) }
