package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrShape means that the source is not a database of the replaced service.
var ErrShape = errors.New("the source is not a database of the replaced service")

// shape is what must be there: the columns that the import cannot do without.
var shape = map[string]string{
	"auth.users":                  "id name email email_verified image role created_at updated_at deleted_at",
	"auth.sessions":               "id token user_id expires_at created_at updated_at refresh_token refresh_token_expires_at revoked_at",
	"auth.accounts":               "id account_id provider_id user_id password created_at updated_at",
	"auth.jwks":                   "id public_key private_key created_at",
	"auth.user_settings":          "user_id global_settings app_overrides device_settings",
	"auth.organizations":          "id name slug logo metadata created_at",
	"auth.members":                "id organization_id user_id role created_at",
	"auth.invitations":            "id organization_id email role status expires_at inviter_id created_at",
	"auth.api_keys":               "id user_id name key_prefix key_hash scopes rate_limit_requests rate_limit_window created_at revoked_at",
	"auth.matrix_user_links":      "id matrix_user_id user_id linked_at",
	"auth.oauth_applications":     "id name client_id client_secret redirect_urls type disabled user_id created_at",
	"auth.oauth_consents":         "id user_id client_id scopes created_at updated_at",
	"credits.balances":            "user_id balance total_earned total_spent created_at",
	"credits.transactions":        "id user_id type status amount app_id description metadata idempotency_key created_at completed_at",
	"credits.packages":            "id name credits price_euro_cents stripe_price_id active sort_order",
	"credits.purchases":           "id user_id package_id credits price_euro_cents stripe_payment_intent_id status metadata created_at completed_at",
	"credits.stripe_customers":    "user_id stripe_customer_id email",
	"gifts.gift_codes":            "id code creator_id total_credits credits_per_portion total_portions claimed_portions type status target_email reservation_transaction_id expires_at created_at",
	"gifts.gift_redemptions":      "id gift_code_id redeemer_user_id status credits_received portion_number credit_transaction_id created_at",
	"subscriptions.plans":         "id name monthly_credits price_monthly_euro_cents price_yearly_euro_cents stripe_price_id_monthly stripe_price_id_yearly",
	"subscriptions.subscriptions": "id user_id plan_id stripe_subscription_id status billing_interval current_period_end created_at",
	"subscriptions.invoices":      "id user_id subscription_id stripe_invoice_id status amount_due_euro_cents amount_paid_euro_cents created_at",
}

// source is a snapshot of the database of the replaced service.
type source struct{ tx pgx.Tx }

// openSource connects and begins a transaction in which nothing can be written and all
// reads see one moment. The caller closes it.
func openSource(ctx context.Context, url string) (*source, func(), error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, nil, fmt.Errorf("--from: %w", err)
	}
	closes := func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		// The snapshot lives as long as the import.
		_, err = tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
			SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL extra_float_digits = 1`, pgx.QueryExecModeSimpleProtocol)
	}
	if err == nil {
		err = checkShape(ctx, tx)
	}
	if err != nil {
		closes()
		return nil, nil, fmt.Errorf("--from: %w", err)
	}
	return &source{tx}, closes, nil
}

// checkShape names every table and column that is missing.
func checkShape(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT n.nspname || '.' || c.relname, a.attname
		FROM pg_catalog.pg_attribute AS a
		JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('auth', 'credits', 'gifts', 'subscriptions') AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped`)
	if err != nil {
		return err
	}
	have := make(map[string]map[string]bool)
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		if have[table] == nil {
			have[table] = make(map[string]bool)
		}
		have[table][column] = true
		return nil
	}); err != nil {
		return err
	}
	if have["auth.refresh_families"] != nil {
		return fmt.Errorf("%w: it is one of this edge (table auth.refresh_families)", ErrShape)
	}
	var missing []string
	for table, columns := range shape {
		if have[table] == nil {
			missing = append(missing, "table "+table)
			continue
		}
		for column := range strings.FieldsSeq(columns) {
			if !have[table][column] {
				missing = append(missing, "column "+table+"."+column)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("%w: it has no %s", ErrShape, strings.Join(missing, ", no "))
	}
	return nil
}

// each reads the rows of a query, whose one column is a row in JSON, and hands them on
// in batches.
func (s *source) each(ctx context.Context, key, sql string, batch int, f func([]sourceRow) error) error {
	rows, err := s.tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	var list []sourceRow
	for rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		r, err := parseRow(doc, key)
		if err != nil {
			return err
		}
		if list = append(list, r); len(list) == batch {
			if err := f(list); err != nil {
				return err
			}
			list = nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(list) == 0 {
		return nil
	}
	return f(list)
}
