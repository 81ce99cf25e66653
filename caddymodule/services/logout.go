package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/internal/outbox"
)

// logoutChannel is that of logouts that OpenID clients are told of, whose kinds are the
// ids of the clients.
const logoutChannel = "logout"

// logoutPauses are those between the tries to tell a client; the last one repeats.
func logoutPauses() []time.Duration {
	return []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour}
}

// logoutQueue implements [grant.LogoutQueue] by the outbox.
type logoutQueue struct {
	box  *outbox.Box
	auth *authcore.Service
}

// PutLogoutTx implements [grant.LogoutQueue].
func (q *logoutQueue) PutLogoutTx(ctx context.Context, tx pgx.Tx, l openid.Logout) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return q.box.Put(ctx, tx, outbox.Message{Channel: logoutChannel, Kind: l.ClientID, UserID: l.UserID, Body: body})
}

// Wake implements [grant.LogoutQueue].
func (q *logoutQueue) Wake() { q.box.Wake() }

// deliver tells a client.
func (q *logoutQueue) deliver(ctx context.Context, m outbox.Message) error {
	var l openid.Logout
	if err := json.Unmarshal(m.Body, &l); err != nil {
		return outbox.Permanent(fmt.Errorf("read a logout: %w", err))
	}
	err := q.auth.DeliverLogout(ctx, l)
	if errors.Is(err, grant.ErrLogoutRefused) {
		return outbox.Permanent(err)
	}
	return err
}
