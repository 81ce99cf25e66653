package authcore

import (
	"context"
	"encoding/json"
	"time"
)

// Issue signs an access token of its own for a user in a session.
func (s *Service) Issue(userID, sessionID string) (string, error) {
	return s.accessToken(subject{userID: userID, sessionID: sessionID, role: RoleUser})
}

// SealingKeyID is the id of the key that seals.
func SealingKeyID(s Secrets) string { return s.sealing[0].id }

// SigningJWK is the key that signs now, with its private half.
func (s *Service) SigningJWK() map[string]string {
	k, _ := s.keys.Load().signer(time.Now())
	j := make(map[string]string)
	doc, err := encodeKey(k.Private)
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
	k, _ := s.keys.Load().signer(time.Now())
	return k.ID
}

// Purge is one step of the sweep.
func (s *Service) Purge(ctx context.Context) error { return s.purge(ctx) }
