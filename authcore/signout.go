package authcore

import "context"

// SignOut ends what the request can prove to hold: the session of a verified
// access token, the family of a refresh token of any generation, and the
// browser sessions of cookies, with all that was derived from those. What is
// unknown or over already is no error.
func (s *Service) SignOut(ctx context.Context, client Client, out SignOut) error {
	familyID, _, ok := s.cfg.Secrets.ownRefreshToken(out.RefreshToken)
	if !ok {
		familyID = ""
	}
	tokens := make([]string, 0, 2*len(out.CookieTokens))
	for _, t := range out.CookieTokens {
		tokens = append(tokens, storedToken(t), t)
	}
	if out.SessionID == "" && familyID == "" && len(tokens) == 0 {
		return nil
	}
	_, err := s.revoke(ctx, event{Type: "logout", Client: client}, reasonSignOut,
		`s.id = $1
		 OR s.id = (SELECT f.session_id FROM auth.refresh_families AS f WHERE f.id = $2)
		 OR (s.token = ANY($3::text[]) AND s.kind = 'browser')`, out.SessionID, familyID, tokens)
	return err
}
