package grant

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/refreshtoken"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// TokenSession is what revocations name in the place of a session where one access
// token of a client ends alone.
func TokenSession(id string) string { return "access:" + id }

// dropClientToken ends one access token of a client, at every edge.
func (s *Grants) dropClientToken(ctx context.Context, a openid.Access) error {
	_, err := s.with.Store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		if err := openid.DropAccessTx(ctx, tx, a.ID); err != nil || a.UserID == "" {
			return nil, err
		}
		cut, err := dbscope.TxRow[revocation.Revocation](ctx, tx,
			`INSERT INTO auth.revocations (user_id, session_id, reason) VALUES ($1, $2, $3) RETURNING `+revocation.Columns,
			a.UserID, TokenSession(a.ID), revocation.ReasonTokenRevoked)
		return []revocation.Revocation{cut}, err
	})
	return err
}

// Grant is what a client was given for a user, or for itself: then User and Session
// are empty. AccessToken is opaque; Access.ID is the jti of one that speaks for itself.
type Grant struct {
	Client       openid.Client
	User         account.User
	Session      session.Session
	Scopes       []string
	Nonce        string
	Access       openid.Access
	AccessToken  string
	RefreshToken string
}

// Has reports whether a scope was granted.
func (g Grant) Has(scope string) bool { return slices.Contains(g.Scopes, scope) }

// AuthorizeClient makes the code that a client exchanges for what the holder of the
// browser session has allowed it. Who may have it is for the caller to know.
func (s *Grants) AuthorizeClient(ctx context.Context, b Holder, c openid.Code) (code string, err error) {
	c.UserID, c.SessionID = b.UserID(), b.Session().ID
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		code, err = openid.InsertCodeTx(ctx, tx, c)
		return err
	})
	return code, err
}

// RedeemCode exchanges a code (RFC 6749, section 4.1.3). It is taken once; when it comes
// again, what it gave ends. It fails with [openid.ErrCode], of which
// [openid.ErrCodeReused] is one, also where the user or the browser session is gone.
func (s *Grants) RedeemCode(ctx context.Context, client principal.Client, c openid.Client, code, redirectURI, verifier string) (g Grant, err error) {
	again := false
	_, err = s.with.Store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		again = false
		known, err := openid.FindCodeTx(ctx, tx, c.ID, code)
		if err != nil {
			return nil, err
		}
		if known.RedirectURI != redirectURI || !known.Answers(verifier) {
			return nil, openid.ErrCode
		}
		if known.Consumed {
			again = true
			return session.RevokeTx(ctx, tx, audit.Event{Type: "code_reuse", UserID: known.UserID, Client: client, Metadata: map[string]any{"client": c.ID}},
				revocation.ReasonReuse, `s.id = $1 AND s.revoked_at IS NULL`, known.GaveSession)
		}
		if known.Expired {
			return nil, openid.ErrCode
		}
		if g, err = s.grantTx(ctx, tx, client, c, known.UserID, known.SessionID, known.Scopes); err != nil {
			return nil, err
		}
		g.Nonce = known.Nonce
		return nil, openid.ConsumeCodeTx(ctx, tx, known, g.Session.ID)
	})
	if err == nil && again {
		s.with.Log.WarnContext(ctx, "an authorization code was used again, what it gave ends: it may have been stolen", "client", c.ID, "address", client.Network())
		err = openid.ErrCodeReused
	}
	if errors.Is(err, account.ErrInvalidCredentials) || errors.Is(err, account.ErrNotFound) {
		err = openid.ErrCode
	}
	return g, err
}

