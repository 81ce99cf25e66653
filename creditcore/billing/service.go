package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v85"
	"golang.org/x/sync/singleflight"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

const (
	// stripeWait bounds one question to Stripe, its retries included.
	stripeWait = 20 * time.Second
	// stripeTry bounds one try of it.
	stripeTry = 10 * time.Second
)

// Service sells credits. It is safe for concurrent use.
type Service struct {
	cfg     Config
	db      dbscope.DB
	ledger  *creditcore.Service
	log     *slog.Logger
	now     func() time.Time
	observe Observer
	// stripe is nil without a key.
	stripe *stripe.Client
	// customers lets one request of a user make his customer.
	customers singleflight.Group
}

// New connects nothing. [Service.Run] must be running for abandoned purchases
// to expire and for differences with Stripe to be found.
func New(cfg Config, deps Deps) *Service {
	if cfg.Grace == 0 {
		cfg.Grace = 72 * time.Hour
	}
	s := &Service{
		cfg: cfg, db: dbscope.DB{Pool: deps.Pool, Error: dbError}, ledger: deps.Ledger,
		log: deps.Logger, now: deps.Now, observe: deps.Observer,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if cfg.SecretKey != "" {
		s.stripe = stripe.NewClient(cfg.SecretKey, stripe.WithBackends(backends(cfg.APIURL)))
	}
	return s
}

// backends are quiet, since their errors come back, and bounded in time.
func backends(url string) *stripe.Backends {
	config := &stripe.BackendConfig{
		EnableTelemetry:   stripe.Bool(false),
		HTTPClient:        &http.Client{Timeout: stripeTry},
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(2),
	}
	if url != "" {
		config.URL = stripe.String(url)
	}
	return stripe.NewBackendsWithConfig(config)
}

// Format implements [fmt.Formatter]: a printed service shows none of its keys.
func (s *Service) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "billing of %s", s.cfg.BaseURL)
}

// Seed writes the configured packages and plans.
func (s *Service) Seed(ctx context.Context) error {
	return errors.Join(s.seedPackages(ctx), s.seedPlans(ctx))
}

// asking bounds a question to Stripe.
func asking(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, stripeWait)
}

// keyHour is a part of idempotency keys of what may be made twice at worst.
// Stripe remembers under a key that it failed, too (for 24 hours).
func (s *Service) keyHour() string { return s.now().UTC().Format("2006-01-02T15") }

func (s *Service) sawPurchase(outcome string) {
	if s.observe.Purchase != nil {
		s.observe.Purchase(outcome)
	}
}

func (s *Service) sawWebhook(eventType, outcome string) {
	if s.observe.Webhook != nil {
		s.observe.Webhook(eventType, outcome)
	}
}
