package openid

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// clientRow is a row of auth.oauth_applications.
type clientRow struct {
	ClientID             string
	Name                 string
	Icon                 string
	ClientSecret         string
	Public               bool
	Trusted              bool
	RedirectURLs         string `db:"redirect_urls"`
	PostLogoutRedirects  string
	BackchannelLogoutURI string `db:"backchannel_logout_uri"`
	Scopes               string
	GrantTypes           string
	IDTokenAlg           token.Algorithm `db:"id_token_alg"`
	AccessTokenFormat    Format
	Audience             string
	Disabled             bool
	Registered           bool
	CreatedAt            time.Time
}

// registeredMetadata is what auth.oauth_applications has of a client that registered
// itself.
const registeredMetadata = `{"registered":true}`

const clientColumns = `a.client_id, a.name, coalesce(a.icon, '') AS icon, a.client_secret, a.public, a.trusted, a.redirect_urls, a.post_logout_redirects,
	a.backchannel_logout_uri, a.scopes, a.grant_types, a.id_token_alg, a.access_token_format, a.audience, a.disabled, coalesce(a.metadata, '') = '` + registeredMetadata + `' AS registered, a.created_at`

func (r clientRow) client() Client {
	return Client{
		ID: r.ClientID, Name: r.Name, LogoURI: r.Icon, SecretDigest: r.ClientSecret, Public: r.Public, Trusted: r.Trusted,
		RedirectURIs: commaList(r.RedirectURLs), PostLogoutRedirectURIs: commaList(r.PostLogoutRedirects),
		BackchannelLogoutURI: r.BackchannelLogoutURI, Scopes: strings.Fields(r.Scopes), GrantTypes: strings.Fields(r.GrantTypes),
		Algorithm: r.IDTokenAlg, AccessTokenFormat: r.AccessTokenFormat, Audience: r.Audience, Disabled: r.Disabled, Registered: r.Registered, CreatedAt: r.CreatedAt,
	}
}

// commaList reads addresses that are separated by commas, as the replaced service
// stored them.
func commaList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// Find reads a client of the database. It fails with [ErrUnknownClient], for one that
// is disabled too.
func Find(ctx context.Context, db dbscope.DB, id string) (Client, error) {
	r, err := dbscope.One[clientRow](ctx, db, dbscope.System(),
		`SELECT `+clientColumns+` FROM auth.oauth_applications AS a WHERE a.client_id = $1 AND NOT a.disabled`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrUnknownClient
	}
	return r.client(), err
}

// List reads every client of the database, by id.
func List(ctx context.Context, db dbscope.DB) ([]Client, error) {
	rows, err := dbscope.List[clientRow](ctx, db, dbscope.System(),
		`SELECT `+clientColumns+` FROM auth.oauth_applications AS a ORDER BY a.client_id`)
	clients := make([]Client, len(rows))
	for i, r := range rows {
		clients[i] = r.client()
	}
	return clients, err
}

// InsertTx stores a client, whose faults the caller has looked for. It fails with
// [ErrClientTaken]. A comma in an address is stored as its escape.
func InsertTx(ctx context.Context, tx pgx.Tx, c Client) error {
	_, err := tx.Exec(ctx,
		`INSERT INTO auth.oauth_applications (id, client_id, name, icon, client_secret, public, trusted, redirect_urls, post_logout_redirects,
		   backchannel_logout_uri, scopes, grant_types, id_token_alg, access_token_format, audience, type, metadata)
		 VALUES ($1, $2, $3, NULLIF($4, ''), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, CASE WHEN $6 THEN 'public' ELSE 'web' END, CASE WHEN $16 THEN '`+registeredMetadata+`' END)`,
		ids.New(), c.ID, c.Name, c.LogoURI, c.SecretDigest, c.Public, c.Trusted, commaText(c.RedirectURIs), commaText(c.PostLogoutRedirectURIs),
		c.BackchannelLogoutURI, strings.Join(c.Scopes, " "), strings.Join(c.GrantTypes, " "), string(c.Algorithm), string(c.AccessTokenFormat), c.Audience, c.Registered)
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "23505" {
		return ErrClientTaken
	}
	return err
}

func commaText(list []string) string {
	escaped := make([]string, len(list))
	for i, uri := range list {
		escaped[i] = strings.ReplaceAll(uri, ",", "%2C")
	}
	return strings.Join(escaped, ",")
}

// RotateTx gives a client another secret. It fails with [ErrUnknownClient], for public
// ones too.
func RotateTx(ctx context.Context, tx pgx.Tx, id, digest string) error {
	tag, err := tx.Exec(ctx,
		`UPDATE auth.oauth_applications SET client_secret = $2, updated_at = now() WHERE client_id = $1 AND NOT public`, id, digest)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrUnknownClient
	}
	return err
}

// DeleteTx removes a client with what users have allowed it, and the tokens and codes
// it holds; its sessions are for the caller to end. It fails with [ErrUnknownClient].
func DeleteTx(ctx context.Context, tx pgx.Tx, id string) error {
	tag, err := tx.Exec(ctx, `DELETE FROM auth.oauth_applications WHERE client_id = $1`, id)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return ErrUnknownClient
	}
	for _, sql := range []string{
		`DELETE FROM auth.oauth_consents WHERE client_id = $1`,
		`DELETE FROM auth.oauth_authorization_codes WHERE client_id = $1`,
		`DELETE FROM auth.oauth_device_codes WHERE client_id = $1`,
		`DELETE FROM auth.oauth_access_tokens WHERE client_id = $1`,
	} {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return err
		}
	}
	return nil
}
