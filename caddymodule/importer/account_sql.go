package importer

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
)

// standing are the accounts that are here, locked, with their lots.
func standing(ctx context.Context, tx pgx.Tx, ids []string) (map[string]*account, error) {
	rows, err := tx.Query(ctx, `
		SELECT b.user_id, b.balance, b.debt, b.total_earned, b.sequence, b.version FROM credits.balances AS b
		WHERE b.user_id = ANY ($1) ORDER BY b.user_id FOR UPDATE`, ids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByNameLax[account])
	if err != nil {
		return nil, err
	}
	here := make(map[string]*account, len(list))
	for _, a := range list {
		here[a.UserID] = a
	}
	rows, err = tx.Query(ctx, `
		SELECT l.user_id, l.id, l.remaining, l.promotional, l.sequence FROM credits.lots AS l WHERE l.user_id = ANY ($1) AND l.remaining > 0`, ids)
	if err != nil {
		return nil, err
	}
	var user string
	var l lot
	_, err = pgx.ForEachRow(rows, []any{&user, &l.ID, &l.Remaining, &l.Promotional, &l.Sequence}, func() error {
		one := l
		here[user].lots = append(here[user].lots, &one)
		return nil
	})
	return here, err
}

// doneEntries are the entries of an account that are here already.
func doneEntries(ctx context.Context, tx pgx.Tx, was bool, userID string) (map[string]bool, error) {
	done := make(map[string]bool)
	if !was {
		return done, nil
	}
	rows, err := tx.Query(ctx, `SELECT t.id FROM credits.transactions AS t WHERE t.user_id = $1`, userID)
	if err != nil {
		return nil, err
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { done[id] = true; return nil })
	return done, err
}

// save writes what was added to accounts.
func save(ctx context.Context, tx pgx.Tx, accounts []*account, digests []string) error {
	if len(accounts) == 0 {
		return nil
	}
	var balances, entries, lots, burnt, usage, debts []row
	var keys, marks []string
	for _, a := range accounts {
		a.Version++
		balances = append(balances, row{
			"user_id": a.UserID, "balance": a.Balance, "total_earned": a.TotalEarned, "total_spent": a.TotalEarned - a.Balance, "debt": a.Debt,
			"version": a.Version, "sequence": a.Sequence, "burnt_through": a.Sequence, "loose_refunds": a.refunds, "created_at": a.createdAt,
		})
		entries, debts, usage = append(entries, a.entries...), append(debts, a.debts...), append(usage, a.usage...)
		for _, l := range a.lots {
			switch {
			case l.row != nil:
				l.row["remaining"], l.row["burnt"] = l.Remaining, l.burnt
				lots = append(lots, l.row)
			case l.burnt > 0:
				burnt = append(burnt, row{"id": l.ID, "burnt": l.burnt})
			}
		}
		keys, marks = append(keys, a.UserID), append(marks, a.mark())
	}
	for _, w := range []struct {
		rows []row
		sql  string
	}{
		{balances, `
			INSERT INTO credits.balances AS b (user_id, balance, total_earned, total_spent, debt, version, sequence, burnt_through, loose_refunds, created_at)
			SELECT n.user_id, n.balance, n.total_earned, n.total_spent, n.debt, n.version, n.sequence, n.burnt_through, n.loose_refunds, coalesce(n.created_at, now())
			FROM jsonb_populate_recordset(NULL::credits.balances, $1::jsonb) AS n
			ON CONFLICT (user_id) DO UPDATE
			SET balance = excluded.balance, total_earned = excluded.total_earned, total_spent = excluded.total_spent, debt = excluded.debt,
			    version = excluded.version, sequence = excluded.sequence, burnt_through = excluded.burnt_through,
			    loose_refunds = b.loose_refunds OR excluded.loose_refunds, updated_at = now()`},
		{entries, `
			INSERT INTO credits.transactions (id, user_id, sequence, type, status, amount, balance_before, balance_after, app_id, operation, description,
				metadata, idempotency_key, internal_key, created_at, completed_at)
			SELECT n.id, n.user_id, n.sequence, n.type, n.status, n.amount, n.balance_before, n.balance_after, n.app_id, n.operation, n.description,
				n.metadata, n.idempotency_key, n.internal_key, coalesce(n.created_at, now()), n.completed_at
			FROM jsonb_populate_recordset(NULL::credits.transactions, $1::jsonb) AS n`},
		{lots, `
			INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, reference, granted, remaining, burnt, created_at)
			SELECT n.id, n.transaction_id, n.user_id, n.sequence, n.source, n.reference, n.granted, n.remaining, n.burnt, coalesce(n.created_at, now())
			FROM jsonb_populate_recordset(NULL::credits.lots, $1::jsonb) AS n`},
		{burnt, `
			UPDATE credits.lots AS l SET remaining = l.remaining - n.burnt, burnt = l.burnt + n.burnt
			FROM jsonb_populate_recordset(NULL::credits.lots, $1::jsonb) AS n
			WHERE l.id = n.id`},
		{usage, `
			INSERT INTO credits.usage_stats AS u (user_id, app_id, operation, date, credits_used, requests)
			SELECT n.user_id, n.app_id, n.operation, (n.created_at AT TIME ZONE 'UTC')::date, sum(-n.amount), count(*)
			FROM jsonb_populate_recordset(NULL::credits.transactions, $1::jsonb) AS n
			GROUP BY 1, 2, 3, 4
			ON CONFLICT (user_id, app_id, operation, date) DO UPDATE
			SET credits_used = u.credits_used + excluded.credits_used, requests = u.requests + excluded.requests`},
		{debts, `
			INSERT INTO credits.debts (user_id, reference, kind, amount, transaction_id, reason, forgiven_by)
			SELECT n.user_id, n.reference, n.kind, n.amount, n.transaction_id, n.reason, n.forgiven_by
			FROM jsonb_populate_recordset(NULL::credits.debts, $1::jsonb) AS n`},
	} {
		if len(w.rows) == 0 {
			continue
		}
		doc, err := encode(w.rows)
		if err == nil {
			_, err = tx.Exec(ctx, w.sql, doc)
		}
		if err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO credits.usage_watermarks AS w (user_id, sequence)
		SELECT b.user_id, b.sequence FROM credits.balances AS b WHERE b.user_id = ANY ($1) AND b.sequence > 0
		ON CONFLICT (user_id) DO UPDATE SET sequence = excluded.sequence`, keys); err != nil {
		return err
	}
	return remember(ctx, tx, "credits.balances", keys, digests, marks)
}

// encode writes rows as one JSON document.
func encode(rows []row) (string, error) {
	var doc bytes.Buffer
	err := json.NewEncoder(&doc).Encode(rows)
	return doc.String(), err
}

// remember keeps the marks of units that were written.
func remember(ctx context.Context, tx pgx.Tx, kind string, ids, digests, marks []string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO mana.imported (kind, id, source, written)
		SELECT $1, n.id, n.source, n.written FROM unnest($2::text[], $3::text[], $4::text[]) AS n (id, source, written)
		ON CONFLICT (kind, id) DO UPDATE SET source = excluded.source, written = excluded.written`, kind, ids, digests, marks)
	return err
}