// grantTx begins the session of a client for a user, derived from the browser session it
// was allowed in, with a refresh family where it may refresh. It fails with
// [account.ErrInvalidCredentials] where that session or the user is gone.
func (s *Grants) grantTx(ctx context.Context, tx pgx.Tx, client principal.Client, c openid.Client, userID, parent string, scopes []string) (Grant, error) {
	u, err := account.LockTx(ctx, tx, userID)
	if err != nil {
		return Grant{}, err
	}
	n := session.New{
		UserID: userID, Kind: session.Client, ParentID: &parent, ClientID: c.ID, Scopes: strings.Join(scopes, " "), Persistent: true,
		TTL: s.with.RefreshTTL, Event: "client_session",
	}
	if c.May(openid.GrantRefresh) && (c.Trusted || slices.Contains(scopes, openid.ScopeOffline)) {
		n.FamilyID = ids.New()
	}
	id := ids.New()
	n.Token = "id:" + id
	ses, err := s.with.Store.CreateTx(ctx, tx, client, n, id, audit.Event{Type: n.Event, UserID: userID, Client: client, Metadata: map[string]any{"client": c.ID}})
	if err != nil {
		return Grant{}, account.NotFound(err, account.ErrInvalidCredentials)
	}
	g := Grant{Client: c, User: u, Session: ses, Scopes: scopes}
	if n.FamilyID != "" {
		g.RefreshToken = refreshtoken.Make(s.with.Secrets, n.FamilyID, 0)
	}
	return g, accessTx(ctx, tx, &g)
}

// accessTx gives the client an access token.
func accessTx(ctx context.Context, tx pgx.Tx, g *Grant) (err error) {
	g.Access, g.AccessToken, err = openid.InsertAccessTx(ctx, tx, openid.Access{
		ClientID: g.Client.ID, UserID: g.User.ID, SessionID: g.Session.ID, Scopes: g.Scopes, Audience: g.Client.TokenAudience(),
	})
	return err
}

// RefreshClient exchanges a refresh token of a client for its successor and an access
// token, as authcore.Service.Refresh does: the family, the grace and the end by reuse are the
// same. Scopes, where given, must have been granted. It fails as that does, or with
// [openid.ErrScope], which leaves the token as it was.
func (s *Grants) RefreshClient(ctx context.Context, client principal.Client, c openid.Client, refreshToken string, scopes []string) (Grant, error) {
	if len(scopes) > 0 {
		granted, err := s.grantedScopes(ctx, c, refreshToken)
		if err != nil {
			return Grant{}, err
		}
		if slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(granted, scope) }) {
			return Grant{}, openid.ErrScope
		}
	}
	r, generation, err := s.with.Advance(ctx, client, refreshToken, c.ID)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Client: c, User: r.User(), Session: r.Session, Scopes: strings.Fields(r.Scopes), RefreshToken: generation}
	if len(scopes) > 0 {
		g.Scopes = scopes
	}
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error { return accessTx(ctx, tx, &g) })
	return g, err
}

// grantedScopes are those of the session of a client's refresh token.
func (s *Grants) grantedScopes(ctx context.Context, c openid.Client, refreshToken string) ([]string, error) {
	familyID, _, ok := refreshtoken.Open(s.with.Secrets, refreshToken)
	if !ok {
		return nil, refreshtoken.ErrInvalid
	}
	r, err := dbscope.One[struct{ Scopes string }](ctx, s.with.DB, dbscope.System(),
		`SELECT coalesce(s.scopes, '') AS scopes FROM auth.refresh_families AS f JOIN auth.sessions AS s ON s.id = f.session_id
		 WHERE f.id = $1 AND f.client_id = $2`, familyID, c.ID)
	return strings.Fields(r.Scopes), account.NotFound(err, refreshtoken.ErrInvalid)
}

// ClientToken gives a client an access token for itself (RFC 6749, section 4.4).
func (s *Grants) ClientToken(ctx context.Context, c openid.Client, scopes []string) (Grant, error) {
	g := Grant{Client: c, Scopes: scopes}
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error { return accessTx(ctx, tx, &g) })
	return g, err
}

