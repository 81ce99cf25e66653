package lockout

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/twofactor"
)

// Wrong codes that lock an account within 15 minutes: of one kind, and of all.
const (
	codeTries    = 5
	allCodeTries = 10
)

// Codes count the wrong codes of an account by kind and over all kinds,
// as the lockout counts wrong passwords.
type Codes struct{ byKind, overall string }

// CodesOf are the counters of an account for codes of a kind, apart for a device that
// is known.
func CodesOf(account string, kind twofactor.Kind, knownDevice string) Codes {
	return Codes{
		byKind:  Subject("code:"+string(kind)+":"+account, knownDevice),
		overall: Subject("code:"+account, knownDevice),
	}
}

// CheckTx fails with [*Error] while no code is taken.
func (k Codes) CheckTx(ctx context.Context, tx pgx.Tx) error {
	for _, subject := range []string{k.byKind, k.overall} {
		var seconds float64
		if err := tx.QueryRow(ctx, `SELECT coalesce(`+Seconds("$1")+`, 0)`, subject).Scan(&seconds); err != nil {
			return err
		}
		if err := For(seconds); err != nil {
			return err
		}
	}
	return nil
}

// CountTx counts a wrong code and records it. userID is empty where the account
// is nobody's. What it returns is of the counter that the code locked, if any.
func (k Codes) CountTx(ctx context.Context, tx pgx.Tx, client principal.Client, userID string) (Try, error) {
	n, err := CountTx(ctx, tx, client, k.byKind, userID, codeTries, "two_factor_failed")
	if err != nil {
		return n, err
	}
	all, err := CountTx(ctx, tx, client, k.overall, userID, allCodeTries, "")
	if n.LockedNow {
		return n, err
	}
	return all, err
}

// ClearTx forgets the wrong codes after a right one.
func (k Codes) ClearTx(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `DELETE FROM auth.lockouts WHERE subject = ANY($1::text[])`, []string{k.byKind, k.overall})
	return err
}
