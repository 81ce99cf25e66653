package openid

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

// Consent is what a user has allowed a client.
type Consent struct {
	ClientID  string
	Scopes    []string
	GivenAt   time.Time
	UpdatedAt time.Time
}

type consentRow struct {
	ClientID  string
	Scopes    string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Consents are those of a user, by client.
func Consents(ctx context.Context, db dbscope.DB, userID string) ([]Consent, error) {
	rows, err := dbscope.List[consentRow](ctx, db, dbscope.System(),
		`SELECT c.client_id, c.scopes, c.created_at, c.updated_at FROM auth.oauth_consents AS c
		 WHERE c.user_id = $1 AND c.consent_given ORDER BY c.client_id`, userID)
	list := make([]Consent, len(rows))
	for i, r := range rows {
		list[i] = Consent{ClientID: r.ClientID, Scopes: strings.Fields(r.Scopes), GivenAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	}
	return list, err
}

// Covers reports whether a user has allowed a client all of the scopes.
func Covers(list []Consent, clientID string, scopes []string) bool {
	for _, c := range list {
		if c.ClientID == clientID {
			return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(c.Scopes, s) })
		}
	}
	return false
}

// ConsentTx notes that a user allows a client scopes, beside those it was allowed
// before.
func ConsentTx(ctx context.Context, tx pgx.Tx, userID, clientID string, scopes []string) error {
	var before string
	rows, err := tx.Query(ctx,
		`INSERT INTO auth.oauth_consents AS c (id, user_id, client_id, scopes, consent_given) VALUES ($1, $2, $3, '', true)
		 ON CONFLICT (user_id, client_id) DO UPDATE SET consent_given = true, updated_at = now()
		 RETURNING c.scopes`, ids.New(), userID, clientID)
	if err != nil {
		return err
	}
	if before, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	all := strings.Fields(before)
	for _, s := range scopes {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	_, err = tx.Exec(ctx, `UPDATE auth.oauth_consents SET scopes = $3 WHERE user_id = $1 AND client_id = $2`, userID, clientID, strings.Join(all, " "))
	return err
}

// WithdrawTx forgets what a user has allowed a client.
func WithdrawTx(ctx context.Context, tx pgx.Tx, userID, clientID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM auth.oauth_consents WHERE user_id = $1 AND client_id = $2`, userID, clientID)
	return err
}
