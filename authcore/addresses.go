package authcore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/address"
)

// addressesLock keeps two processes from the same step ("addr" in ASCII).
const addressesLock = 0x61646472

// AddressConflict names two accounts whose addresses are one.
type AddressConflict struct {
	First, Second     string // the addresses as they are stored
	FirstID, SecondID string
}

// AddressConflictError reports that accounts would become one. Nothing was
// changed.
type AddressConflictError struct{ Conflicts []AddressConflict }

func (e *AddressConflictError) Error() string {
	var b strings.Builder
	b.WriteString("two accounts would become one, for these addresses are the same; delete one of each pair " +
		"(`mana-edge mana user delete <id>`), then try again:")
	for _, c := range e.Conflicts {
		fmt.Fprintf(&b, "\n\t%q (id %s) and %q (id %s)", c.First, c.FirstID, c.Second, c.SecondID)
	}
	return b.String()
}

// storedAddress is a row whose address may not be canonical.
type storedAddress struct{ ID, Email string }

// notPlain selects what may have another canonical form than its own.
const notPlain = `(octet_length(%[1]s) <> char_length(%[1]s) OR %[1]s <> btrim(%[1]s))`

// CanonicalizeAddresses brings the addresses that older versions stored into
// the one form in which they are compared, once per database. Everything is
// changed or, with an [*AddressConflictError], nothing. Addresses that have no
// such form stay as they are; their number is returned. conn must not be
// inside a transaction.
func CanonicalizeAddresses(ctx context.Context, conn *pgx.Conn) (kept int, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("make addresses canonical: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if kept, err = canonicalizeTx(ctx, tx); err == nil {
		err = tx.Commit(ctx)
	}
	var conflict *AddressConflictError
	if err != nil && !errors.As(err, &conflict) {
		err = fmt.Errorf("make addresses canonical: %w", err)
	}
	return kept, err
}

func canonicalizeTx(ctx context.Context, tx pgx.Tx) (kept int, err error) {
	if _, err := tx.Exec(ctx, `SET LOCAL ROLE mana_system`, pgx.QueryExecModeExec); err != nil {
		return 0, err
	}
	if done, err := canonicalizedTx(ctx, tx); done || err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, pgx.QueryExecModeExec, int64(addressesLock)); err != nil {
		return 0, err
	}
	if done, err := canonicalizedTx(ctx, tx); done || err != nil {
		return 0, err
	}
	if kept, err = canonicalizeUsersTx(ctx, tx); err != nil {
		return 0, err
	}
	for _, c := range []struct{ table, column string }{
		{"auth.invitations", "email"}, {"auth.matrix_user_links", "email"}, {"gifts.gift_codes", "target_email"},
	} {
		rows, err := notPlainTx(ctx, tx, c.table, c.column)
		if err != nil {
			return 0, err
		}
		if err := rewriteTx(ctx, tx, c.table, c.column, rows); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO mana.data_steps (name) VALUES ('canonical addresses')`, pgx.QueryExecModeExec)
	return kept, err
}

func canonicalizedTx(ctx context.Context, tx pgx.Tx) (done bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM mana.data_steps WHERE name = 'canonical addresses')`, pgx.QueryExecModeExec).Scan(&done)
	return done, err
}

func notPlainTx(ctx context.Context, tx pgx.Tx, table, column string) ([]storedAddress, error) {
	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT id, %[1]s AS email FROM %[2]s WHERE `+notPlain+` ORDER BY id`, column, table),
		pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[storedAddress])
}

// canonicalizeUsersTx rewrites the addresses of accounts, or finds out which
// would be the same.
func canonicalizeUsersTx(ctx context.Context, tx pgx.Tx) (kept int, err error) {
	rows, err := notPlainTx(ctx, tx, "auth.users", "email")
	if err != nil {
		return 0, err
	}
	var conflicts []AddressConflict
	var forms []string
	owner := map[string]storedAddress{}
	for _, row := range rows {
		form, err := address.Canonical(row.Email)
		if err != nil {
			kept++
			continue
		}
		if first, taken := owner[form]; taken {
			conflicts = append(conflicts, AddressConflict{first.Email, row.Email, first.ID, row.ID})
			continue
		}
		owner[form] = row
		forms = append(forms, form)
	}
	for part := range slices.Chunk(forms, 1000) {
		list, err := tx.Query(ctx, `SELECT id, email FROM auth.users WHERE email = ANY($1) ORDER BY id`, pgx.QueryExecModeExec, part)
		if err != nil {
			return 0, err
		}
		present, err := pgx.CollectRows(list, pgx.RowToStructByName[storedAddress])
		if err != nil {
			return 0, err
		}
		for _, p := range present {
			if row := owner[p.Email]; row.ID != p.ID {
				conflicts = append(conflicts, AddressConflict{row.Email, p.Email, row.ID, p.ID})
			}
		}
	}
	if len(conflicts) > 0 {
		return 0, &AddressConflictError{conflicts}
	}
	return kept, rewriteTx(ctx, tx, "auth.users", "email", rows)
}

// rewriteTx stores the canonical form of what has one.
func rewriteTx(ctx context.Context, tx pgx.Tx, table, column string, rows []storedAddress) error {
	batch := new(pgx.Batch)
	for _, row := range rows {
		if form, err := address.Canonical(row.Email); err == nil && form != row.Email {
			batch.Queue(fmt.Sprintf(`UPDATE %s SET %s = $2 WHERE id = $1`, table, column), row.ID, form)
		}
	}
	return tx.SendBatch(ctx, batch).Close()
}
