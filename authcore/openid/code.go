package openid

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// Code is what an authorization code stands for (RFC 6749, section 4.1.2).
type Code struct {
	ID       string
	ClientID string
	UserID   string
	// SessionID is the browser session it was given in.
	SessionID     string
	Scopes        []string
	RedirectURI   string
	CodeChallenge string // S256, RFC 7636
	Nonce         string
	// GaveSession is the client's session that it has given, empty before.
	GaveSession string
	Consumed    bool
	Expired     bool
}

// InsertCodeTx makes a code: 32 alphanumerics.
func InsertCodeTx(ctx context.Context, tx pgx.Tx, c Code) (code string, err error) {
	code = ids.New()
	_, err = tx.Exec(ctx,
		`INSERT INTO auth.oauth_authorization_codes (id, code, client_id, user_id, session_id, scopes, redirect_uri, code_challenge,
		   code_challenge_method, nonce, expires_at)
		 VALUES ($1, $2, $3, $4, $5, $6, $7, NULLIF($8, ''), CASE WHEN $8 <> '' THEN 'S256' END, NULLIF($9, ''), now() + make_interval(secs => $10))`,
		ids.New(), DigestOf(code), c.ClientID, c.UserID, c.SessionID, strings.Join(c.Scopes, " "), c.RedirectURI, c.CodeChallenge, c.Nonce, CodeTTL.Seconds())
	return code, err
}

// codeRow is a row of auth.oauth_authorization_codes.
type codeRow struct {
	ID            string
	ClientID      string
	UserID        string
	SessionID     string
	Scopes        string
	RedirectURI   string
	CodeChallenge string
	Nonce         string
	GaveSession   string
	Consumed      bool
	Expired       bool
}

// FindCodeTx locks the code of a client. It fails with [ErrCode]; whether it is over is
// for the caller to see.
func FindCodeTx(ctx context.Context, tx pgx.Tx, clientID, code string) (Code, error) {
	r, err := dbscope.TxRow[codeRow](ctx, tx,
		`SELECT c.id, c.client_id, c.user_id, c.session_id, c.scopes, c.redirect_uri, coalesce(c.code_challenge, '') AS code_challenge,
		   coalesce(c.nonce, '') AS nonce, coalesce(c.gave_session, '') AS gave_session, c.consumed_at IS NOT NULL AS consumed, c.expires_at <= now() AS expired
		 FROM auth.oauth_authorization_codes AS c WHERE c.code = $1 AND c.client_id = $2 FOR UPDATE`, DigestOf(code), clientID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrCode
	}
	return Code{
		ID: r.ID, ClientID: r.ClientID, UserID: r.UserID, SessionID: r.SessionID, Scopes: strings.Fields(r.Scopes), RedirectURI: r.RedirectURI,
		CodeChallenge: r.CodeChallenge, Nonce: r.Nonce, GaveSession: r.GaveSession, Consumed: r.Consumed, Expired: r.Expired,
	}, err
}

// ConsumeCodeTx notes that a code was taken, and the session it gave.
func ConsumeCodeTx(ctx context.Context, tx pgx.Tx, c Code, sessionID string) error {
	_, err := tx.Exec(ctx, `UPDATE auth.oauth_authorization_codes SET consumed_at = now(), gave_session = $2 WHERE id = $1`, c.ID, sessionID)
	return err
}

// Answers reports whether a verifier is the one that the code's challenge was made of
// (RFC 7636, section 4.6). Without a challenge there must be none.
func (c Code) Answers(verifier string) bool {
	if c.CodeChallenge == "" || verifier == "" {
		return c.CodeChallenge == "" && verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(c.CodeChallenge)) == 1
}

// ChallengeFits reports whether a text can be a challenge of the method S256: 32 bytes
// in base64url (RFC 7636, section 4.2).
func ChallengeFits(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == sha256.Size
}

