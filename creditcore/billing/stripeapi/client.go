package stripeapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"golang.org/x/sync/singleflight"

	"mana.how/edge/internal/dbscope"
)

const (
	// requestTimeout bounds one question to Stripe, its retries included.
	requestTimeout = 20 * time.Second
	// tryTimeout bounds one try of it.
	tryTimeout = 10 * time.Second
)

// Client asks Stripe, and knows who of our users is which customer there. It is
// safe for concurrent use.
type Client struct {
	*stripe.Client

	live bool
	db   dbscope.DB
	now  func() time.Time
	// customers lets one request of a user make their customer.
	customers singleflight.Group
}

// New makes a client for a secret key. The URL is another endpoint than
// Stripe's own, for tests.
func New(key, url string, db dbscope.DB, now func() time.Time) *Client {
	return &Client{
		Client: stripe.NewClient(key, stripe.WithBackends(backends(url))),
		live:   LiveKey(key), db: db, now: now,
	}
}

// backends are quiet, since their errors come back, and bounded in time.
func backends(url string) *stripe.Backends {
	config := &stripe.BackendConfig{
		EnableTelemetry:   stripe.Bool(false),
		HTTPClient:        &http.Client{Timeout: tryTimeout},
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(2),
	}
	if url != "" {
		config.URL = stripe.String(url)
	}
	return stripe.NewBackendsWithConfig(config)
}

// LiveKey reports whether a secret key of Stripe moves real money.
func LiveKey(key string) bool { return strings.Contains(key, "_live_") }

// Live reports whether the client's key moves real money.
func (s *Client) Live() bool { return s.live }

// WithTimeout bounds a question to Stripe, its retries included.
func WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, requestTimeout)
}

// KeyHour is a part of idempotency keys of what may be made twice at worst.
// Stripe remembers under a key that it failed, too (for 24 hours).
func (s *Client) KeyHour() string { return s.now().UTC().Format("2006-01-02T15") }
