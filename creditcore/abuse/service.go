package abuse

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/internal/dbscope"
)

// Config sets when gifting is held; zero takes the default named.
type Config struct {
	// Threshold is the score from which gifting is held; zero is never.
	Threshold int
	// Every is how often accounts are scored, an hour.
	Every time.Duration
	// LookEvery is how often an edge looks whether it is time, a minute.
	LookEvery time.Duration
}

// Deps is what the service works with. Logger and Now have defaults.
type Deps struct {
	Pool *pgxpool.Pool
	// RecordTx is told, in its transaction, that the score alone held the gifting of an
	// account, or that such a hold ended; nil for nobody.
	RecordTx func(ctx context.Context, tx pgx.Tx, userID string, held bool) error
	Logger   *slog.Logger
	Now      func() time.Time
	Observer Observer
}

// Recorder is told, in its transaction, of what an operator did. Its error undoes it.
// A nil one is nobody.
type Recorder func(ctx context.Context, tx pgx.Tx, about map[string]any) error

func (r Recorder) tell(ctx context.Context, tx pgx.Tx) error {
	if r == nil {
		return nil
	}
	return r(ctx, tx, nil)
}

// Observer receives measurements. Its func may be nil and must not block.
type Observer struct {
	Hold func(event string) // held, released
}

// Service scores accounts and holds their gifting. It is safe for concurrent use.
type Service struct {
	cfg      Config
	db       dbscope.DB
	recordTx func(context.Context, pgx.Tx, string, bool) error
	log      *slog.Logger
	now      func() time.Time
	observe  Observer
}

// New connects nothing. [Service.Run] must be running for accounts to be scored.
func New(cfg Config, deps Deps) *Service {
	if cfg.Every == 0 {
		cfg.Every = time.Hour
	}
	if cfg.LookEvery == 0 {
		cfg.LookEvery = time.Minute
	}
	s := &Service{
		cfg: cfg, db: dbscope.DB{Pool: deps.Pool, Error: dbError}, recordTx: deps.RecordTx,
		log: deps.Logger, now: deps.Now, observe: deps.Observer,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Run scores accounts until ctx ends. Any number of edges may run it: each time one
// of them does the work.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.LookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			due, err := s.takeTurn(ctx)
			if err == nil && due {
				err = s.Score(ctx)
			}
			if err != nil && ctx.Err() == nil {
				s.log.Warn("score accounts by their use of credits", "error", err)
			}
		}
	}
}

// turnFormat is a time (UTC) whose texts are in the order of the times.
const turnFormat = "2006-01-02T15:04:05.000Z"

// takeTurn reports whether it is time to score, and takes the time for this edge. What
// an edge that dies did not do is done by the next turn.
func (s *Service) takeTurn(ctx context.Context) (bool, error) {
	now := s.now().UTC()
	n, err := s.db.Exec(ctx, system(),
		`INSERT INTO credits.job_positions AS j (job, after) VALUES ('abuse', $1)
		 ON CONFLICT (job) DO UPDATE SET after = $1 WHERE j.after <= $2`, now.Format(turnFormat), now.Add(-s.cfg.Every).Format(turnFormat))
	return n == 1, err
}

// EraseTx forgets the score of a user who leaves, and which cards they bought with.
func (s *Service) EraseTx(ctx context.Context, tx pgx.Tx, userID string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM credits.cards WHERE user_id = $1`, userID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM credits.abuse_scores WHERE user_id = $1`, userID)
	return err
}

func (s *Service) saw(event string) {
	if s.observe.Hold != nil {
		s.observe.Hold(event)
	}
}

func system() dbscope.Scope { return dbscope.System() }
