package proof

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Notary signs statements with a key that the database has sealed alone.
type Notary interface {
	// SignProof makes a JWS in compact form (RFC 7515) of a payload; typ says of what
	// kind it is.
	SignProof(typ string, payload []byte) (string, error)
	// OpenProof verifies one of that kind and returns its payload.
	OpenProof(ctx context.Context, typ, statement string) ([]byte, error)
	// ProofKeys is the public JWK set of every key that has signed (RFC 7517).
	ProofKeys() []byte
	// Issuer names the service in what it states.
	Issuer() string
}

// Errors of this package.
var (
	ErrNoRoot    = errors.New("there is no root of that day")
	ErrNotInRoot = errors.New("the root of that day has no row of the account")
)

// Deps is what the service works with. Now and Logger have defaults.
type Deps struct {
	Pool   *pgxpool.Pool
	Notary Notary
	Logger *slog.Logger
	Now    func() time.Time
}

// Service makes roots and verifies the ledger. It is safe for concurrent use.
type Service struct {
	db     dbscope.DB
	notary Notary
	log    *slog.Logger
	now    func() time.Time
}

// New connects nothing. [Service.Run] must be running for roots to be made.
func New(deps Deps) *Service {
	s := &Service{db: dbscope.DB{Pool: deps.Pool, Error: dbError}, notary: deps.Notary, log: deps.Logger, now: deps.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// dbError makes an outage [creditcore.ErrUnavailable].
func dbError(err error) error {
	if err != nil && dbscope.IsUnavailable(err) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}

// lookEvery is how often an edge looks whether the root of the last day is missing.
const lookEvery = 5 * time.Minute

// Run makes the root of each day soon after its end (UTC) until ctx ends. Of several
// edges one makes it.
func (s *Service) Run(ctx context.Context) error {
	for first := time.After(time.Minute); ; first = time.After(lookEvery) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-first:
		}
		root, made, err := s.MakeRoot(ctx, DayOf(s.now()).AddDate(0, 0, -1))
		if err != nil && ctx.Err() == nil {
			s.log.Warn("make the root of the ledger; it is tried again", "error", err)
		}
		if made {
			s.log.Info("the root of the ledger was signed", "day", root.Day.Format(time.DateOnly), "accounts", root.Accounts, "root", root.Hash.String())
		}
	}
}

// DayOf is the UTC day of a moment, as its beginning.
func DayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
