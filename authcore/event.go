package authcore

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/usertext"
)

// event is a row of auth.security_events: what happened to an account, and
// from where. Metadata holds no secret.
type event struct {
	Type     string
	UserID   string // empty where no account is concerned
	Client   Client
	Metadata map[string]any
}

const insertEvent = `
	INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
	VALUES (NULLIF($1, ''), $2, NULLIF($3, ''), NULLIF($4, ''), $5)`

func (e event) args() []any {
	var metadata *string
	if len(e.Metadata) > 0 {
		if raw, err := json.Marshal(e.Metadata); err == nil {
			text := string(raw)
			metadata = &text
		}
	}
	return []any{e.UserID, e.Type, e.Client.ip(), e.Client.agent(), metadata}
}

func recordTx(ctx context.Context, tx pgx.Tx, e event) error {
	_, err := tx.Exec(ctx, insertEvent, e.args()...)
	return err
}

// record writes an event that stands alone, such as a failed sign-in. Losing
// it must not change the answer, so a failure is logged.
func (s *Service) record(ctx context.Context, e event) {
	if _, err := s.db.Exec(ctx, system(), insertEvent, e.args()...); err != nil {
		s.log.Warn("a security event was not recorded", "event", e.Type, "error", err)
	}
}

func (c Client) ip() string {
	if !c.IP.IsValid() {
		return ""
	}
	return c.IP.Unmap().WithZone("").String()
}

// agent is the User-Agent cut to what is worth keeping.
func (c Client) agent() string { return usertext.Clean(c.UserAgent, 512) }

// clip cuts text from a client to n bytes at a character's edge, and drops
// what PostgreSQL's text cannot hold.
func clip(text string, n int) string {
	out := make([]rune, 0, min(len(text), n))
	size := 0
	for _, r := range text {
		if r == 0 || r == '\uFFFD' {
			continue
		}
		if size += len(string(r)); size > n {
			break
		}
		out = append(out, r)
	}
	return string(out)
}