// Access is what an access token of a client stands for. User and session are empty
// where the client acts for itself.
type Access struct {
	ID        string
	ClientID  string
	UserID    string
	SessionID string
	Scopes    []string
	Audience  string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

type accessRow struct {
	ID        string
	ClientID  string
	UserID    string
	SessionID string
	Scopes    string
	Audience  string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

func (r accessRow) access() Access {
	return Access{
		ID: r.ID, ClientID: r.ClientID, UserID: r.UserID, SessionID: r.SessionID, Scopes: strings.Fields(r.Scopes), Audience: r.Audience,
		IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt,
	}
}

const accessColumns = `t.id, t.client_id, coalesce(t.user_id, '') AS user_id, coalesce(t.session_id, '') AS session_id, t.scopes, t.audience,
	t.created_at AS issued_at, t.access_token_expires_at AS expires_at`

// InsertAccessTx stores an access token of a client and returns it: 32 letters, where
// the client takes none that speak for themselves.
func InsertAccessTx(ctx context.Context, tx pgx.Tx, a Access) (_ Access, text string, err error) {
	text = ids.Letters()
	r, err := dbscope.TxRow[accessRow](ctx, tx,
		`INSERT INTO auth.oauth_access_tokens AS t (id, access_token, access_token_expires_at, client_id, user_id, session_id, scopes, audience)
		 VALUES ($1, $2, now() + make_interval(secs => $3), $4, NULLIF($5, ''), NULLIF($6, ''), $7, $8)
		 RETURNING `+accessColumns,
		ids.New(), DigestOf(text), TokenTTL.Seconds(), a.ClientID, a.UserID, a.SessionID, strings.Join(a.Scopes, " "), a.Audience)
	return r.access(), text, err
}

// FindAccess reads a live access token by its text or, where that is empty, by its id;
// one of a session that has ended, or of a user who is gone or disabled, is none. It
// fails with [ErrToken].
func FindAccess(ctx context.Context, db dbscope.DB, text, id string) (Access, error) {
	r, err := dbscope.One[accessRow](ctx, db, dbscope.System(),
		`SELECT `+accessColumns+`
		 FROM auth.oauth_access_tokens AS t
		 LEFT JOIN auth.sessions AS s ON s.id = t.session_id
		 LEFT JOIN auth.users AS u ON u.id = t.user_id
		 WHERE (($1 <> '' AND t.access_token = $1) OR ($1 = '' AND t.id = $2)) AND t.access_token_expires_at > now()
		   AND (t.user_id IS NULL OR u.deleted_at IS NULL AND u.disabled_at IS NULL AND s.revoked_at IS NULL)`, digestOrNone(text), id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrToken
	}
	return r.access(), err
}

func digestOrNone(text string) string {
	if text == "" {
		return ""
	}
	return DigestOf(text)
}

// DropAccessTx ends one access token of a client.
func DropAccessTx(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM auth.oauth_access_tokens WHERE id = $1`, id)
	return err
}

// The rows of codes and tokens are of use until the end of what they stand for; a code
// that was used stays while its session may have to end for it.
const (
	pruneCodes = `
		DELETE FROM auth.oauth_authorization_codes
		WHERE id IN (SELECT c.id FROM auth.oauth_authorization_codes AS c WHERE c.expires_at < now() - make_interval(secs => $1) ORDER BY c.expires_at LIMIT $2)`
	pruneTokens = `
		DELETE FROM auth.oauth_access_tokens
		WHERE id IN (SELECT t.id FROM auth.oauth_access_tokens AS t WHERE t.access_token_expires_at < now() - make_interval(secs => $1) ORDER BY t.access_token_expires_at LIMIT $2)`
	pruneDevices = `
		DELETE FROM auth.oauth_device_codes
		WHERE id IN (SELECT d.id FROM auth.oauth_device_codes AS d WHERE d.expires_at < now() - make_interval(secs => $1) ORDER BY d.expires_at LIMIT $2)`
)

// Prune drops what is over for a day.
func Prune(ctx context.Context, db dbscope.DB) error {
	const kept = 24 * time.Hour
	_, codes := db.Prune(ctx, "prune auth.oauth_authorization_codes", pruneCodes, kept.Seconds())
	_, tokens := db.Prune(ctx, "prune auth.oauth_access_tokens", pruneTokens, kept.Seconds())
	_, devices := db.Prune(ctx, "prune auth.oauth_device_codes", pruneDevices, kept.Seconds())
	return errors.Join(codes, tokens, devices)
}
