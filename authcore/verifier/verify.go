package verifier

import (
	"context"
	"errors"
	"hash/maphash"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/ids"
)

// Verify checks an access token (RFC 7519) in memory: signature, issuer,
// audience, times, revocation. It fails with [token.ErrInvalid] or an error
// wrapping it, [token.ErrExpired] among them. Only a key id never seen may
// cost a look into the database, at most one in five seconds. A token of an accepted
// issuer costs one every five minutes, for the account it is of, and fails with
// [account.ErrUnavailable] where only the database could tell.
func (s *Verifier) Verify(ctx context.Context, bearer string) (token.Claims, error) {
	now := s.with.Now()
	id := maphash.String(s.tokenSeed, bearer)
	keys := s.with.Keys.Load()
	known, hit := s.tokens.GetIfPresent(id)
	hit = hit && known.token == bearer && s.stands(known, keys, now)
	if s.with.TokenCache != nil {
		s.with.TokenCache(hit)
	}
	if !hit {
		var err error
		if known, err = s.verifyAny(ctx, bearer, keys, now); err != nil {
			return token.Claims{}, err
		}
		if known.Expires.Before(known.until) {
			known.until = known.Expires
		}
		s.tokens.Set(id, known)
	}
	if s.with.SecondFactorRequired && known.SecondFactor == token.FactorUnknown {
		return token.Claims{}, token.ErrInvalid // made where none was required
	}
	if s.with.Revoked.Refuses(known.SessionID, known.Subject, known.AuthEpoch) {
		return token.Claims{}, token.ErrRevoked
	}
	return known.Claims, nil
}

// verifyAny checks a token that is not in memory, by our keys and those of accepted
// issuers.
func (s *Verifier) verifyAny(ctx context.Context, bearer string, keys *token.KeySet, now time.Time) (*verifiedToken, error) {
	peer := s.peerOf(bearer)
	if peer != nil && peer.Issuer() != s.with.Issuer {
		return s.verifyForeign(ctx, peer, bearer, now)
	}
	claims, err := token.Verify(keys, bearer, s.with.Issuer, s.with.Audience, now)
	if peer != nil && errors.Is(err, token.ErrUnknownKey) {
		known, err := s.verifyForeign(ctx, peer, bearer, now)
		if !errors.Is(err, token.ErrUnknownKey) {
			return known, err
		}
	}
	if errors.Is(err, token.ErrUnknownKey) && s.with.Ring.LoadUnknown(ctx) {
		keys = s.with.Keys.Load()
		claims, err = token.Verify(keys, bearer, s.with.Issuer, s.with.Audience, now)
	}
	if err != nil {
		return nil, err
	}
	return &verifiedToken{Claims: claims, token: bearer, public: keys.ByID(claims.KeyID).Public, until: now.Add(trustVerified)}, nil
}

// trustVerified is how long a token is not verified again. Whatever ends it
// before is asked each time.
const trustVerified = 5 * time.Minute

// verifiedToken is what a token says, and the key that says that it is ours.
// It stands in memory under a hash that others may share, until its time.
type verifiedToken struct {
	token.Claims
	token  string
	public token.PublicKey
	until  time.Time

	// Of a token of an accepted issuer: who that is, and when the account was read.
	peer   *issuer.Peer
	readAt time.Time
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
	secondFactor          bool
	authenticatedAt       time.Time
	methods               principal.Methods
}

func subjectOf(u account.User, ses session.Session) subject {
	who := subject{
		userID: u.ID, sessionID: ses.ID, role: u.Role, epoch: u.AuthEpoch, email: u.Email, verified: u.EmailVerified, secondFactor: u.SecondFactor,
		authenticatedAt: ses.AuthenticatedAt, methods: ses.Methods,
	}
	if ses.ActiveOrganizationID != nil && ses.OrganizationRole != nil {
		who.organizationID, who.organizationRole = *ses.ActiveOrganizationID, *ses.OrganizationRole
	}
	return who
}

// claims are those of a token that this service makes.
func (s *Verifier) claims(who subject, id string, issued, expires time.Time) token.Claims {
	c := token.Claims{
		Subject: who.userID, Email: who.email, EmailVerified: who.verified,
		Role: who.role, AuthEpoch: who.epoch, SessionID: who.sessionID,
		AuthTime: who.authenticatedAt.Truncate(time.Second), Methods: who.methods,
		OrganizationID: who.organizationID, OrganizationRole: string(who.organizationRole), Issuer: s.with.Issuer, Audience: s.with.Audience,
		ID: id, IssuedAt: issued, Expires: expires,
	}
	if s.with.SecondFactorRequired {
		c.SecondFactor = token.FactorMissing
		if who.secondFactor {
			c.SecondFactor = token.FactorPresent
		}
	}
	return c
}

// newClaims are those of a token made now.
func (s *Verifier) newClaims(who subject) token.Claims {
	now := s.with.Now()
	return s.claims(who, ids.New(), now.Truncate(time.Second), now.Add(s.with.AccessTokenTTL).Truncate(time.Second))
}

// AccessToken signs a token for the user in the session. If the user's epoch
// has been raised since they were read, nobody takes it.
func (s *Verifier) AccessToken(u account.User, ses session.Session) (string, error) {
	k, err := s.with.Ring.Signer()
	if err != nil {
		return "", err
	}
	return token.Sign(k, s.newClaims(subjectOf(u, ses)))
}