// ClientAccess finds what a live access token of a client stands for, by its text or,
// where it speaks for itself, by its jti, with the user and the session as they are now.
// It fails with [openid.ErrToken].
func (s *Grants) ClientAccess(ctx context.Context, text, jti string) (Grant, error) {
	a, err := openid.FindAccess(ctx, s.with.DB, text, jti)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{Access: a, Scopes: a.Scopes}
	if g.Client, err = s.OpenIDClient(ctx, a.ClientID); err != nil || a.UserID == "" {
		return g, tokenFault(err)
	}
	r, err := dbscope.One[session.WithUser](ctx, s.with.DB, dbscope.System(),
		`SELECT `+session.Columns+`, `+session.UserColumns+`
		 FROM auth.sessions AS s JOIN auth.users AS u ON u.id = s.user_id
		 WHERE s.id = $1 AND s.revoked_at IS NULL AND `+account.Usable, a.SessionID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = openid.ErrToken
	}
	g.User, g.Session = r.User(), r.Session
	return g, err
}

func tokenFault(err error) error {
	if errors.Is(err, openid.ErrUnknownClient) {
		return openid.ErrToken
	}
	return err
}

// ClientRefresh finds what a live refresh token of a client stands for, without using
// it. It fails with [refreshtoken.ErrInvalid].
func (s *Grants) ClientRefresh(ctx context.Context, c openid.Client, refreshToken string) (session.Session, error) {
	familyID, generation, ok := refreshtoken.Open(s.with.Secrets, refreshToken)
	if !ok {
		return session.Session{}, refreshtoken.ErrInvalid
	}
	r, err := dbscope.One[session.WithUser](ctx, s.with.DB, dbscope.System(),
		`SELECT `+session.Columns+`, `+session.UserColumns+`
		 FROM auth.refresh_families AS f JOIN auth.sessions AS s ON s.id = f.session_id JOIN auth.users AS u ON u.id = f.user_id
		 WHERE f.id = $1 AND f.client_id = $2 AND f.counter = $3 AND f.revoked_at IS NULL AND f.expires_at > now()
		   AND s.revoked_at IS NULL AND `+account.Usable, familyID, c.ID, generation)
	return r.Session, account.NotFound(err, refreshtoken.ErrInvalid)
}

// RevokeClientToken ends what a token of a client stands for (RFC 7009): its session,
// with every token of that, for a refresh token; the one token else. What is unknown,
// over or another client's is no error.
func (s *Grants) RevokeClientToken(ctx context.Context, client principal.Client, c openid.Client, text, jti string) error {
	if familyID, _, ok := refreshtoken.Open(s.with.Secrets, text); ok {
		_, err := s.with.Store.Revoke(ctx, audit.Event{Type: "client_session_ended", Client: client, Metadata: map[string]any{"client": c.ID}}, revocation.ReasonSignOut,
			`s.client_id = $2 AND s.revoked_at IS NULL AND s.id = (SELECT f.session_id FROM auth.refresh_families AS f WHERE f.id = $1)`, familyID, c.ID)
		return err
	}
	a, err := openid.FindAccess(ctx, s.with.DB, text, jti)
	switch {
	case errors.Is(err, openid.ErrToken), err == nil && a.ClientID != c.ID:
		return nil
	case err != nil:
		return err
	}
	return s.dropClientToken(ctx, a)
}

// EndClientSession ends the browser session that a client's session was derived from, with
// every app of it, if it belongs to the holder of the cookies and the user. It reports
// whether there was such a one.
func (s *Grants) EndClientSession(ctx context.Context, client principal.Client, userID, sessionID string, cookieTokens []string) (bool, error) {
	tokens := make([]string, 0, 2*len(cookieTokens))
	for _, t := range cookieTokens {
		tokens = append(tokens, session.StoredToken(t), t)
	}
	n, err := s.with.Store.Revoke(ctx, audit.Event{Type: "logout", Client: client}, revocation.ReasonSignOut,
		`s.user_id = $1 AND s.kind = 'browser' AND s.revoked_at IS NULL AND s.token = ANY($3::text[])
		 AND s.id = (SELECT x.parent_id FROM auth.sessions AS x WHERE x.id = $2 AND x.user_id = $1)`, userID, sessionID, tokens)
	return n > 0, err
}
