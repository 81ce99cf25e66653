package apikey

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

const columns = `k.id, k.user_id, k.name, k.key_prefix, k.organization_id, k.scopes, k.rate_limit_requests, k.rate_limit_window,
	k.budget_credits, k.budget_period, k.allowed_addresses, k.created_at, k.expires_at, k.last_used_at, k.revoked_at`

// CreateTx makes a key for a user, whose row the caller has locked, in the scope
// of the system. The secret is the key itself, which is nowhere else. It fails
// with [Faults], [ErrTooMany] or [ErrOrganization].
func CreateTx(ctx context.Context, tx pgx.Tx, userID string, o Order, now time.Time) (made Key, secret string, err error) {
	if o, err = o.prepared(now); err != nil {
		return Key{}, "", err
	}
	type standing struct {
		Live  int
		Rules bool
	}
	st, err := dbscope.TxRow[standing](ctx, tx,
		`SELECT (SELECT count(*) FROM auth.api_keys AS k
		         WHERE k.user_id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())) AS live,
		   $2 = '' OR EXISTS (`+rulesOrganization("$1", "$2")+`) AS rules`, userID, o.OrganizationID)
	switch {
	case err != nil:
		return Key{}, "", err
	case !st.Rules:
		return Key{}, "", ErrOrganization
	case st.Live >= MaxPerUser:
		return Key{}, "", ErrTooMany
	}
	scopes, err := json.Marshal(o.Scopes)
	if err != nil {
		return Key{}, "", err
	}
	secret = newSecret()
	var budget Budget
	if o.Budget != nil {
		budget = *o.Budget
	}
	made, err = dbscope.TxRow[Key](ctx, tx,
		`INSERT INTO auth.api_keys AS k (id, user_id, name, key_prefix, key_hash, scopes, rate_limit_requests, rate_limit_window,
		   organization_id, expires_at, allowed_addresses, budget_credits, budget_period)
		 VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, NULLIF($9, ''), $10, $11, NULLIF($12::bigint, 0), NULLIF($13, ''))
		 RETURNING `+columns,
		ids.New(), userID, o.Name, secret[:shown]+"...", hashOf(secret), string(scopes), o.Requests, o.Window,
		o.OrganizationID, o.ExpiresAt, o.AllowedAddresses, budget.Credits, string(budget.Period))
	return made, secret, err
}

// rulesOrganization selects whether a user is owner or admin of an organisation.
func rulesOrganization(user, organization string) string {
	return `SELECT FROM auth.members AS m
		WHERE m.user_id = ` + user + ` AND m.organization_id = ` + organization + ` AND m.role IN ('owner', 'admin')`
}

// List are the keys of a user, the newest first, those revoked included. It runs
// in any scope that sees them.
func List(ctx context.Context, db dbscope.DB, scope dbscope.Scope, userID string) ([]Key, error) {
	return dbscope.List[Key](ctx, db, scope,
		`SELECT `+columns+` FROM auth.api_keys AS k WHERE k.user_id = $1 ORDER BY k.created_at DESC, k.id`, userID)
}

// RevokeTx ends a live key of a user, or with an empty user of anybody, in the
// scope of the system. It fails with [ErrNotFound].
func RevokeTx(ctx context.Context, tx pgx.Tx, userID, id string) (Key, error) {
	k, err := dbscope.TxRow[Key](ctx, tx,
		`UPDATE auth.api_keys AS k SET revoked_at = now()
		 WHERE k.id = $2 AND ($1 = '' OR k.user_id = $1) AND k.revoked_at IS NULL
		 RETURNING `+columns, userID, id)
	return k, notFound(err, ErrNotFound)
}

// RevokeAllOfTx ends the live keys of an organisation, in the scope of the system.
func RevokeAllOfTx(ctx context.Context, tx pgx.Tx, organizationID string) ([]Key, error) {
	rows, err := tx.Query(ctx,
		`UPDATE auth.api_keys AS k SET revoked_at = now()
		 WHERE k.organization_id = $1 AND k.revoked_at IS NULL
		 RETURNING `+columns, organizationID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Key])
}

// Holder is a live key with whom it acts for.
type Holder struct {
	Key
	Email         string
	EmailVerified bool
	Role          principal.Role
	AuthEpoch     int32
	// OrganizationRole is what they are in the organisation of the key, empty
	// without one.
	OrganizationRole string
}

// Find reads the live key of a secret. It fails with [ErrInvalid].
func Find(ctx context.Context, db dbscope.DB, secret string) (Holder, error) {
	h, err := dbscope.One[Holder](ctx, db, dbscope.System(),
		`SELECT `+columns+`, u.email, u.email_verified, u.role::text AS role, u.auth_epoch,
		   COALESCE((SELECT m.role FROM auth.members AS m WHERE m.user_id = k.user_id AND m.organization_id = k.organization_id), '') AS organization_role
		 FROM auth.api_keys AS k
		 JOIN auth.users AS u ON u.id = k.user_id
		 WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
		   AND u.deleted_at IS NULL AND u.disabled_at IS NULL
		   AND (k.organization_id IS NULL OR EXISTS (`+rulesOrganization("k.user_id", "k.organization_id")+`))`, hashOf(secret))
	return h, notFound(err, ErrInvalid)
}

// Touch notes that a key was used, at most once a minute.
func Touch(ctx context.Context, db dbscope.DB, id string) error {
	_, err := db.Exec(ctx, dbscope.System(),
		`UPDATE auth.api_keys SET last_used_at = now()
		 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`, id)
	return err
}

func notFound(err, sentinel error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return sentinel
	}
	return err
}
