package authcore

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// mail runs a transaction in the scope of the system that causes mails.
func (s *Service) mail(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	if err := s.db.InTx(ctx, system(), fn); err != nil {
		return err
	}
	s.mailer.Wake()
	return nil
}
