package gift

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
)

func system() dbscope.Scope { return dbscope.System() }

// inTx runs fn as the system. A [Refusal] that fn returns comes back, but what
// fn wrote before is kept.
func (s *Service) inTx(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	var refusal error
	err := s.db.InTx(ctx, system(), func(ctx context.Context, tx pgx.Tx) error {
		err := fn(ctx, tx)
		if refused := Refusal(""); errors.As(err, &refused) {
			refusal = refused
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}
