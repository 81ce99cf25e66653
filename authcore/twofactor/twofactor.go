// Package twofactor keeps the second factor of accounts: a secret for one-time
// codes by time (TOTP, RFC 6238) and backup codes. The secret and what is left
// of the codes lie sealed. Everything runs in the caller's transaction and in
// the scope of the system; whoever tries codes bounds how many are tried.
package twofactor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/dbscope"
)

var (
	// ErrEnabled means that the account has its second factor already.
	ErrEnabled = errors.New("Two-factor authentication is enabled already")
	// ErrNotEnabled means that the account has none.
	ErrNotEnabled = errors.New("Two-factor authentication is not enabled")
)

// Factors reads and writes the second factors of accounts. Issuer is what
// authenticators show beside the account's name.
type Factors struct {
	Secrets secret.Keys
	Issuer  string
	Now     func() time.Time
	// Fixed reports whether [FixedCode] is right as well, for every account and
	// as often as it comes. Nil never does.
	Fixed func() bool
}

// FixedCode is the one-time code of an edge that is run for development.
const FixedCode = "000000"

// State is what an account has. BackupCodes are those left.
type State struct {
	Enabled     bool
	BackupCodes int
}

// factor is a row of auth.two_factor_auth.
type factor struct {
	UserID      string
	Secret      string
	Enabled     bool
	BackupCodes []byte
	LastStep    int64
}

const columns = `f.user_id, f.secret, f.enabled, f.backup_codes, f.last_step`

// readTx reads the factor of an account. It fails with [ErrNotEnabled] where
// there is not even one to be confirmed.
func (Factors) readTx(ctx context.Context, tx pgx.Tx, userID string) (factor, error) {
	return readTx(ctx, tx, userID, "")
}

// lockTx is readTx that keeps others from trying codes meanwhile.
func (Factors) lockTx(ctx context.Context, tx pgx.Tx, userID string) (factor, error) {
	return readTx(ctx, tx, userID, " FOR UPDATE")
}

func readTx(ctx context.Context, tx pgx.Tx, userID, lock string) (factor, error) {
	row, err := dbscope.TxRow[factor](ctx, tx,
		`SELECT `+columns+` FROM auth.two_factor_auth AS f WHERE f.user_id = $1`+lock, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotEnabled
	}
	return row, err
}

// StateTx reads what an account has. It locks nothing.
func (f Factors) StateTx(ctx context.Context, tx pgx.Tx, userID string) (State, error) {
	row, err := f.readTx(ctx, tx, userID)
	if errors.Is(err, ErrNotEnabled) || err == nil && !row.Enabled {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	codes, err := f.openCodes(row)
	return State{Enabled: true, BackupCodes: len(codes)}, err
}

// EnrollTx makes a secret and backup codes for an account, which count from
// [Factors.ConfirmTx] on. What was made before and not confirmed is gone.
// account names it in the authenticator. It fails with [ErrEnabled].
func (f Factors) EnrollTx(ctx context.Context, tx pgx.Tx, userID, account string) (uri string, codes []string, err error) {
	key := newSecret()
	sealed, err := f.sealSecret(userID, key)
	if err != nil {
		return "", nil, err
	}
	codes, digests := newCodes()
	stored, err := f.sealCodes(userID, digests)
	if err != nil {
		return "", nil, err
	}
	tag, err := tx.Exec(ctx,
		`INSERT INTO auth.two_factor_auth AS f (user_id, secret, backup_codes) VALUES ($1, $2, $3)
		 ON CONFLICT (user_id) DO UPDATE
		 SET secret = excluded.secret, backup_codes = excluded.backup_codes, created_at = now(), last_step = 0
		 WHERE NOT f.enabled`, userID, sealed, stored)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrEnabled
	}
	if err != nil {
		return "", nil, err
	}
	return f.uri(account, key), codes, nil
}

// TakeTOTPTx reports whether a code is right for the account's secret, and takes
// it: none is taken twice. It fails with [ErrNotEnabled].
func (f Factors) TakeTOTPTx(ctx context.Context, tx pgx.Tx, userID, code string) (bool, error) {
	row, err := f.lockTx(ctx, tx, userID)
	if err == nil && !row.Enabled {
		err = ErrNotEnabled
	}
	if err != nil {
		return false, err
	}
	return f.takeTx(ctx, tx, row, code)
}

// ConfirmTx takes a code of a secret that may not count yet, and lets it count
// from now on where the code is right. It fails with [ErrNotEnabled] where there
// is no secret.
func (f Factors) ConfirmTx(ctx context.Context, tx pgx.Tx, userID, code string) (bool, error) {
	row, err := f.lockTx(ctx, tx, userID)
	if err != nil {
		return false, err
	}
	right, err := f.takeTx(ctx, tx, row, code)
	if err != nil || !right || row.Enabled {
		return right, err
	}
	_, err = tx.Exec(ctx, `UPDATE auth.two_factor_auth SET enabled = true, enabled_at = now() WHERE user_id = $1`, userID)
	return err == nil, err
}

