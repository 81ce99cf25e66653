package gift

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/crypto/bcrypt"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Config sets what links look like and how long gifts live; zero takes the
// default named.
type Config struct {
	// BaseURL is the site of the family's identity service.
	BaseURL string
	// LinkBase is what a code is appended to for a link. By default it is
	// "https://mana.how/g/" where BaseURL is mana.how or below, which is where
	// links already out in the world lead to, and BaseURL + "/g/" elsewhere.
	LinkBase string
	// Life of a gift whose creator names no end, 90 days.
	Life time.Duration
	// ExpireEvery is how often gifts whose time is over are given back, 30
	// seconds.
	ExpireEvery time.Duration
	// Address gives the one form in which e-mail addresses are stored and
	// compared, or why a text is none. By default blanks around it go, and
	// capitals.
	Address func(string) (string, error)
	// RedeemUnverified gives what is meant for an address to whoever registers
	// it. Otherwise they have to prove that it is theirs.
	RedeemUnverified bool
	// RiddleCost is the bcrypt cost of riddles' answers, 10.
	RiddleCost int
}

// Deps is what the service works with. Logger and Now have defaults.
type Deps struct {
	Pool   *pgxpool.Pool
	Ledger *creditcore.Service
	// HeldTx reports whether an account makes no gifts for now; nil where all do.
	HeldTx   func(ctx context.Context, tx pgx.Tx, userID string) (bool, error)
	Logger   *slog.Logger
	Now      func() time.Time
	Observer Observer
}

// Observer receives measurements. Its func may be nil and must not block.
type Observer struct {
	// Gift is told of each step in a gift's life: created, redeemed, refused,
	// cancelled, expired.
	Gift func(event string)
}

// Service makes and redeems gifts. It is safe for concurrent use.
type Service struct {
	cfg     Config
	db      dbscope.DB
	ledger  *creditcore.Service
	heldTx  func(context.Context, pgx.Tx, string) (bool, error)
	log     *slog.Logger
	now     func() time.Time
	observe Observer
	riddles riddles
	newCode func() Code
}

// New connects nothing. [Service.Run] must be running for gifts to expire
// unasked.
func New(cfg Config, deps Deps) *Service {
	if cfg.LinkBase == "" {
		cfg.LinkBase = linkBase(cfg.BaseURL)
	}
	if cfg.Life == 0 {
		cfg.Life = 90 * 24 * time.Hour
	}
	if cfg.ExpireEvery == 0 {
		cfg.ExpireEvery = 30 * time.Second
	}
	if cfg.RiddleCost == 0 {
		cfg.RiddleCost = bcrypt.DefaultCost
	}
	if cfg.Address == nil {
		cfg.Address = func(text string) (string, error) { return strings.ToLower(strings.TrimSpace(text)), nil }
	}
	s := &Service{
		cfg: cfg, db: dbscope.DB{Pool: deps.Pool, Error: dbError}, ledger: deps.Ledger, heldTx: deps.HeldTx, log: deps.Logger, now: deps.Now, observe: deps.Observer,
		riddles: newRiddles(cfg.RiddleCost), newCode: randomCode,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.ledger.UseGifts(withdrawals{s})
	return s
}

// URL is the link of a code.
func (s *Service) URL(c Code) string { return s.cfg.LinkBase + string(c) }

func (s *Service) saw(event string) {
	if s.observe.Gift != nil {
		s.observe.Gift(event)
	}
}

// newID is a UUID whose first bits are the time (RFC 9562, section 5.7).
func newID() string { return uuid.Must(uuid.NewV7()).String() }
