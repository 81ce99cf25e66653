package coupon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/keyset"
)

// Terms are what a coupon gives, to whom, and how often.
type Terms struct {
	Name    string            // for admins, and for the ledger of who redeems it
	Credits creditcore.Amount // what each redemption gives
	// StartsAt is now where it is zero; EndsAt is never where it is nil.
	StartsAt time.Time
	EndsAt   *time.Time
	// The credits end CreditsLife after they were given, or at CreditsExpireAt,
	// whichever is first; zero and nil are never.
	CreditsLife     time.Duration
	CreditsExpireAt *time.Time
	MaxRedemptions  int // in total; zero is any number
	// DomainLimit is how many may redeem it whose addresses are of one domain
	// that is not public; zero is any number.
	DomainLimit int
	// Domains are those whose addresses, or those below, alone may redeem it;
	// none is all.
	Domains   []string
	NewWithin time.Duration // how old an account may be at most; zero is any age
}

const (
	maxName    = 100
	maxDomains = 100
	maxCredits = 100_000 // whole ones, of one redemption
)

// Coupon is one that was made. Its code is nowhere.
type Coupon struct {
	ID string
	Terms
	Redeemed  int
	EndedAt   *time.Time // by an admin
	CreatedAt time.Time
}

// Over reports whether it gives nothing any more at that time.
func (c Coupon) Over(now time.Time) bool {
	return c.EndedAt != nil || c.EndsAt != nil && !now.Before(*c.EndsAt) || c.MaxRedemptions > 0 && c.Redeemed >= c.MaxRedemptions
}

// row is a coupon as it is stored.
type row struct {
	ID                 string
	Name               string
	Amount             creditcore.Amount
	StartsAt           time.Time
	EndsAt             *time.Time
	CreditsLifeSeconds int64
	CreditsExpireAt    *time.Time
	MaxRedemptions     int
	DomainLimit        int
	Domains            []string
	NewWithinSeconds   int64
	Redeemed           int
	EndedAt            *time.Time
	CreatedAt          time.Time
}

const rowColumns = `c.id, c.name, c.amount, c.starts_at, c.ends_at, coalesce(c.credits_life_seconds, 0) AS credits_life_seconds, c.credits_expire_at,
	coalesce(c.max_redemptions, 0) AS max_redemptions, coalesce(c.domain_limit, 0) AS domain_limit, c.domains,
	coalesce(c.new_within_seconds, 0) AS new_within_seconds, c.redeemed, c.ended_at, c.created_at`

func (r row) coupon() Coupon {
	return Coupon{
		ID: r.ID, Terms: Terms{
			Name: r.Name, Credits: r.Amount, StartsAt: r.StartsAt, EndsAt: r.EndsAt,
			CreditsLife: seconds(r.CreditsLifeSeconds), CreditsExpireAt: r.CreditsExpireAt, MaxRedemptions: r.MaxRedemptions,
			DomainLimit: r.DomainLimit, Domains: r.Domains, NewWithin: seconds(r.NewWithinSeconds),
		}, Redeemed: r.Redeemed, EndedAt: r.EndedAt, CreatedAt: r.CreatedAt,
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// nullSeconds is NULL for zero.
func nullSeconds(d time.Duration) *int64 { return nullZero(int64(d / time.Second)) }

func nullZero[N int | int64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}

// checked are the terms as they are stored, or a [*TermError].
func (t Terms) checked(now time.Time) (Terms, error) {
	fault := func(field, fault string) (Terms, error) { return Terms{}, &TermError{field, fault} }
	if t.StartsAt.IsZero() {
		t.StartsAt = now
	}
	t.Name = strings.TrimSpace(t.Name)
	switch n := utf8.RuneCountInString(t.Name); {
	case n == 0, n > maxName, !utf8.ValidString(t.Name), strings.ContainsFunc(t.Name, func(r rune) bool { return r < ' ' }):
		return fault("name", "must be one line of 1 to 100 characters")
	case t.Credits <= 0, t.Credits > creditcore.Credits(maxCredits):
		return fault("credits", "must be above 0 and at most 100000")
	case t.EndsAt != nil && (!t.EndsAt.After(t.StartsAt) || !t.EndsAt.After(now)):
		return fault("endsAt", "must be in the future, and after startsAt")
	case t.CreditsLife < 0, t.CreditsLife > 0 && t.CreditsLife < time.Second:
		return fault("creditsLife", "must be a second or more")
	case t.CreditsExpireAt != nil && (!t.CreditsExpireAt.After(t.StartsAt) || !t.CreditsExpireAt.After(now)):
		return fault("creditsExpireAt", "must be in the future, and after startsAt")
	case t.CreditsExpireAt != nil && t.EndsAt != nil && t.EndsAt.After(*t.CreditsExpireAt):
		return fault("creditsExpireAt", "must not be before endsAt")
	case t.MaxRedemptions < 0:
		return fault("maxRedemptions", "must be positive")
	case t.DomainLimit < 0:
		return fault("domainLimit", "must be positive")
	case len(t.Domains) > maxDomains:
		return fault("domains", "must be at most 100")
	case t.NewWithin < 0, t.NewWithin > 0 && t.NewWithin < time.Second:
		return fault("newWithin", "must be a second or more")
	}
	domains := make([]string, len(t.Domains)) // never NULL
	for i, domain := range t.Domains {
		// The same form as that of addresses, whatever they are written like.
		m := mailboxDomain(domain)
		if m == "" {
			return fault("domains", "must be domains such as example.com")
		}
		domains[i] = m
	}
	slices.Sort(domains)
	t.Domains = slices.Compact(domains)
	return t, nil
}

// mailboxDomain is a domain as addresses have it, empty where it is none.
func mailboxDomain(text string) string {
	domain := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(text), "@"))
	for i := range len(domain) {
		if c := domain[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return ""
		}
	}
	if len(domain) > 253 || !strings.Contains(strings.Trim(domain, "."), ".") || strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") {
		return ""
	}
	return domain
}

