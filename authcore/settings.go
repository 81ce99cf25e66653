package authcore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/preference"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// storedSettings is a row of auth.user_settings.
type storedSettings struct{ GlobalSettings, AppOverrides, DeviceSettings []byte }

const settingsOf = `SELECT global_settings, app_overrides, device_settings FROM auth.user_settings WHERE user_id = $1`

// Settings are what the caller has set for the looks of the apps.
func (s *Service) Settings(ctx context.Context, c principal.Caller) (preference.Set, error) {
	row, err := dbscope.One[storedSettings](ctx, s.db, account.ScopeOf(c), settingsOf, c.UserID)
	if errors.Is(err, pgx.ErrNoRows) {
		return preference.New(), nil
	}
	if err != nil {
		return preference.Set{}, err
	}
	return preference.Decode(row.GlobalSettings, row.AppOverrides, row.DeviceSettings)
}

// ChangeSettings changes what the caller has set; changes that come at once are
// made one after the other. It fails with [preference.ErrTooLarge], and nothing is
// changed then.
func (s *Service) ChangeSettings(ctx context.Context, c principal.Caller, change func(*preference.Set)) (preference.Set, error) {
	var set preference.Set
	err := s.db.InTx(ctx, account.ScopeOf(c), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO auth.user_settings (user_id, global_settings) VALUES ($1, '{}') ON CONFLICT DO NOTHING`, c.UserID); err != nil {
			return err
		}
		row, err := dbscope.TxRow[storedSettings](ctx, tx, settingsOf+` FOR UPDATE`, c.UserID)
		if err != nil {
			return err
		}
		if set, err = preference.Decode(row.GlobalSettings, row.AppOverrides, row.DeviceSettings); err != nil {
			return err
		}
		change(&set)
		global, apps, devices, err := set.Encode()
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx,
			`UPDATE auth.user_settings SET global_settings = $2, app_overrides = $3, device_settings = $4, updated_at = now()
			 WHERE user_id = $1`, c.UserID, global, apps, devices)
		return err
	})
	return set, err
}

// Language is the one that a user has chosen, as a tag, empty where that is none.
func (s *Service) Language(ctx context.Context, userID string) (string, error) {
	row, err := dbscope.One[struct{ Text string }](ctx, s.db, system(), preference.LanguageOf, userID)
	return row.Text, err
}
