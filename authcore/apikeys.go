package authcore

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// CreateAPIKey makes a key that acts for the caller, who must have authenticated
// recently. The secret is the key itself, which cannot be read again. It fails
// with [*ReauthenticationError], [apikey.Faults], [apikey.ErrTooMany],
// [apikey.ErrOrganization] or [ErrUserNotFound].
func (s *Service) CreateAPIKey(ctx context.Context, c principal.Caller, o apikey.Order) (made apikey.Key, secret string, err error) {
	if err := s.RequireRecent(ctx, c); err != nil {
		return apikey.Key{}, "", err
	}
	err = s.asUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
		if made, secret, err = apikey.CreateTx(ctx, tx, u.ID, o, s.now()); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "api_key_created", UserID: u.ID, Client: c.Client,
			Metadata: map[string]any{"key": made.ID, "name": made.Name, "scopes": made.Scopes}})
	})
	return made, secret, err
}

// APIKeys are the caller's keys, the newest first, those revoked included.
func (s *Service) APIKeys(ctx context.Context, c principal.Caller) ([]apikey.Key, error) {
	return apikey.List(ctx, s.db, scopeOf(c), c.UserID)
}

// APIKeysOf are the keys of a user, for an operator.
func (s *Service) APIKeysOf(ctx context.Context, _ principal.Operator, userID string) ([]apikey.Key, error) {
	return apikey.List(ctx, s.db, system(), userID)
}

// RevokeAPIKey ends a key of the caller on every edge, and what is open of it.
// It fails with [apikey.ErrNotFound] for another user's or a revoked one.
func (s *Service) RevokeAPIKey(ctx context.Context, c principal.Caller, id string) error {
	return s.revokeKey(ctx, c.UserID, id, c.Client, nil)
}

// RevokeAPIKeyOf ends a key of anybody, for an operator.
func (s *Service) RevokeAPIKeyOf(ctx context.Context, op principal.Operator, id string) error {
	return s.revokeKey(ctx, "", id, principal.Client{}, map[string]any{"operator": op.Name})
}

// revokeKey ends a key of the user, or with an empty one of anybody. by says in
// the event who did it, where it was not the user.
func (s *Service) revokeKey(ctx context.Context, userID, id string, client principal.Client, by map[string]any) error {
	_, err := s.cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		k, err := apikey.RevokeTx(ctx, tx, userID, id)
		if err != nil {
			return nil, err
		}
		metadata := map[string]any{"key": k.ID, "name": k.Name}
		maps.Copy(metadata, by)
		if err := audit.RecordTx(ctx, tx, audit.Event{Type: "api_key_revoked", UserID: k.UserID, Client: client, Metadata: metadata}); err != nil {
			return nil, err
		}
		cut, err := dbscope.TxRow[revocation.Revocation](ctx, tx,
			`INSERT INTO auth.revocations (user_id, session_id, reason) VALUES ($1, $2, $3) RETURNING `+revocationColumns,
			k.UserID, apikey.SessionOf(k.ID), reasonKeyRevoked)
		return []revocation.Revocation{cut}, err
	})
	return err
}
