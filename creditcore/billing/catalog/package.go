package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Package is what is for sale: credits for a price.
type Package struct {
	ID             string
	Name           string
	Description    *string
	Credits        creditcore.Amount
	PriceEuroCents int64
	StripePriceID  *string
	Active         bool
	SortOrder      int32
	Metadata       json.RawMessage
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// PackageSeed is a package of the configuration, known by its name.
type PackageSeed struct {
	Name           string
	Description    string
	Credits        creditcore.Amount
	PriceEuroCents int64
}

const packageColumns = `id, name, description, credits, price_euro_cents, stripe_price_id, active, sort_order,
	metadata, created_at, updated_at`

// Packages lists what is for sale, in the seller's order. Anybody may ask.
func (s *Catalog) Packages(ctx context.Context) ([]Package, error) {
	return dbscope.List[Package](ctx, s.db, dbscope.System(), `
		SELECT `+packageColumns+`
		FROM credits.packages
		WHERE active
		ORDER BY sort_order, price_euro_cents, id`)
}

// PackageForSale is a package that can be bought. It fails with [ErrPackageNotFound].
func (s *Catalog) PackageForSale(ctx context.Context, id string) (Package, error) {
	p, err := dbscope.One[Package](ctx, s.db, dbscope.System(), `
		SELECT `+packageColumns+`
		FROM credits.packages
		WHERE id = $1
			AND active`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrPackageNotFound
	}
	return p, err
}

// PackageForSaleTx is PackageForSale in the caller's transaction.
func (s *Catalog) PackageForSaleTx(ctx context.Context, tx pgx.Tx, id string) (Package, error) {
	p, err := dbscope.TxRow[Package](ctx, tx, `
		SELECT `+packageColumns+`
		FROM credits.packages
		WHERE id = $1
			AND active`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrPackageNotFound
	}
	return p, err
}

// seedPackages writes the configured packages, in their order, by name. One
// that an earlier configuration wrote and this one does not name is no longer
// for sale; those that no configuration wrote are left alone. Where none is
// configured nothing changes, but that a shop without any gets the default
// ones.
func (s *Catalog) seedPackages(ctx context.Context) error {
	if len(s.packages) == 0 && s.stripe == nil {
		return nil
	}
	return s.db.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('credits.packages'))`); err != nil {
			return err
		}
		seeds := s.packages
		if len(seeds) == 0 {
			var any bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM credits.packages)`).Scan(&any); err != nil || any {
				return err
			}
			seeds = DefaultPackages()
		}
		names := make([]string, len(seeds))
		for i, p := range seeds {
			names[i] = p.Name
			if err := seedPackage(ctx, tx, p, i); err != nil {
				return fmt.Errorf("package %q: %w", p.Name, err)
			}
		}
		_, err := tx.Exec(ctx, `
			UPDATE credits.packages
			SET active = false, updated_at = now()
			WHERE seeded AND active AND name <> ALL ($1)`, names)
		return err
	})
}

func seedPackage(ctx context.Context, tx pgx.Tx, p PackageSeed, order int) error {
	_, err := tx.Exec(ctx, `
		WITH known AS (
			UPDATE credits.packages
			SET description = nullif(@description, ''), credits = @credits, price_euro_cents = @price, sort_order = @order,
				active = true, seeded = true,
				updated_at = CASE WHEN (description, credits, price_euro_cents, sort_order, active)
					IS NOT DISTINCT FROM (nullif(@description, ''), @credits::bigint, @price::bigint, @order::int, true) THEN updated_at ELSE now() END
			WHERE name = @name
			RETURNING id
		)
		INSERT INTO credits.packages (name, description, credits, price_euro_cents, sort_order, seeded)
		SELECT @name, nullif(@description, ''), @credits, @price, @order, true
		WHERE NOT EXISTS (SELECT FROM known)`, pgx.StrictNamedArgs{
		"name": p.Name, "description": p.Description, "credits": p.Credits, "price": p.PriceEuroCents, "order": order,
	})
	return err
}
