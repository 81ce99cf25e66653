package verifier

import (
	"context"
	"errors"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// peerOf is the accepted issuer that a token says it is of, nil where it is none.
// Nothing is verified yet.
func (s *Verifier) peerOf(bearer string) *issuer.Peer {
	if len(s.with.Peers) == 0 {
		return nil
	}
	return s.with.Peers[token.IssuerOf(bearer)]
}

// verifyForeign checks a token of an accepted issuer. Who its user is, and what they
// may do, is read here: an account that is not there, or is banned, has none, and one
// that was cut off since it was carried over has left its old tokens behind.
func (s *Verifier) verifyForeign(ctx context.Context, peer *issuer.Peer, bearer string, now time.Time) (*verifiedToken, error) {
	keys := peer.Keys()
	claims, err := token.VerifyForeign(keys, bearer, peer.Issuer(), s.with.Audience, now)
	if errors.Is(err, token.ErrUnknownKey) {
		if fetching := peer.Fetch(ctx); fetching != nil {
			s.with.Log.WarnContext(ctx, "the keys of an accepted issuer cannot be read", "issuer", peer.Issuer(), "error", fetching)
			return nil, err
		}
		keys = peer.Keys()
		claims, err = token.VerifyForeign(keys, bearer, peer.Issuer(), s.with.Audience, now)
	}
	if err != nil {
		return nil, err
	}
	if s.with.Keys.Load().Revoked(claims.KeyID) {
		return nil, token.ErrRevoked
	}
	if peer.Due() {
		s.with.Background.Go(func() {
			if err := peer.Fetch(context.WithoutCancel(ctx)); err != nil {
				s.with.Log.WarnContext(ctx, "the keys of an accepted issuer cannot be read again; those known are taken", "issuer", peer.Issuer(), "error", err)
			}
		})
	}
	readAt := s.with.Now()
	u, err := dbscope.One[account.User](ctx, s.with.DB, dbscope.System(),
		`SELECT `+account.Columns+` FROM auth.users AS u
		 WHERE u.id = $1 AND `+account.Usable+` AND u.auth_epoch = 0
		   AND NOT EXISTS (SELECT FROM auth.sessions AS s WHERE s.id = $2 AND s.revoked_at IS NOT NULL)`, claims.Subject, claims.SessionID)
	if err != nil {
		return nil, account.NotFound(err, token.ErrRevoked)
	}
	claims.Role, claims.Email, claims.EmailVerified = u.Role, u.Email, u.EmailVerified
	if s.with.SecondFactorRequired {
		claims.SecondFactor = token.FactorMissing
		if u.SecondFactor {
			claims.SecondFactor = token.FactorPresent
		}
	}
	return &verifiedToken{
		Claims: claims, token: bearer, public: keys.ByID(claims.KeyID).Public, until: now.Add(trustVerified), peer: peer, readAt: readAt,
	}, nil
}

// stands reports whether what was verified is so still: the key is there, and of a
// token of an accepted issuer nothing has changed about the account.
func (s *Verifier) stands(v *verifiedToken, keys *token.KeySet, now time.Time) bool {
	if v.peer == nil {
		return v.by(keys, now)
	}
	return v.by(v.peer.Keys(), now) && !keys.Revoked(v.KeyID) && v.readAt.UnixMicro() > s.with.Unheard.Load() &&
		!s.with.Revoked.Overtakes(v.SessionID, v.Subject, v.AuthEpoch, v.readAt)
}
