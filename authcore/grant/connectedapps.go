package grant

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/internal/dbscope"
)

// ConnectedApp is a client that a user has allowed something, or that holds a session of
// theirs.
type ConnectedApp struct {
	Client      openid.Client
	Scopes      []string
	ConnectedAt time.Time
	LastUsedAt  time.Time
	Sessions    int
}

// connectedRow is a client's live sessions of a user.
type connectedRow struct {
	ClientID   string
	Scopes     string
	Since      time.Time
	LastUsedAt time.Time
	Sessions   int
}

// ConnectedApps are those of a user, by name.
func (s *Grants) ConnectedApps(ctx context.Context, c principal.Caller) ([]ConnectedApp, error) {
	consents, err := openid.Consents(ctx, s.with.DB, c.UserID)
	if err != nil {
		return nil, err
	}
	rows, err := dbscope.List[connectedRow](ctx, s.with.DB, account.ScopeOf(c),
		`SELECT s.client_id, coalesce(string_agg(DISTINCT s.scopes, ' '), '') AS scopes, min(s.created_at) AS since, max(s.last_activity_at) AS last_used_at, count(*)::int AS sessions
		 FROM auth.sessions AS s
		 WHERE s.user_id = $1 AND s.client_id IS NOT NULL AND s.revoked_at IS NULL AND s.expires_at > now()
		 GROUP BY s.client_id`, c.UserID)
	if err != nil {
		return nil, err
	}
	apps := map[string]*ConnectedApp{}
	for _, given := range consents {
		apps[given.ClientID] = &ConnectedApp{Scopes: given.Scopes, ConnectedAt: given.GivenAt, LastUsedAt: given.UpdatedAt}
	}
	for _, r := range rows {
		a := apps[r.ClientID]
		if a == nil {
			a = &ConnectedApp{ConnectedAt: r.Since}
			apps[r.ClientID] = a
		}
		a.Sessions = r.Sessions
		if r.LastUsedAt.After(a.LastUsedAt) {
			a.LastUsedAt = r.LastUsedAt
		}
		for _, scope := range strings.Fields(r.Scopes) {
			if !slices.Contains(a.Scopes, scope) {
				a.Scopes = append(a.Scopes, scope)
			}
		}
	}
	list := make([]ConnectedApp, 0, len(apps))
	for id, a := range apps {
		if a.Client, err = s.OpenIDClient(ctx, id); errors.Is(err, openid.ErrUnknownClient) {
			a.Client = openid.Client{ID: id, Name: id, Disabled: true}
		} else if err != nil {
			return nil, err
		}
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b ConnectedApp) int {
		if c := strings.Compare(strings.ToLower(a.Client.Name), strings.ToLower(b.Client.Name)); c != 0 {
			return c
		}
		return strings.Compare(a.Client.ID, b.Client.ID)
	})
	return list, nil
}

// DisconnectApp takes back what the caller has allowed a client, and ends its sessions of
// theirs. One that has nothing is no error.
func (s *Grants) DisconnectApp(ctx context.Context, c principal.Caller, clientID string) error {
	_, err := s.with.Store.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		if err := openid.WithdrawTx(ctx, tx, c.UserID, clientID); err != nil {
			return nil, err
		}
		return session.RevokeTx(ctx, tx, audit.Event{Type: "app_disconnected", UserID: c.UserID, Client: c.Client, Metadata: map[string]any{"client": audit.Clip(clientID, 128)}},
			revocation.ReasonDisconnected, `s.user_id = $1 AND s.client_id = $2 AND s.revoked_at IS NULL`, c.UserID, clientID)
	})
	return err
}
