package authcore

import (
	"context"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/refreshtoken"
	"mana.how/edge/authcore/revocation"
)

// SignOut ends what the request can prove to hold: the session of a verified
// access token, the family of a refresh token of any generation, and the
// browser sessions of cookies, with all that was derived from those. The session
// of an app that was derived from a browser session ends that one with it, and so
// every app of the same sign-in, unless out says that the app alone is meant. What
// is unknown or over already is no error.
func (s *Service) SignOut(ctx context.Context, client principal.Client, out SignOut) error {
	familyID, _, ok := refreshtoken.Open(s.cfg.Secrets, out.RefreshToken)
	if !ok {
		familyID = ""
		if refreshtoken.Imported(out.RefreshToken) {
			var err error
			if familyID, err = s.importedFamily(ctx, out.RefreshToken); err != nil {
				return err
			}
		}
	}
	tokens := make([]string, 0, 2*len(out.CookieTokens))
	for _, t := range out.CookieTokens {
		tokens = append(tokens, StoredToken(t), t)
	}
	if out.SessionID == "" && familyID == "" && len(tokens) == 0 {
		return nil
	}
	_, err := s.store.Revoke(ctx, audit.Event{Type: "logout", Client: client}, revocation.ReasonSignOut,
		`s.id IN (
		   SELECT CASE WHEN $4::bool THEN own.id ELSE coalesce(own.parent_id, own.id) END
		   FROM auth.sessions AS own
		   WHERE own.id = $1 OR own.id = (SELECT f.session_id FROM auth.refresh_families AS f WHERE f.id = $2 AND f.client_id IS NULL))
		 OR (s.token = ANY($3::text[]) AND s.kind = 'browser')`, out.SessionID, familyID, tokens, out.AppOnly)
	return err
}
