package authcore

import (
	"context"
	"errors"
	"time"
)

// Verify checks an access token (RFC 7519) in memory: signature, issuer,
// audience, times, revocation. It fails with [ErrInvalidToken] or an error
// wrapping it, [ErrTokenExpired] among them. Only a key id never seen may
// cost a look into the database, at most one in five seconds.
func (s *Service) Verify(ctx context.Context, token string) (Claims, error) {
	now := s.now()
	id := digestOf(token)
	claims, hit := s.tokens.get(id, now)
	if s.observe.TokenCache != nil {
		s.observe.TokenCache(hit)
	}
	if !hit {
		var err error
		claims, err = verifyToken(s.keys.Load(), token, s.cfg.BaseURL, s.cfg.Audience, now)
		if errors.Is(err, errUnknownKey) && s.keyReloads.open(now) {
			if s.loadKeys(ctx) == nil {
				claims, err = verifyToken(s.keys.Load(), token, s.cfg.BaseURL, s.cfg.Audience, now)
			}
		}
		if err != nil {
			return Claims{}, err
		}
		s.tokens.put(id, claims, claims.Expires, now)
	}
	if s.revoked.refuses(claims.SessionID, claims.Subject, claims.IssuedAt) {
		return Claims{}, errTokenRevoked
	}
	return claims, nil
}

// accessToken signs a token for the user in the session.
func (s *Service) accessToken(u User, sessionID string, organizationID *string) (string, Claims, error) {
	now := s.now()
	k, ok := s.keys.Load().signer(now)
	if !ok {
		return "", Claims{}, errors.New("no signing key")
	}
	issued := s.revoked.issueAfter(u.ID, now)
	claims := Claims{
		Subject: u.ID, Email: u.Email, Role: u.Role, SessionID: sessionID,
		Issuer: s.cfg.BaseURL, Audience: s.cfg.Audience, ID: newID(),
		IssuedAt: issued.Truncate(time.Second), Expires: now.Add(s.cfg.AccessTokenTTL).Truncate(time.Second),
	}
	if organizationID != nil {
		claims.OrganizationID = *organizationID
	}
	token, err := signToken(k, claims)
	return token, claims, err
}
