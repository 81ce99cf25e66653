package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
)

// ClientTokenType is the typ of access tokens of clients that speak for themselves (RFC
// 9068, section 2.1).
const ClientTokenType = "at+jwt"

// recheckClientToken is how long the user of a client's token is believed to be as they
// were read. What ends the token, the session or the user's epoch before is asked each
// time.
const recheckClientToken = time.Minute

// clientToken is a verified access token of a client in memory, with its user as they
// were read.
type clientToken struct {
	token.Claims
	clientID string
	public   token.PublicKey
	readAt   time.Time
}

func (c *clientToken) end() time.Time {
	if end := c.readAt.Add(recheckClientToken); end.Before(c.Expires) {
		return end
	}
	return c.Expires
}

// VerifyFor is [Verifier.Verify] for one of whose audiences clients get access tokens
// (RFC 9068): such a token speaks for the user too, as far as its scopes go, and clientID
// names the client; it is empty for a token of the user's own. A token that a client got
// for itself names no user, and is none. In steady state it asks memory only. It fails as
// Verify does, or with [account.ErrUnavailable] when only the database could tell.
func (s *Verifier) VerifyFor(ctx context.Context, bearer string, audiences []string) (claims token.Claims, clientID string, err error) {
	if len(audiences) == 0 {
		claims, err = s.Verify(ctx, bearer)
		return claims, "", err
	}
	id := digestOf(bearer)
	if known, hit := s.clientTokens.GetIfPresent(id); hit && s.current(known) {
		if !slices.Contains(audiences, known.Audience) {
			return token.Claims{}, "", token.ErrInvalid
		}
		return known.Claims, known.clientID, nil
	}
	if claims, err = s.Verify(ctx, bearer); err == nil || !errors.Is(err, token.ErrInvalid) || errors.Is(err, token.ErrRevoked) {
		return claims, "", err
	}
	known, fault := s.readClientToken(ctx, bearer, audiences)
	if errors.Is(fault, errNoClientToken) {
		return token.Claims{}, "", err // what is wrong with it as a user's own
	}
	if fault != nil {
		return token.Claims{}, "", fault
	}
	s.clientTokens.Set(id, known)
	return known.Claims, known.clientID, nil
}

// errNoClientToken means that a token is not one of a client.
var errNoClientToken = errors.New("no access token of a client")

// current reports whether nothing has overtaken what is in memory of a client's token.
func (s *Verifier) current(c *clientToken) bool {
	now := s.with.Now()
	key, ok := s.with.Keys.Load().Key(c.KeyID, now)
	return ok && key.Public.Equal(c.public) && now.Before(c.end()) && c.readAt.UnixMicro() > s.with.Unheard.Load() &&
		!s.with.Revoked.Overtakes(c.SessionID, c.Subject, c.AuthEpoch, c.readAt) &&
		!s.with.Revoked.Overtakes(grant.TokenSession(c.ID), c.Subject, c.AuthEpoch, c.readAt)
}

// readClientToken verifies the access token of a client and reads the user whom it speaks
// for. It fails with errNoClientToken, an error of package token or [account.ErrUnavailable].
func (s *Verifier) readClientToken(ctx context.Context, text string, audiences []string) (*clientToken, error) {
	payload, head, err := token.VerifyPayload(s.with.Keys.Load(), text, s.with.Now())
	if err != nil || !strings.EqualFold(head.Type, ClientTokenType) {
		return nil, errNoClientToken
	}
	var said struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Subject  string `json:"sub"`
		ID       string `json:"jti"`
		ClientID string `json:"client_id"`
		Expires  int64  `json:"exp"`
	}
	readAt := s.with.Now()
	switch err := json.Unmarshal(payload, &said); {
	case err != nil, said.Issuer != s.with.Issuer, said.ID == "", !slices.Contains(audiences, said.Audience):
		return nil, token.ErrInvalid
	case !readAt.Before(time.Unix(said.Expires, 0)):
		return nil, token.ErrExpired
	}
	g, err := s.with.ClientAccess(ctx, "", said.ID)
	switch {
	case errors.Is(err, openid.ErrToken):
		return nil, token.ErrRevoked
	case err != nil:
		return nil, err
	case g.User.ID == "" || g.User.ID != said.Subject || g.Client.ID != said.ClientID || g.Access.Audience != said.Audience:
		return nil, token.ErrInvalid
	}
	claims := s.claims(subjectOf(g.User, g.Session), g.Access.ID, g.Access.IssuedAt, time.Unix(said.Expires, 0))
	claims.Audience, claims.KeyID, claims.Scopes = said.Audience, head.KeyID, principal.ScopesOf(g.Scopes...)
	known := &clientToken{Claims: claims, clientID: g.Client.ID, public: s.with.Keys.Load().ByID(head.KeyID).Public, readAt: readAt}
	if s.with.Revoked.Overtakes(claims.SessionID, claims.Subject, claims.AuthEpoch, readAt) {
		return nil, token.ErrRevoked
	}
	return known, nil
}
