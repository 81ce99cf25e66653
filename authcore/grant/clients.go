package grant

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// OpenIDClient finds a client: of the configuration, else of the database. It fails with
// [openid.ErrUnknownClient].
func (s *Grants) OpenIDClient(ctx context.Context, id string) (openid.Client, error) {
	if i := slices.IndexFunc(s.with.Clients, func(c openid.Client) bool { return c.ID == id }); i >= 0 {
		return s.with.Clients[i], nil
	}
	if id == "" || len(id) > 128 || strings.ContainsRune(id, 0) {
		return openid.Client{}, openid.ErrUnknownClient
	}
	c, err := openid.Find(ctx, s.with.DB, id)
	return c.WithDefaults(), err
}

// OpenIDClients lists every client, those of the configuration first.
func (s *Grants) OpenIDClients(ctx context.Context) ([]openid.Client, error) {
	stored, err := openid.List(ctx, s.with.DB)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(s.with.Clients)
	for _, c := range stored {
		if !slices.ContainsFunc(s.with.Clients, func(known openid.Client) bool { return known.ID == c.ID }) {
			all = append(all, c.WithDefaults())
		}
	}
	return all, nil
}

// CreateOpenIDClient stores a client and makes its secret, which is returned once; a
// public one has none. Without an id it gets one. It fails with the faults of the
// client, [openid.ErrClientTaken] or [openid.ErrConfigured].
func (s *Grants) CreateOpenIDClient(ctx context.Context, op principal.Operator, c openid.Client) (_ openid.Client, secret string, err error) {
	return s.insertOpenIDClient(ctx, audit.Event{By: op}, c)
}

func (s *Grants) insertOpenIDClient(ctx context.Context, e audit.Event, c openid.Client) (_ openid.Client, secret string, err error) {
	c = c.WithDefaults()
	if c.ID == "" {
		c.ID = strings.ToLower(ids.New())
	}
	c.SecretDigest = ""
	if !c.Public {
		secret = ids.New()
		c.SecretDigest = openid.DigestOf(secret)
	}
	if err := errors.Join(c.Faults()...); err != nil {
		return openid.Client{}, "", err
	}
	if s.configures(c.ID) {
		return openid.Client{}, "", openid.ErrConfigured
	}
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := openid.InsertTx(ctx, tx, c); err != nil {
			return err
		}
		e.Type, e.Metadata = "client_created", map[string]any{"client": c.ID}
		return audit.RecordTx(ctx, tx, e)
	})
	return c, secret, err
}

// RegistersClients reports whether clients can register themselves.
func (s *Grants) RegistersClients() bool { return s.with.Registration != "" }

// RegisterOpenIDClient stores a client that registers itself by an initial access token
// (RFC 7591), and makes its id and secret. Users are asked for consent as for any stranger.
// It fails with [openid.ErrToken] or the faults of the client.
func (s *Grants) RegisterOpenIDClient(ctx context.Context, client principal.Client, initialToken string, c openid.Client) (_ openid.Client, secret string, err error) {
	if !s.RegistersClients() || subtle.ConstantTimeCompare([]byte(openid.DigestOf(initialToken)), []byte(s.with.Registration)) != 1 {
		return openid.Client{}, "", openid.ErrToken
	}
	c.ID, c.Trusted, c.Registered = "", false, true
	return s.insertOpenIDClient(ctx, audit.Event{Client: client}, c)
}

func (s *Grants) configures(id string) bool {
	return slices.ContainsFunc(s.with.Clients, func(c openid.Client) bool { return c.ID == id })
}

// RotateOpenIDClient gives a client another secret, which is returned once. The one
// before is worth nothing from then on. It fails with [openid.ErrUnknownClient], for
// public ones too, or [openid.ErrConfigured].
func (s *Grants) RotateOpenIDClient(ctx context.Context, op principal.Operator, id string) (secret string, err error) {
	if s.configures(id) {
		return "", openid.ErrConfigured
	}
	secret = ids.New()
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if err := openid.RotateTx(ctx, tx, id, openid.DigestOf(secret)); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "client_secret_rotated", By: op, Metadata: map[string]any{"client": id}})
	})
	return secret, err
}

// DeleteOpenIDClient removes a client, and ends every session it holds. It fails with
// [openid.ErrUnknownClient] or [openid.ErrConfigured].
func (s *Grants) DeleteOpenIDClient(ctx context.Context, op principal.Operator, id string) error {
	if s.configures(id) {
		return openid.ErrConfigured
	}
	_, err := s.with.Store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		if err := openid.DeleteTx(ctx, tx, id); err != nil {
			return nil, err
		}
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "client_deleted", By: op, Metadata: map[string]any{"client": id}}); err != nil {
			return nil, err
		}
		return session.RevokeTx(ctx, tx, audit.Event{Type: "app_disconnected", By: op, Metadata: map[string]any{"client": id}}, revocation.ReasonDisconnected,
			`s.client_id = $1 AND s.revoked_at IS NULL`, id)
	})
	return err
}

// SigningAlgorithms are those by which tokens of clients are signed: Ed25519, and
// RS256 where a client is registered so.
func (s *Grants) SigningAlgorithms() []token.Algorithm {
	list := []token.Algorithm{token.EdDSA}
	if s.with.Keys.Load().Has(token.RS256, s.with.Now()) || s.AsksRSA() {
		list = append(list, token.RS256)
	}
	return list
}

// AsksRSA reports whether a client of the configuration is signed for with RS256.
func (s *Grants) AsksRSA() bool {
	return slices.ContainsFunc(s.with.Clients, func(c openid.Client) bool { return c.Algorithm == token.RS256 })
}

// SignForClient makes a compact JWS of a payload with the key of the client's
// algorithm. The first RSA key is made when the first client asks for one, which may
// take a second.
func (s *Grants) SignForClient(ctx context.Context, c openid.Client, typ string, payload []byte) (string, error) {
	k, ok := s.with.Keys.Load().Signer(c.Algorithm, s.with.Now())
	if !ok {
		if err := s.with.MakeKey(ctx, c.Algorithm); err != nil {
			return "", fmt.Errorf("make the first %s key: %w", c.Algorithm, err)
		}
		if k, ok = s.with.Keys.Load().Signer(c.Algorithm, s.with.Now()); !ok {
			return "", fmt.Errorf("no %s key to sign with", c.Algorithm)
		}
	}
	return token.SignPayload(k, typ, payload)
}

// VerifyPayload checks the signature of a token that this service made, for a user or a
// client, and returns its payload and its header. Claims are for the caller to check. It
// fails with [token.ErrInvalid].
func (s *Grants) VerifyPayload(text string) (payload []byte, head token.Header, err error) {
	return token.VerifyPayload(s.with.Keys.Load(), text, s.with.Now())
}
