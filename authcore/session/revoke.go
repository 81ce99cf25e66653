package session

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
)

// Revoke ends the live sessions that the condition on `s` selects, with those
// that were derived from them, and announces it. It returns how many ended.
func (s *Store) Revoke(ctx context.Context, e audit.Event, reason, condition string, args ...any) (int, error) {
	return s.Cutting(ctx, func(ctx context.Context, tx pgx.Tx) ([]revocation.Revocation, error) {
		return RevokeTx(ctx, tx, e, reason, condition, args...)
	})
}

// Cutting runs a transaction that revokes, and announces what it revoked when
// that is committed. Should two that revoke many sessions meet head-on, the
// loser tries again.
func (s *Store) Cutting(ctx context.Context, fn func(context.Context, pgx.Tx) ([]revocation.Revocation, error)) (int, error) {
	var revs []revocation.Revocation
	try := func() error {
		return s.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) (err error) {
			revs, err = fn(ctx, tx)
			return err
		})
	}
	err := try()
	if isDeadlock(err) {
		err = try()
	}
	if err != nil {
		return 0, err
	}
	s.Announce(revs...)
	return len(revs), nil
}

// RevokeTx is revoke within a transaction.
func RevokeTx(ctx context.Context, tx pgx.Tx, e audit.Event, reason, condition string, args ...any) ([]revocation.Revocation, error) {
	ended, err := revokeSeenTx(ctx, tx, e, reason, condition, args...)
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	// A session that was being derived from one of them held it locked until
	// it was there, unseen by the statement that waited. From now on none can.
	ids := make([]string, len(ended))
	for i, rev := range ended {
		ids[i] = *rev.SessionID
	}
	late, err := revokeSeenTx(ctx, tx, e, reason, `s.id = ANY($1::text[])`, ids)
	if err == nil {
		err = audit.RecordAdminTx(ctx, tx, e)
	}
	return append(ended, late...), err
}

// revokeSeenTx ends what is there when it begins. Families are locked before
// sessions, as a refresh does.
func revokeSeenTx(ctx context.Context, tx pgx.Tx, e audit.Event, reason, condition string, args ...any) ([]revocation.Revocation, error) {
	args = append(args, reason)
	args = append(args, e.Args()...)
	n := len(args) - 6
	statement := `
		WITH chosen AS MATERIALIZED (
		  SELECT s.id FROM auth.sessions AS s WHERE ` + condition + `),
		dead AS MATERIALIZED (
		  SELECT s.id FROM auth.sessions AS s
		  WHERE s.revoked_at IS NULL
		    AND (s.id IN (SELECT id FROM chosen) OR s.parent_id IN (SELECT id FROM chosen))),
		families AS (
		  UPDATE auth.refresh_families AS f
		  SET revoked_at = now(), revoked_reason = ` + arg(n+1) + `::text
		  WHERE f.session_id IN (SELECT id FROM dead) AND f.revoked_at IS NULL
		  RETURNING f.id),
		ended AS (
		  UPDATE auth.sessions AS s
		  SET revoked_at = now(), updated_at = now()
		  WHERE s.id IN (SELECT id FROM dead) AND s.revoked_at IS NULL
		    AND (SELECT count(*) FROM families) >= 0
		  RETURNING s.id, s.user_id),
		recorded AS (
		  INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
		  SELECT e.user_id, ` + arg(n+3) + `::text, NULLIF(` + arg(n+4) + `::text, ''),
		    NULLIF(` + arg(n+5) + `::text, ''),
		    COALESCE(` + arg(n+6) + `::text::jsonb, '{}') || jsonb_build_object('sessions', e.sessions, 'cause', ` + arg(n+1) + `::text)
		  FROM (
		    SELECT COALESCE(NULLIF(` + arg(n+2) + `::text, ''), ended.user_id) AS user_id, count(*) AS sessions
		    FROM ended GROUP BY 1) AS e)
		INSERT INTO auth.revocations (user_id, session_id, reason)
		SELECT user_id, id, ` + arg(n+1) + `::text FROM ended
		RETURNING ` + revocation.Columns
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[revocation.Revocation])
}

// arg is the placeholder of the nth argument.
func arg(n int) string { return "$" + strconv.Itoa(n) }

func isDeadlock(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "40P01"
}
