package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/usertext"
)

// Endpoint is a receiver of events.
type Endpoint struct {
	ID             string
	URL            string
	Description    string
	Types          []string // it is told of; empty for all
	PreviousUntil  *time.Time
	FailingSince   *time.Time
	DisabledAt     *time.Time
	DisabledReason *string
	CreatedAt      time.Time
}

// wants reports whether the endpoint is told of a type of event.
func (e Endpoint) wants(typ string) bool {
	return len(e.Types) == 0 || slices.Contains(e.Types, typ)
}

const (
	maxURL         = 2000 // bytes
	maxDescription = 200  // characters
)

// check mends an endpoint that is to be made, or fails with [ErrInvalid].
func (s *Service) check(e *Endpoint) error {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(e.URL) > maxURL || strings.ContainsFunc(e.URL, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("%w: the URL is not one of https without a password and a fragment", ErrInvalid)
	case u.Scheme != "https" && (u.Scheme != "http" || len(s.cfg.Networks) == 0):
		return fmt.Errorf("%w: the URL is not one of https, and the configuration lists no networks for http", ErrInvalid)
	}
	if e.Description, err = usertext.Line(e.Description, maxDescription); err != nil {
		return fmt.Errorf("%w: the description %w", ErrInvalid, err)
	}
	types := []string{}
	for _, typ := range e.Types {
		if !slices.Contains(Types(), typ) {
			return fmt.Errorf("%w: there is no event %q", ErrInvalid, typ)
		}
		if !slices.Contains(types, typ) {
			types = append(types, typ)
		}
	}
	e.Types = types
	return nil
}

// CreateTx makes an endpoint, in the scope of the system. Its URL, description and types
// are the caller's. It returns its secret, which is not shown again. It fails with
// [ErrInvalid] or [ErrTooMany].
func (s *Service) CreateTx(ctx context.Context, tx pgx.Tx, e Endpoint) (_ Endpoint, secret string, err error) {
	if err := s.check(&e); err != nil {
		return Endpoint{}, "", err
	}
	e.ID, secret = "ep_"+ids.New(), newSecret()
	sealed, err := s.cfg.Sealer.Seal([]byte(secret), []byte(e.ID))
	if err != nil {
		return Endpoint{}, "", fmt.Errorf("seal the secret of an endpoint: %w", err)
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('mana.webhook_endpoints', 0))`); err != nil {
		return Endpoint{}, "", err
	}
	err = tx.QueryRow(ctx,
		`INSERT INTO mana.webhook_endpoints (id, url, description, types, secret)
		 SELECT $1, $2, $3, $4, $5
		 WHERE (SELECT count(*) FROM mana.webhook_endpoints) < $6
		 RETURNING created_at`, e.ID, e.URL, e.Description, e.Types, sealed, maxEndpoints).Scan(&e.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrTooMany
	}
	return e, secret, err
}

// RotateTx gives an endpoint another secret, which is returned once. For a day requests
// are signed with the one before, too.
func (s *Service) RotateTx(ctx context.Context, tx pgx.Tx, id string) (secret string, err error) {
	secret = newSecret()
	sealed, err := s.cfg.Sealer.Seal([]byte(secret), []byte(id))
	if err != nil {
		return "", fmt.Errorf("seal the secret of an endpoint: %w", err)
	}
	return secret, one(tx.Exec(ctx,
		`UPDATE mana.webhook_endpoints
		 SET previous_secret = secret, previous_until = now() + make_interval(secs => $3), secret = $2
		 WHERE id = $1`, id, sealed, rotation.Seconds()))
}

// DeleteTx removes an endpoint, and what waits for it.
func (s *Service) DeleteTx(ctx context.Context, tx pgx.Tx, id string) error {
	if err := one(tx.Exec(ctx, `DELETE FROM mana.webhook_endpoints WHERE id = $1`, id)); err != nil {
		return err
	}
	return s.box.DropTx(ctx, tx, outbox.ChannelOf(Family, id))
}

// EnableTx has an endpoint told of what happens from now on. What it was not told
// meanwhile is to be replayed.
func (s *Service) EnableTx(ctx context.Context, tx pgx.Tx, id string) error {
	return one(tx.Exec(ctx,
		`UPDATE mana.webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL WHERE id = $1`, id))
}

// DisableTx has an endpoint told nothing more, and gives up what waits for it. It fails
// with [ErrNotFound] for one that is disabled already, too.
func (s *Service) DisableTx(ctx context.Context, tx pgx.Tx, id, reason string) error {
	err := one(tx.Exec(ctx,
		`UPDATE mana.webhook_endpoints SET disabled_at = now(), disabled_reason = $2 WHERE id = $1 AND disabled_at IS NULL`, id, reason))
	if err != nil {
		return err
	}
	return s.box.GiveUpTx(ctx, tx, outbox.ChannelOf(Family, id), "the endpoint was disabled")
}

const endpointColumns = `e.id, e.url, e.description, e.types, e.previous_until, e.failing_since, e.disabled_at, e.disabled_reason, e.created_at`

// List lists the endpoints, the oldest first.
func (s *Service) List(ctx context.Context) ([]Endpoint, error) {
	return dbscope.List[Endpoint](ctx, s.db, dbscope.System(),
		`SELECT `+endpointColumns+` FROM mana.webhook_endpoints AS e ORDER BY e.created_at, e.id`)
}

// Find is an endpoint. It fails with [ErrNotFound].
func (s *Service) Find(ctx context.Context, id string) (Endpoint, error) {
	e, err := dbscope.One[Endpoint](ctx, s.db, dbscope.System(),
		`SELECT `+endpointColumns+` FROM mana.webhook_endpoints AS e WHERE e.id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return e, err
}

// members are the endpoints that have a channel of the outbox.
func (s *Service) members(ctx context.Context) ([]string, error) {
	return dbscope.Texts(ctx, s.db, dbscope.System(), `SELECT e.id AS text FROM mana.webhook_endpoints AS e WHERE e.disabled_at IS NULL`)
}

// reseal seals with the first key what another one has sealed.
func (s *Service) reseal(ctx context.Context) error {
	type secrets struct {
		ID               string
		Secret, Previous []byte
	}
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx,
			`SELECT e.id, e.secret, e.previous_secret AS previous
			 FROM mana.webhook_endpoints AS e
			 ORDER BY e.id
			 FOR UPDATE SKIP LOCKED`)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByName[secrets])
		if err != nil {
			return err
		}
		for _, e := range list {
			changed := false
			for _, sealed := range []*[]byte{&e.Secret, &e.Previous} {
				if len(*sealed) == 0 || strings.HasPrefix(string(*sealed), s.cfg.SealedBy) {
					continue
				}
				plain, err := s.cfg.Sealer.Open(*sealed, []byte(e.ID))
				if err == nil {
					*sealed, err = s.cfg.Sealer.Seal(plain, []byte(e.ID))
				}
				if err != nil {
					return fmt.Errorf("seal the secret of the endpoint %s anew: %w", e.ID, err)
				}
				changed = true
			}
			if !changed {
				continue
			}
			if _, err := tx.Exec(ctx, `UPDATE mana.webhook_endpoints SET secret = $2, previous_secret = $3 WHERE id = $1`, e.ID, e.Secret, e.Previous); err != nil {
				return err
			}
		}
		return nil
	})
}