// Create makes a coupon with a code, or with one that is made for it where that is
// empty, and returns the code: it cannot be read again. It fails with a
// [*TermError], [ErrCodeTaken], [ErrNoSecret] or what record returns.
func (s *Service) Create(ctx context.Context, text string, t Terms, record Recorder) (made Coupon, code string, err error) {
	now := s.now()
	if t, err = t.checked(now); err != nil {
		return Coupon{}, "", err
	}
	if text = strings.TrimSpace(text); text == "" {
		text = makeCode()
	}
	compared, ok := ParseCode(text)
	if !ok {
		return Coupon{}, "", &TermError{"code", "must be 8 to 40 letters (A to Z) and digits; hyphens may stand between them"}
	}
	keys, err := s.openKeys(ctx)
	if err != nil {
		return Coupon{}, "", err
	}
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		r, err := dbscope.TxRow[row](ctx, tx,
			`INSERT INTO credits.coupons AS c (id, name, code_hash, amount, starts_at, ends_at, credits_life_seconds, credits_expire_at,
				max_redemptions, domain_limit, domains, new_within_seconds, created_at)
			 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			 RETURNING `+rowColumns,
			newID(), t.Name, keys.codeHash(compared), int64(t.Credits), t.StartsAt, t.EndsAt, nullSeconds(t.CreditsLife), t.CreditsExpireAt,
			nullZero(t.MaxRedemptions), nullZero(t.DomainLimit), t.Domains, nullSeconds(t.NewWithin), now)
		made = r.coupon()
		if err == nil {
			err = record.tell(ctx, tx, made.ID, made.Name, made.Credits)
		}
		return err
	})
	if err != nil {
		return Coupon{}, "", err
	}
	return made, strings.ToUpper(text), nil
}

// End ends a coupon: nobody redeems it from now on. What it gave stays. It
// fails with [ErrNotFound], [ErrEnded] or what record returns.
func (s *Service) End(ctx context.Context, id string, record Recorder) (ended Coupon, err error) {
	err = s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		ended, err = s.endTx(ctx, tx, id)
		if err == nil {
			err = record.tell(ctx, tx, ended.ID, ended.Name, ended.Credits)
		}
		return err
	})
	return ended, err
}

func (s *Service) endTx(ctx context.Context, tx pgx.Tx, id string) (Coupon, error) {
	type locked struct{ EndedAt *time.Time }
	found, err := dbscope.TxRow[locked](ctx, tx, `SELECT c.ended_at FROM credits.coupons AS c WHERE c.id = $1 FOR UPDATE`, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Coupon{}, ErrNotFound
	case err != nil:
		return Coupon{}, err
	case found.EndedAt != nil:
		return Coupon{}, ErrEnded
	}
	r, err := dbscope.TxRow[row](ctx, tx, `UPDATE credits.coupons AS c SET ended_at = $2 WHERE c.id = $1 RETURNING `+rowColumns, id, s.now())
	return r.coupon(), err
}

// Page lists coupons, the newest first, and returns the cursor of the next page.
func (s *Service) Page(ctx context.Context, before keyset.Cursor, limit int) ([]Coupon, keyset.Cursor, error) {
	var w keyset.Where
	w.Before("c", before)
	rows, err := dbscope.List[row](ctx, s.db, system(),
		`SELECT `+rowColumns+` FROM credits.coupons AS c`+w.String()+keyset.Newest("c")+` LIMIT `+w.Arg(limit+1), w.Args()...)
	list := make([]Coupon, len(rows))
	for i, r := range rows {
		list[i] = r.coupon()
	}
	list, next := keyset.Cut(list, limit, func(c Coupon) keyset.Cursor { return keyset.Cursor{At: c.CreatedAt, ID: c.ID} })
	return list, next, err
}
