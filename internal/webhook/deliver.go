package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/usertext"
)

const (
	maxAnswer = 1 << 20 // bytes that are read of an answer, so that the connection is used again
	maxShown  = 300     // bytes of an answer that are kept
)

// load is what a delivery needs: the event, and the endpoint as it is now.
type load struct {
	URL           string
	Secret        []byte
	Previous      []byte
	PreviousUntil *time.Time
	Disabled      bool
	Type          string
	Data          json.RawMessage
	CreatedAt     time.Time
}

// payload is the body of a request (Standard Webhooks, "Payload structure").
type payload struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"` // when it happened
	Data      json.RawMessage `json:"data"`
}

// deliver is the [outbox.Deliver] of all endpoints.
func (s *Service) deliver(ctx context.Context, m outbox.Message) error {
	var t ticket
	if err := json.Unmarshal(m.Body, &t); err != nil {
		return outbox.Permanent(fmt.Errorf("read what is to be delivered: %w", err))
	}
	endpointID := outbox.MemberOf(m.Channel)
	l, err := dbscope.One[load](ctx, s.db, dbscope.System(),
		`SELECT e.url, e.secret, e.previous_secret AS previous, e.previous_until, e.disabled_at IS NOT NULL AS disabled, v.type, v.data, v.created_at
		 FROM mana.webhook_endpoints AS e, mana.webhook_events AS v
		 WHERE e.id = $1 AND v.id = $2`, endpointID, t.Event)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return outbox.Permanent(errors.New("the endpoint or the event is gone"))
	case err != nil:
		return err
	case l.Disabled:
		return outbox.Permanent(ErrDisabled)
	}
	secrets, err := s.secretsOf(endpointID, l)
	if err != nil {
		return err
	}
	status, answer, err := s.post(ctx, t.Event, l, secrets)
	if err == nil {
		return s.succeeded(ctx, endpointID, t.Event, answer)
	}
	return errors.Join(err, s.failed(ctx, endpointID, t.Event, status, err.Error()))
}

// secretsOf are the secrets that sign a request, the newest first.
func (s *Service) secretsOf(endpointID string, l load) ([]string, error) {
	sealed := [][]byte{l.Secret}
	if l.PreviousUntil != nil && s.cfg.Now().Before(*l.PreviousUntil) {
		sealed = append(sealed, l.Previous)
	}
	secrets := make([]string, len(sealed))
	for i, text := range sealed {
		plain, err := s.cfg.Sealer.Open(text, []byte(endpointID))
		if err != nil {
			return nil, fmt.Errorf("open the secret of an endpoint: %w", err)
		}
		secrets[i] = string(plain)
	}
	return secrets, nil
}

// post sends an event, and returns the status and the first line of what the endpoint
// said. An answer other than 2xx is an error that quotes it.
func (s *Service) post(ctx context.Context, id string, l load, secrets []string) (status int, answer string, err error) {
	body, err := json.Marshal(payload{Type: l.Type, Timestamp: l.CreatedAt.UTC(), Data: l.Data})
	if err != nil {
		return 0, "", err
	}
	now := s.cfg.Now()
	signature, err := sign(id, now, body, secrets...)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "mana-edge")
	request.Header.Set(headerID, id)
	request.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(headerSignature, signature)
	resp, err := s.client.Do(request)
	if refused := new(url.Error); errors.As(err, &refused) {
		err = refused.Err // without the URL, whose query may be a secret
	}
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxShown))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer-int64(len(text))))
	answer = strconv.Itoa(resp.StatusCode)
	if said := usertext.Clean(string(text), maxShown); said != "" {
		answer += " " + said
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, answer, fmt.Errorf("the endpoint answers %s", answer)
	}
	return resp.StatusCode, answer, nil
}

const noteTry = `
	UPDATE mana.webhook_deliveries
	SET tries = tries + 1, last_try_at = now(), last_answer = $3, delivered_at = CASE WHEN $4 THEN now() END
	WHERE endpoint_id = $1 AND event_id = $2`

// succeeded notes that an endpoint took an event.
func (s *Service) succeeded(ctx context.Context, endpointID, eventID, answer string) error {
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, noteTry, endpointID, eventID, usertext.Clean(answer, maxShown), true); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE mana.webhook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL`, endpointID)
		return err
	})
}

// failed notes that an endpoint did not take an event. One that says it is gone (410), or
// has failed for too long, is disabled.
func (s *Service) failed(ctx context.Context, endpointID, eventID string, status int, why string) error {
	// A try that was cut off with the edge, or took all of its time, is noted still.
	ctx, cancel := dbscope.Bounded(context.WithoutCancel(ctx))
	defer cancel()
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, noteTry, endpointID, eventID, usertext.Clean(why, maxShown), false); err != nil {
			return err
		}
		var tooLong bool
		err := tx.QueryRow(ctx,
			`UPDATE mana.webhook_endpoints
			 SET failing_since = coalesce(failing_since, now())
			 WHERE id = $1 AND disabled_at IS NULL
			 RETURNING failing_since <= now() - make_interval(secs => $2)`, endpointID, disableAfter.Seconds()).Scan(&tooLong)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !tooLong && status != http.StatusGone {
			return nil
		}
		if err != nil {
			return err
		}
		reason := "it has failed for 3 days"
		if status == http.StatusGone {
			reason = "it answered 410 Gone"
		}
		return s.disableTx(ctx, tx, endpointID, reason)
	})
}

// disableTx disables an endpoint by itself, and tells of it.
func (s *Service) disableTx(ctx context.Context, tx pgx.Tx, endpointID, reason string) error {
	if err := s.DisableTx(ctx, tx, endpointID, reason); err != nil {
		return err
	}
	if err := NoteTx(ctx, tx, TypeDisabled, endpointID, map[string]string{"endpointId": endpointID, "reason": reason}); err != nil {
		return err
	}
	s.cfg.Logger.Error("the endpoint of a webhook was disabled", "endpoint", endpointID, "reason", reason)
	return s.cfg.Disabled(ctx, tx, endpointID, reason)
}
