package services

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/webhook"
)

// newWebhooks makes the webhooks, whose outbox is given to them later.
func newWebhooks(s config.Settings, pool *pgxpool.Pool, keys secret.Keys, log *slog.Logger) *webhook.Service {
	return webhook.New(webhook.Config{
		DB:     dbscope.DB{Pool: pool, Error: func(err error) error { return err }},
		Sealer: keys.Bound(), SealedBy: keys.SealingPrefix(), Logger: log,
		Networks: s.WebhookNetworks, Retention: s.Retention.Outbox, Disabled: recordDisabled,
	})
}

// recordDisabled records that an endpoint was disabled by the edge itself.
func recordDisabled(ctx context.Context, tx pgx.Tx, id, reason string) error {
	return audit.RecordTx(ctx, tx, audit.Event{
		Type: "webhook_disabled", By: principal.Operator{Name: "edge", Reason: reason}, Metadata: map[string]any{"endpoint": id},
	})
}
