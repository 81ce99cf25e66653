package dbscope

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	firstPause = 5 * time.Millisecond
	longPause  = 200 * time.Millisecond
)

// Conflicted reports whether a transaction was rolled back for the sake of
// others: the same work may succeed at once.
func Conflicted(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) &&
		(pgErr.Code == "40001" || // serialization failure
			pgErr.Code == "40P01") // deadlock detected
}

// again runs a unit of work until it does not conflict with others, as long as
// there is time for it.
func again(ctx context.Context, work func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := work()
		if !Conflicted(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}
