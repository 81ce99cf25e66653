package creditcore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

var (
	// ErrPriceBookChanged means that another version was published meanwhile.
	ErrPriceBookChanged = errors.New("Another version of the prices was published meanwhile")
	// ErrPriceVersionBound means that there is no such version, or that it is in force, was, or
	// is withdrawn.
	ErrPriceVersionBound = errors.New("No such version of the prices that is still to come")
	// ErrPricesPast means that prices were to be in force before they are published.
	ErrPricesPast = errors.New("Prices take effect at a time to come")
)

// MissingPricesError refuses a version without prices that routes name.
type MissingPricesError struct{ Names []string }

func (e *MissingPricesError) Error() string {
	return "Routes name prices that are neither in the version nor in the config: " + strings.Join(e.Names, ", ")
}

// The states of a version.
const (
	PricesToCome    = "to_come"
	PricesInForce   = "in_force"
	PricesReplaced  = "replaced"
	PricesWithdrawn = "withdrawn"
)

// PriceVersion is a table of prices that was published. State is one of [PricesToCome] and
// its like, by the clock of the database.
type PriceVersion struct {
	Version          int64
	Prices           Prices
	EffectiveAt      time.Time
	Reason           string
	PublishedBy      string
	PublishedAt      time.Time
	WithdrawnAt      *time.Time
	WithdrawnBy      *string
	WithdrawalReason *string
	State            string
}

// PriceDraft is a version to be published. The zero EffectiveAt is at once. After is the
// number of the last version that its author knew, 0 for none. Named are prices that
// routes name.
type PriceDraft struct {
	Prices      Prices
	EffectiveAt time.Time
	Reason, By  string
	After       int64
	Named       []string
}

// priceJSON is a price as the database has it. A field that this program does not know
// is an error: the price is not what it takes it for.
type priceJSON struct {
	Name    string      `json:"name"`
	Credits Amount      `json:"credits"`
	Per     int64       `json:"per"`
	Unit    string      `json:"unit"`
	Tiers   []Tier      `json:"tiers,omitempty"`
	Plans   []PlanPrice `json:"plans,omitempty"`
}

func (p Prices) json() ([]byte, error) {
	list := make([]priceJSON, 0, len(p.list()))
	for _, price := range p.list() {
		list = append(list, priceJSON{price.Name, price.Credits, price.Per, price.Unit, price.Tiers, price.Plans})
	}
	return json.Marshal(list)
}

func parsePriceList(version int64, raw json.RawMessage) (Prices, error) {
	var list []priceJSON
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return Prices{}, err
	}
	prices := make([]Price, len(list))
	for i, p := range list {
		sound := p.Name != "" && p.Per >= 1 && soundTerms(p.Credits, p.Tiers)
		for _, plan := range p.Plans {
			sound = sound && plan.Plan != "" && soundTerms(plan.Credits, plan.Tiers)
		}
		if !sound {
			return Prices{}, fmt.Errorf("%w: price %q", ErrInvalid, p.Name)
		}
		prices[i] = Price{Name: p.Name, Credits: p.Credits, Per: p.Per, Unit: p.Unit, Tiers: p.Tiers, Plans: p.Plans, Version: version}
	}
	return NewPrices(prices...), nil
}

// soundTerms reports whether a quantity costs something, whatever its tier.
func soundTerms(credits Amount, tiers []Tier) bool {
	above := int64(0)
	for _, t := range tiers {
		if t.Credits <= 0 || t.Above <= above || t.Above > mostUnits {
			return false
		}
		above = t.Above
	}
	return credits > 0
}

