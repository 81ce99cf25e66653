package coupon

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// person is who an account belongs to, as far as its address tells.
type person struct {
	Mailbox
	Verified  bool
	CreatedAt time.Time // the account
}

// personTx reads who an account belongs to. It fails with
// [creditcore.ErrAccountNotFound] for one that is not there, or disabled.
func (s *Service) personTx(ctx context.Context, tx pgx.Tx, userID string) (person, error) {
	type found struct {
		Email         string
		EmailVerified bool
		CreatedAt     time.Time
	}
	u, err := dbscope.TxRow[found](ctx, tx,
		`SELECT u.email, u.email_verified, u.created_at FROM auth.users AS u
		 WHERE u.id = $1 AND u.deleted_at IS NULL AND u.disabled_at IS NULL`, userID)
	if errors.Is(err, pgx.ErrNoRows) {
		return person{}, creditcore.ErrAccountNotFound
	}
	return person{s.cfg.Mailbox(u.Email), u.EmailVerified, u.CreatedAt}, err
}

// of reports whether their address is of one of the domains, or below it.
func (p person) of(domains []string) bool {
	for _, domain := range domains {
		if p.Domain == domain || strings.HasSuffix(p.Domain, "."+domain) {
			return true
		}
	}
	return false
}

// countDomainTx counts one more of the domain of an address, and reports whether
// there was room. Of public mail providers nothing is counted. The count stays
// locked until the transaction ends.
func countDomainTx(ctx context.Context, tx pgx.Tx, k *keys, couponID string, p person, limit int) (bool, error) {
	if p.Public {
		return true, nil
	}
	tag, err := tx.Exec(ctx,
		`INSERT INTO credits.coupon_domains AS d (coupon_id, domain, redeemed) VALUES ($1, $2, 1)
		 ON CONFLICT (coupon_id, domain) DO UPDATE SET redeemed = d.redeemed + 1 WHERE $3::int IS NULL OR d.redeemed < $3`,
		couponID, k.domainHash(p.Registrable), nullZero(limit))
	return tag.RowsAffected() > 0, err
}

// PersonReader reads in a transaction who an account belongs to: what stands for the
// person, the same for every spelling of their address, and whether they have proven it.
// It fails with [creditcore.ErrAccountNotFound].
type PersonReader func(ctx context.Context, tx pgx.Tx, userID string) (person []byte, verified bool, err error)

// People is for others who give something once a person. It fails with [ErrNoSecret].
func (s *Service) People(ctx context.Context) (PersonReader, error) {
	keys, err := s.openKeys(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx pgx.Tx, userID string) ([]byte, bool, error) {
		p, err := s.personTx(ctx, tx, userID)
		return keys.personHash(p.Mailbox), p.Verified, err
	}, nil
}