func (f Factors) takeTx(ctx context.Context, tx pgx.Tx, row factor, code string) (bool, error) {
	key, err := f.openSecret(row)
	if err != nil {
		return false, err
	}
	if f.Fixed != nil && f.Fixed() && strings.ReplaceAll(code, " ", "") == FixedCode {
		return true, nil
	}
	step, ok := match(key, code, f.Now(), row.LastStep)
	if !ok {
		return false, nil
	}
	_, err = tx.Exec(ctx, `UPDATE auth.two_factor_auth SET last_step = $2 WHERE user_id = $1`, row.UserID, step)
	return err == nil, err
}

// RemoveTx takes the factor away. It fails with [ErrNotEnabled].
func (f Factors) RemoveTx(ctx context.Context, tx pgx.Tx, userID string) error {
	tag, err := tx.Exec(ctx, `DELETE FROM auth.two_factor_auth WHERE user_id = $1 AND enabled`, userID)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotEnabled
	}
	return err
}

// NewBackupCodesTx replaces the backup codes of an account. It fails with
// [ErrNotEnabled].
func (f Factors) NewBackupCodesTx(ctx context.Context, tx pgx.Tx, userID string) ([]string, error) {
	row, err := f.lockTx(ctx, tx, userID)
	if err == nil && !row.Enabled {
		err = ErrNotEnabled
	}
	if err != nil {
		return nil, err
	}
	codes, digests := newCodes()
	return codes, f.storeCodesTx(ctx, tx, userID, digests)
}

// TakeBackupCodeTx reports whether a code is one of those left, and takes it. It
// fails with [ErrNotEnabled].
func (f Factors) TakeBackupCodeTx(ctx context.Context, tx pgx.Tx, userID, code string) (bool, error) {
	row, err := f.lockTx(ctx, tx, userID)
	if err == nil && !row.Enabled {
		err = ErrNotEnabled
	}
	if err != nil {
		return false, err
	}
	digests, err := f.openCodes(row)
	if err != nil {
		return false, err
	}
	left, ok := without(digests, code)
	if !ok {
		return false, nil
	}
	return true, f.storeCodesTx(ctx, tx, userID, left)
}

func (f Factors) storeCodesTx(ctx context.Context, tx pgx.Tx, userID string, digests []string) error {
	stored, err := f.sealCodes(userID, digests)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE auth.two_factor_auth SET backup_codes = $2 WHERE user_id = $1`, userID, stored)
	return err
}

// ResealTx seals with today's encryption key what older ones have sealed, for at
// most limit accounts. It returns how many there were.
func (f Factors) ResealTx(ctx context.Context, tx pgx.Tx, limit int) (int, error) {
	rows, err := tx.Query(ctx,
		`SELECT `+columns+` FROM auth.two_factor_auth AS f
		 WHERE NOT starts_with(f.secret, $1) ORDER BY f.user_id LIMIT $2 FOR UPDATE SKIP LOCKED`, f.Secrets.SealingPrefix(), limit)
	if err != nil {
		return 0, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[factor])
	if err != nil {
		return 0, err
	}
	for _, row := range list {
		key, err := f.openSecret(row)
		if err != nil {
			return 0, err
		}
		digests, err := f.openCodes(row)
		if err != nil {
			return 0, err
		}
		sealed, err := f.sealSecret(row.UserID, key)
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, `UPDATE auth.two_factor_auth SET secret = $2 WHERE user_id = $1`, row.UserID, sealed); err != nil {
			return 0, err
		}
		if err := f.storeCodesTx(ctx, tx, row.UserID, digests); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// place keeps what is sealed for one account and purpose from being opened as
// another's.
func place(purpose, userID string) []byte { return []byte("two-factor/" + purpose + "/" + userID) }

func (f Factors) sealSecret(userID string, key []byte) (string, error) {
	sealed, err := f.Secrets.Bound().Seal(key, place("secret", userID))
	return string(sealed), err
}

func (f Factors) openSecret(row factor) ([]byte, error) {
	key, err := f.Secrets.Bound().Open([]byte(row.Secret), place("secret", row.UserID))
	if err != nil {
		return nil, fmt.Errorf("open the second factor of %s: %w", row.UserID, err)
	}
	return key, nil
}

// sealCodes is the JSON string that is stored.
func (f Factors) sealCodes(userID string, digests []string) ([]byte, error) {
	plain, err := json.Marshal(digests)
	if err != nil {
		return nil, err
	}
	sealed, err := f.Secrets.Bound().Seal(plain, place("codes", userID))
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(sealed))
}

func (f Factors) openCodes(row factor) (digests []string, err error) {
	var sealed string
	if err = json.Unmarshal(row.BackupCodes, &sealed); err == nil {
		var plain []byte
		if plain, err = f.Secrets.Bound().Open([]byte(sealed), place("codes", row.UserID)); err == nil {
			err = json.Unmarshal(plain, &digests)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the backup codes of %s: %w", row.UserID, err)
	}
	return digests, nil
}