// Missing are the names that neither the prices nor base have, as an error; nil for none.
func (p Prices) Missing(base Prices, names ...string) error {
	all := p.Over(base)
	var missing []string
	for _, name := range names {
		if _, err := all.Named(name); err != nil {
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return nil
	}
	return &MissingPricesError{missing}
}

// PublishPricesTx publishes a version in the caller's transaction. It fails with [ErrInvalid]
// for a table without prices, [*MissingPricesError], [ErrPricesPast] or [ErrPriceBookChanged].
func (s *Service) PublishPricesTx(ctx context.Context, tx pgx.Tx, d PriceDraft) (PriceVersion, error) {
	if len(d.Prices.list()) == 0 {
		return PriceVersion{}, fmt.Errorf("%w: there are no prices", ErrInvalid)
	}
	if err := d.Prices.Missing(s.cfg.Prices, d.Named...); err != nil {
		return PriceVersion{}, err
	}
	raw, err := d.Prices.json()
	if err != nil {
		return PriceVersion{}, err
	}
	var effective *time.Time
	if !d.EffectiveAt.IsZero() {
		effective = &d.EffectiveAt
	}
	v := PriceVersion{Version: d.After + 1, Reason: d.Reason, PublishedBy: d.By}
	// Publishers come one after another: a number is given once, and none is left out.
	if _, err := tx.Exec(ctx, `LOCK TABLE credits.price_versions IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return v, dbError(err)
	}
	at, err := dbscope.TxRow[struct {
		Last int64
		Past bool
	}](ctx, tx, `SELECT coalesce(max(v.version), 0) AS last, coalesce($1::timestamptz < now(), false) AS past FROM credits.price_versions AS v`, effective)
	switch {
	case err != nil:
		return v, dbError(err)
	case at.Last != d.After:
		return v, ErrPriceBookChanged
	case at.Past:
		return v, ErrPricesPast
	}
	published, err := dbscope.TxRow[struct{ EffectiveAt, PublishedAt time.Time }](ctx, tx,
		`INSERT INTO credits.price_versions (version, prices, effective_at, reason, published_by)
		 VALUES ($1, $2, coalesce($3, now()), $4, $5)
		 RETURNING effective_at, published_at`, v.Version, raw, effective, v.Reason, v.PublishedBy)
	if err != nil {
		return v, dbError(err)
	}
	v.EffectiveAt, v.PublishedAt, v.State = published.EffectiveAt, published.PublishedAt, PricesToCome
	if effective == nil {
		v.State = PricesInForce
	}
	v.Prices, err = parsePriceList(v.Version, raw)
	return v, err
}

// WithdrawPricesTx takes back a version that is still to come. It fails with
// [ErrPriceVersionBound].
func (s *Service) WithdrawPricesTx(ctx context.Context, tx pgx.Tx, version int64, by, reason string) error {
	changed, err := tx.Exec(ctx,
		`UPDATE credits.price_versions AS v
		 SET withdrawn_at = now(), withdrawn_by = $2, withdrawal_reason = $3
		 WHERE v.version = $1 AND v.withdrawn_at IS NULL AND v.effective_at > clock_timestamp()`, version, by, reason)
	if err == nil && changed.RowsAffected() == 0 {
		return ErrPriceVersionBound
	}
	return dbError(err)
}

const priceVersionsSQL = `
	SELECT v.version, v.prices, v.effective_at, v.reason, v.published_by, v.published_at, v.withdrawn_at, v.withdrawn_by, v.withdrawal_reason,
	       CASE WHEN v.withdrawn_at IS NOT NULL THEN 'withdrawn'
	            WHEN v.effective_at > now() THEN 'to_come'
	            WHEN EXISTS (
	                SELECT FROM credits.price_versions AS f
	                WHERE f.withdrawn_at IS NULL AND f.effective_at <= now() AND (f.effective_at, f.version) > (v.effective_at, v.version)) THEN 'replaced'
	            ELSE 'in_force' END AS state
	FROM credits.price_versions AS v
	WHERE v.version < $1
	ORDER BY v.version DESC
	LIMIT $2`

// PriceVersions are the versions below a number, the last first.
func (s *Service) PriceVersions(ctx context.Context, before int64, limit int) ([]PriceVersion, error) {
	rows, err := dbscope.List[struct {
		Version          int64
		Prices           json.RawMessage
		EffectiveAt      time.Time
		Reason           string
		PublishedBy      string
		PublishedAt      time.Time
		WithdrawnAt      *time.Time
		WithdrawnBy      *string
		WithdrawalReason *string
		State            string
	}](ctx, s.db, dbscope.System(), priceVersionsSQL, before, limit)
	if err != nil {
		return nil, err
	}
	list := make([]PriceVersion, len(rows))
	for i, r := range rows {
		prices, err := parsePriceList(r.Version, r.Prices)
		if err != nil {
			return nil, fmt.Errorf("version %d of the price book: %w", r.Version, err)
		}
		list[i] = PriceVersion{r.Version, prices, r.EffectiveAt, r.Reason, r.PublishedBy, r.PublishedAt, r.WithdrawnAt, r.WithdrawnBy, r.WithdrawalReason, r.State}
	}
	return list, nil
}

// LastPriceVersion is the number of the version that was published last, 0 for none.
func (s *Service) LastPriceVersion(ctx context.Context) (int64, error) {
	v, err := dbscope.One[struct{ Last int64 }](ctx, s.db, dbscope.System(),
		`SELECT coalesce(max(v.version), 0) AS last FROM credits.price_versions AS v`)
	return v.Last, err
}
