package authcore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/lockout"
	"mana.how/edge/authcore/principal"
)

// tryCodeTx reports whether a code is right for the account, whose row the
// transaction has locked, so that no two are tried at once. Wrong ones count,
// whatever flow they come from: the transaction must be committed. It fails with
// [*LockedError].
func (s *Service) tryCodeTx(ctx context.Context, tx pgx.Tx, client principal.Client, u User, kind FactorKind, code string) (right bool, err error) {
	if kind == "" {
		kind = kindOf(code)
	}
	check, ok := map[FactorKind]func(context.Context, pgx.Tx, string, string) (bool, error){
		FactorTOTP:       s.factors.TakeTOTPTx,
		FactorBackupCode: s.factors.TakeBackupCodeTx,
		FactorEmailCode:  s.takeEmailCodeTx,
		confirmTOTP:      s.factors.ConfirmTx,
	}[kind]
	if !ok {
		return false, ErrInvalidInput
	}
	if kind == confirmTOTP {
		kind = FactorTOTP
	}
	device, err := knownDeviceTx(ctx, tx, client, u.ID)
	if err != nil {
		return false, err
	}
	counters := lockout.CodesOf(u.ID, kind, device)
	if err := counters.CheckTx(ctx, tx); err != nil {
		return false, err
	}
	right, err = check(ctx, tx, u.ID, code)
	switch {
	case err != nil:
		return false, err
	case right:
		return true, counters.ClearTx(ctx, tx)
	}
	s.log.WarnContext(ctx, "a wrong code", "user", u.ID, "kind", string(kind), "address", client.Network())
	n, err := counters.CountTx(ctx, tx, client, u.ID)
	if err != nil {
		return false, err
	}
	return false, s.tellLockedTx(ctx, tx, client, u.ID, n)
}

// kindOf tells the kinds of codes apart by their form.
func kindOf(code string) FactorKind {
	digits := 0
	for _, r := range code {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r != ' ' && r != '-':
			return FactorBackupCode
		}
	}
	switch digits {
	case 6:
		return FactorTOTP
	case emailCodeDigits:
		return FactorEmailCode
	}
	return FactorBackupCode
}

// knownDeviceTx is the device of the client where it has signed in to the
// account before, else empty: its tries count apart from those of strangers.
func knownDeviceTx(ctx context.Context, tx pgx.Tx, client principal.Client, userID string) (string, error) {
	device := audit.Clip(client.DeviceID, 255)
	if device == "" {
		return "", nil
	}
	var known bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM auth.sessions AS s WHERE s.user_id = $1 AND s.device_id = $2)`, userID, device).Scan(&known)
	if err != nil || !known {
		return "", err
	}
	return device, nil
}
