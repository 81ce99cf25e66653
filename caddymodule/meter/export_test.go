package meter

import (
	"context"

	"mana.how/edge/caddymodule/request"
)

// WithCaller is the context behind a gate that found the user.
func WithCaller(ctx context.Context, userID string) context.Context {
	return &request.Auth{Context: ctx, Principal: request.Principal{Kind: request.User, UserID: userID}}
}

// In is the caller of a context who acts in an organisation.
func In(ctx context.Context, organizationID string) context.Context {
	a := *request.AuthOf(ctx)
	a.Principal.OrganizationID = organizationID
	return &a
}

// WithKey is the context behind a gate that found the key of the user.
func WithKey(ctx context.Context, userID, keyID string) context.Context {
	return &request.Auth{Context: ctx, Principal: request.Principal{Kind: request.Key, UserID: userID, KeyID: keyID}}
}
