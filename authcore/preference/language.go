package preference

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// LanguageOf selects the language that a user has chosen.
const LanguageOf = `SELECT coalesce((SELECT x.global_settings->>'locale' FROM auth.user_settings AS x WHERE x.user_id = $1), '') AS text`

// LanguageTx is the language that a user has chosen, empty where that is none.
func LanguageTx(ctx context.Context, tx pgx.Tx, userID string) (language string, err error) {
	err = tx.QueryRow(ctx, LanguageOf, userID).Scan(&language)
	return language, err
}
