package authcore

import (
	"context"
	"crypto/ed25519"
	"errors"
	"hash/maphash"
	"time"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/ids"
)

// Verify checks an access token (RFC 7519) in memory: signature, issuer,
// audience, times, revocation. It fails with [token.ErrInvalid] or an error
// wrapping it, [token.ErrExpired] among them. Only a key id never seen may
// cost a look into the database, at most one in five seconds.
func (s *Service) Verify(ctx context.Context, bearer string) (token.Claims, error) {
	now := s.now()
	id := maphash.String(s.tokenSeed, bearer)
	keys := s.keys.Load()
	known, hit := s.tokens.GetIfPresent(id)
	hit = hit && known.token == bearer && known.by(keys, now)
	if s.observe.TokenCache != nil {
		s.observe.TokenCache(hit)
	}
	if !hit {
		claims, err := token.Verify(keys, bearer, s.cfg.BaseURL, s.cfg.Audience, now)
		if errors.Is(err, token.ErrUnknownKey) && s.keyReloads.open(now) {
			if s.loadKeys(ctx) == nil {
				keys = s.keys.Load()
				claims, err = token.Verify(keys, bearer, s.cfg.BaseURL, s.cfg.Audience, now)
			}
		}
		if err != nil {
			return token.Claims{}, err
		}
		known = &verifiedToken{
			Claims: claims, token: bearer, public: keys.ByID(claims.KeyID).Public, until: now.Add(trustVerified),
		}
		if claims.Expires.Before(known.until) {
			known.until = claims.Expires
		}
		s.tokens.Set(id, known)
	}
	if s.revoked.Refuses(known.SessionID, known.Subject, known.AuthEpoch) {
		return token.Claims{}, token.ErrRevoked
	}
	return known.Claims, nil
}

// trustVerified is how long a token is not verified again. Whatever ends it
// before is asked each time.
const trustVerified = 5 * time.Minute

// verifiedToken is what a token says, and the key that says that it is ours.
// It stands in memory under a hash that others may share, until its time.
type verifiedToken struct {
	token.Claims
	token  string
	public ed25519.PublicKey
	until  time.Time
}

func (v *verifiedToken) end() time.Time { return v.until }

// by reports whether the key that verified the token is in the set still: what
// a verification under way puts into memory after the key is gone counts for
// nothing.
func (v *verifiedToken) by(keys *token.KeySet, now time.Time) bool {
	public, ok := keys.Verifier(v.KeyID, now)
	return ok && public.Equal(v.public)
}

// subject is who an access token speaks for. organizationID may be empty, and
// organizationRole with it.
type subject struct {
	userID, sessionID     string
	role                  principal.Role
	epoch                 int32
	email, organizationID string
	organizationRole      organization.Role
	verified              bool
	authenticatedAt       time.Time
	methods               principal.Methods
}

func subjectOf(u User, ses Session) subject {
	who := subject{
		userID: u.ID, sessionID: ses.ID, role: u.Role, epoch: u.AuthEpoch, email: u.Email, verified: u.EmailVerified,
		authenticatedAt: ses.AuthenticatedAt, methods: ses.Methods,
	}
	if ses.ActiveOrganizationID != nil && ses.OrganizationRole != nil {
		who.organizationID, who.organizationRole = *ses.ActiveOrganizationID, *ses.OrganizationRole
	}
	return who
}

// claims are those of a token that this service makes.
func (s *Service) claims(who subject, id string, issued, expires time.Time) token.Claims {
	return token.Claims{
		Subject: who.userID, Email: who.email, EmailVerified: who.verified,
		Role: who.role, AuthEpoch: who.epoch, SessionID: who.sessionID,
		AuthTime: who.authenticatedAt.Truncate(time.Second), Methods: who.methods,
		OrganizationID: who.organizationID, OrganizationRole: string(who.organizationRole), Issuer: s.cfg.BaseURL, Audience: s.cfg.Audience,
		ID: id, IssuedAt: issued, Expires: expires,
	}
}

// newClaims are those of a token made now.
func (s *Service) newClaims(who subject) token.Claims {
	now := s.now()
	return s.claims(who, ids.New(), now.Truncate(time.Second), now.Add(s.cfg.AccessTokenTTL).Truncate(time.Second))
}

// signer is the key that signs now.
func (s *Service) signer() (token.Key, error) {
	k, ok := s.keys.Load().Signer(s.now())
	if !ok {
		return token.Key{}, errors.New("no signing key")
	}
	return k, nil
}

// accessToken signs a token for the user in the session. If the user's epoch
// has been raised since they were read, nobody takes it.
func (s *Service) accessToken(who subject) (string, error) {
	k, err := s.signer()
	if err != nil {
		return "", err
	}
	return token.Sign(k, s.newClaims(who))
}
