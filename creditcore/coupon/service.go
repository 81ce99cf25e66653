package coupon

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/sealed"
	"mana.how/edge/internal/dbscope"
)

// Mailbox is where the mail of an address arrives: a name that every spelling of
// the address has, the domain behind the @, the part of it that somebody
// registered, and whether anybody can have addresses of the domain.
type Mailbox struct {
	Name, Domain, Registrable string
	Public                    bool
}

// Trial is what a new account is given once its address is proven.
type Trial struct {
	Credits     creditcore.Amount
	Life        time.Duration // of the credits; zero is for ever
	DomainLimit int           // how many of one domain are given it; zero is any number
}

// Config sets what is given to whom; zero takes the default named.
type Config struct {
	// Trial is nil where new accounts are given none.
	Trial *Trial
	// Mailbox reads an address. By default every address is a mailbox of its own,
	// and no domain is public.
	Mailbox func(address string) Mailbox
	// SweepEvery is how often trials are looked for that were promised and not
	// given though the address is proven, 30 seconds.
	SweepEvery time.Duration
}

// Deps is what the service works with. Logger and Now have defaults.
type Deps struct {
	Pool   *pgxpool.Pool
	Ledger *creditcore.Service
	// Sealer is nil where there is no encryption key: coupons can be listed and
	// ended then, and trials promised, nothing more.
	Sealer sealed.Sealer
	// TrialTx is told of each trial in the transaction that gives it; nil for nobody.
	TrialTx  func(ctx context.Context, tx pgx.Tx, userID string, credits creditcore.Amount) error
	Logger   *slog.Logger
	Now      func() time.Time
	Observer Observer
}

// Recorder is told, in its transaction, what happened to a coupon: its id (coupon), its
// name, and the credits. Its error undoes it. A nil one is nobody.
type Recorder func(ctx context.Context, tx pgx.Tx, about map[string]any) error

func (r Recorder) tell(ctx context.Context, tx pgx.Tx, couponID, name string, credits creditcore.Amount) error {
	if r == nil {
		return nil
	}
	return r(ctx, tx, map[string]any{"coupon": couponID, "name": name, "credits": credits})
}

// Observer receives measurements. Its funcs may be nil and must not block.
type Observer struct {
	Coupon func(event string) // redeemed, refused
	Trial  func(event string) // given, refused
}

// Service makes and redeems coupons, and gives trials. It is safe for concurrent use.
type Service struct {
	cfg     Config
	db      dbscope.DB
	ledger  *creditcore.Service
	trialTx func(context.Context, pgx.Tx, string, creditcore.Amount) error
	log     *slog.Logger
	now     func() time.Time
	observe Observer
	secret  sealed.Secret
	keys    atomic.Pointer[keys]
}

// New connects nothing. [Service.Run] must be running for trials to be given whose
// giving was interrupted.
func New(cfg Config, deps Deps) *Service {
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = 30 * time.Second
	}
	if cfg.Mailbox == nil {
		cfg.Mailbox = func(address string) Mailbox {
			domain := address[strings.LastIndexByte(address, '@')+1:]
			return Mailbox{Name: address, Domain: domain, Registrable: domain}
		}
	}
	db := dbscope.DB{Pool: deps.Pool, Error: dbError}
	s := &Service{
		cfg: cfg, db: db, ledger: deps.Ledger, trialTx: deps.TrialTx,
		log: deps.Logger, now: deps.Now, observe: deps.Observer, secret: sealed.Secret{Name: secretName, DB: db, Sealer: deps.Sealer},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

func system() dbscope.Scope { return dbscope.System() }

// newID is a UUID whose first bits are the time (RFC 9562, section 5.7).
func newID() string { return uuid.Must(uuid.NewV7()).String() }

func tell(observer func(string), event string) {
	if observer != nil {
		observer(event)
	}
}
