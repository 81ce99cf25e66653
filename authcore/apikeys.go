package authcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
)

// CreateAPIKey makes a key that acts for the caller, who must have authenticated
// recently. The secret is the key itself, which cannot be read again. It fails
// with [*ReauthenticationError], [apikey.Faults], [apikey.ErrTooMany],
// [apikey.ErrOrganization] or [ErrUserNotFound].
func (s *Service) CreateAPIKey(ctx context.Context, c principal.Caller, o apikey.Order) (made apikey.Key, secret string, err error) {
	if err := s.RequireRecent(ctx, c); err != nil {
		return apikey.Key{}, "", err
	}
	err = s.store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u User) error {
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
	return apikey.List(ctx, s.db, account.ScopeOf(c), c.UserID)
}

// APIKeysOf are the keys of a user, for an operator.
func (s *Service) APIKeysOf(ctx context.Context, _ principal.Operator, userID string) ([]apikey.Key, error) {
	return apikey.List(ctx, s.db, system(), userID)
}

// RevokeAPIKey ends a key of the caller on every edge, and what is open of it.
// It fails with [apikey.ErrNotFound] for another user's or a revoked one.
func (s *Service) RevokeAPIKey(ctx context.Context, c principal.Caller, id string) error {
	return s.revokeKey(ctx, c.UserID, id, audit.Event{Client: c.Client})
}

// RevokeAPIKeyOf ends a key of anybody, for an operator.
func (s *Service) RevokeAPIKeyOf(ctx context.Context, op principal.Operator, id string) error {
	return s.revokeKey(ctx, "", id, audit.Event{By: op})
}

// revokeKey ends a key of the user, or with an empty one of anybody. The event
// says who did it, and from where.
func (s *Service) revokeKey(ctx context.Context, userID, id string, e audit.Event) error {
	_, err := s.store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		k, err := apikey.RevokeTx(ctx, tx, userID, id)
		if err != nil {
			return nil, err
		}
		e.Type, e.UserID, e.Metadata = "api_key_revoked", k.UserID, map[string]any{"key": k.ID, "name": k.Name}
		if err := audit.RecordTx(ctx, tx, e); err != nil {
			return nil, err
		}
		cut, err := apikey.CutTx(ctx, tx, k)
		return []revocation.Revocation{cut}, err
	})
	return err
}
