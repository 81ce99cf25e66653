package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/publicnet"
)

// Errors of this package.
var (
	ErrNotFound   = errors.New("no such endpoint")
	ErrNoDelivery = errors.New("no such delivery")
	ErrInvalid    = errors.New("invalid endpoint")
	ErrDisabled   = errors.New("the endpoint is disabled")
	ErrTooMany    = errors.New("there are too many endpoints")
)

// Family is that of the channels of the outbox.
const Family = "webhook"

// Pauses are those between the tries to deliver an event; the last one repeats.
func Pauses() []time.Duration {
	return []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
}

const (
	// disableAfter is how long an endpoint may fail without a break.
	disableAfter = 3 * 24 * time.Hour
	// rotation is how long requests are signed with the secret before, too.
	rotation = 24 * time.Hour
	// maxEndpoints bounds how many there are: each has workers at every edge.
	maxEndpoints = 50
	relayEvery   = time.Second
	tidyEvery    = time.Hour
)

// Config says what a [Service] works with. DB and Sealer are required.
type Config struct {
	DB     dbscope.DB
	Sealer outbox.Sealer
	// SealedBy is what a text begins with that the first key of the Sealer has sealed.
	SealedBy string
	Logger   *slog.Logger
	// Networks may be reached beside public addresses, without TLS too.
	Networks []netip.Prefix
	// Retention is how long events and their deliveries are kept: 30 days.
	Retention time.Duration
	// Disabled is told, in the transaction, of an endpoint that failed for too long.
	Disabled func(ctx context.Context, tx pgx.Tx, id, reason string) error
	Now      func() time.Time
}

// Service are the webhooks of one database. Its methods may be called at once.
type Service struct {
	cfg    Config
	db     dbscope.DB
	client *http.Client
	box    *outbox.Box // set by Use
}

// New makes a Service. Before anything else [Service.Use] gives it its outbox.
func New(cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Retention == 0 {
		cfg.Retention = 30 * 24 * time.Hour
	}
	if cfg.Disabled == nil {
		cfg.Disabled = func(context.Context, pgx.Tx, string, string) error { return nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, db: cfg.DB, client: publicnet.Client(cfg.Networks...)}
}

// Use gives the service the outbox, one of whose families is that of [Service.Family].
func (s *Service) Use(box *outbox.Box) { s.box = box }

// Family is what the outbox is to serve under the name [Family].
func (s *Service) Family() outbox.Family {
	return outbox.Family{Deliver: s.deliver, Members: s.members}
}

// Run relays events to the outbox, removes what is older than it is kept, and seals
// secrets anew whose key is not the first any more, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	relay, tidy := time.NewTicker(relayEvery), time.NewTicker(tidyEvery)
	defer relay.Stop()
	defer tidy.Stop()
	s.tidy(ctx)
	away := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			s.tidy(ctx)
		case <-relay.C:
			err := s.relayAll(ctx)
			if err != nil && ctx.Err() == nil && !away {
				s.cfg.Logger.Warn("events are not passed on to webhooks", "error", err)
			}
			away = err != nil
		}
	}
}

// tidy does what is to be done now and then.
func (s *Service) tidy(ctx context.Context) {
	if err := errors.Join(s.prune(ctx), s.reseal(ctx)); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("tidy up webhooks", "error", err)
	}
}
