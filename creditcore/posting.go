package creditcore

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// posting is a ledger row to be. earned and spent are what it adds to the
// account's totals; earned − spent is its amount. unburnt is what it adds to
// what lots are still to be charged with.
type posting struct {
	Type          EntryType
	Earned, Spent Amount
	Unburnt       Amount
	AppID         string
	Operation     string
	Description   string
	Metadata      json.RawMessage
	Key           string
	Fingerprint   []byte
	InternalKey   string
	Reverses      string
	APIKey        string // that makes the charge
	SpentBy       string // the member, where the account is an organisation's
}

// postTx appends a row to the ledger of a locked account and moves the balance
// with it, and what is left for who spends.
func (s *Service) postTx(ctx context.Context, tx pgx.Tx, a *locked, p posting) (Entry, error) {
	e, err := dbscope.TxRow[Entry](ctx, tx,
		`WITH b AS (
			UPDATE credits.balances AS b
			SET balance = b.balance + $2::bigint - $3::bigint, total_earned = b.total_earned + $2, total_spent = b.total_spent + $3,
			    unburnt = b.unburnt + $4, version = b.version + 1, sequence = b.sequence + 1, updated_at = clock_timestamp()
			WHERE b.user_id = $1
			RETURNING b.balance, b.sequence, b.updated_at)
		INSERT INTO credits.transactions AS t (id, user_id, sequence, type, amount, balance_before, balance_after, app_id,
			operation, description, metadata, idempotency_key, fingerprint, internal_key, reverses, api_key_id, spent_by, created_at, completed_at)
		SELECT $5, $1, b.sequence, $6, $2::bigint - $3::bigint, b.balance - $2::bigint + $3::bigint, b.balance, $7,
			$8, $9, $10::text::jsonb, $11, $12, $13, $14, $15, $16, b.updated_at, b.updated_at
		FROM b
		RETURNING `+entryColumns,
		a.UserID, int64(p.Earned), int64(p.Spent), int64(p.Unburnt), newID(), string(p.Type), p.AppID,
		p.Operation, p.Description, dbscope.NullText(string(p.Metadata)), dbscope.NullText(p.Key), p.Fingerprint, dbscope.NullText(p.InternalKey), dbscope.NullText(p.Reverses), dbscope.NullText(p.APIKey), dbscope.NullText(p.SpentBy))
	if err == nil && p.Spent > 0 && (p.APIKey != "" || p.SpentBy != "") {
		_, err = tx.Exec(ctx, `SELECT credits.spend($1, $2, $3, $4, $5)`, a.UserID, dbscope.NullText(p.SpentBy), dbscope.NullText(p.APIKey), int64(p.Spent), e.CreatedAt)
	}
	if err != nil {
		return Entry{}, err
	}
	a.Balance += p.Earned - p.Spent
	a.TotalEarned += p.Earned
	a.TotalSpent += p.Spent
	a.Unburnt += p.Unburnt
	a.Version++
	a.Sequence = e.Sequence
	a.UpdatedAt = e.CreatedAt
	return e, nil
}

// stored is a ledger row with the mark of the request it answers, and whether
// it is a charge that came back whole.
type stored struct {
	Entry
	Fingerprint []byte
	Refunded    bool
}

// replayTx finds the row of an idempotency key of a client, or of an internal key
// of the account, and whether it answers this request. A client's key may stand
// for a charge of another account: its mark says so.
func (s *Service) replayTx(ctx context.Context, tx pgx.Tx, a locked, client, key, internalKey string, fingerprint []byte) (Receipt, bool, error) {
	where, whose, name := `CASE WHEN t.spent_by IS NULL THEN t.user_id ELSE t.spent_by END = $1 AND t.idempotency_key = $2`, client, key
	if internalKey != "" {
		where, whose, name = `t.user_id = $1 AND t.internal_key = $2`, a.UserID, internalKey
	} else if key == "" {
		return Receipt{}, false, nil
	}
	found, err := dbscope.TxRow[stored](ctx, tx,
		`SELECT `+entryColumns+`, t.fingerprint,
		   t.amount < 0 AND -t.amount <= (SELECT coalesce(sum(r.amount), 0) FROM credits.transactions AS r WHERE r.reverses = t.id) AS refunded
		 FROM credits.transactions AS t
		 WHERE `+where, whose, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return Receipt{}, false, nil
	}
	if err != nil {
		return Receipt{}, false, err
	}
	if internalKey == "" && string(found.Fingerprint) != string(fingerprint) {
		return Receipt{}, false, ErrKeyReused
	}
	if internalKey == "" && found.Refunded {
		return Receipt{}, false, ErrKeyRefunded
	}
	return Receipt{Entry: found.Entry, Balance: a.of(a.UserID), Replayed: true}, true, nil
}

// burnTx charges the lots with what was spent, before an event changes them.
func (s *Service) burnTx(ctx context.Context, tx pgx.Tx, a *locked) error {
	if a.Unburnt == 0 {
		return nil
	}
	a.Unburnt = 0
	_, err := tx.Exec(ctx, `SELECT `+functions.Schema+`.burn($1)`, a.UserID)
	return err
}
