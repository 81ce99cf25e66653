package outbox

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"mana.how/edge/internal/dbscope"
)

// Outcomes of a try, as [Config.Observe] is told.
const (
	Sent  = "sent"
	Again = "retry" // failed, to be tried again
	Died  = "dead"  // failed for good
	Cut   = "cut"   // this edge stopped meanwhile; another one tries at once
)

// Config says what a [Box] works with. DB, Sealer and Channels are required;
// zero takes the default named.
type Config struct {
	DB       dbscope.DB
	Sealer   Sealer
	Channels map[string]Deliver
	Families map[string]Family // by name; may be nil
	Logger   *slog.Logger      // none; told of what fails, never of bodies

	// Observe is told the outcome of each try and how long it took, of a channel of a
	// family under the name of that. It is called by several workers at once.
	Observe func(channel, kind, outcome string, took time.Duration)

	Workers int           // 4, a channel: one that hangs holds up no other
	Timeout time.Duration // 30 s, of one delivery
	Poll    time.Duration // 1 s, between looks at what is due
	Grace   time.Duration // 5 s that running deliveries have to end when Run is to

	// Pauses after the first, second, … failure by channel or family, each ± 10 %;
	// the last one repeats. The default is [DefaultPauses].
	Pauses map[string][]time.Duration
	// GiveUp is how long a message is tried: 3 days.
	GiveUp time.Duration
	// Retention is how long sent and dead messages are kept: 30 days.
	Retention time.Duration
}

// DefaultPauses are those of channels and families that [Config.Pauses] does not name.
func DefaultPauses() []time.Duration {
	return []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		15 * time.Minute, 30 * time.Minute, time.Hour,
	}
}

// leaseMargin is how much longer than a delivery its lease lasts, so that its
// outcome is on record before somebody else may try.
const leaseMargin = 15 * time.Second

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, string, string, time.Duration) {}
	}
	if c.Workers == 0 {
		c.Workers = 4
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&c.Timeout, 30 * time.Second},
		{&c.Poll, time.Second},
		{&c.Grace, 5 * time.Second},
		{&c.GiveUp, 3 * 24 * time.Hour},
		{&c.Retention, 30 * 24 * time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	return c
}

// Box is the outbox of one process. Its methods may be called at once.
type Box struct {
	cfg   Config
	lease time.Duration

	mu   sync.Mutex
	wake map[string]chan struct{} // by channel that is served
	held map[string]struct{}      // ids of messages in the hands of a worker of this Box
}

// New makes a Box. It does nothing until [Box.Run].
func New(cfg Config) *Box {
	cfg = cfg.withDefaults()
	return &Box{cfg: cfg, lease: cfg.Timeout + leaseMargin, wake: map[string]chan struct{}{}, held: map[string]struct{}{}}
}

// Wake has the workers of this process look for what is due now. Call it after
// the commit of a [Box.Put]; without it they find the message within
// [Config.Poll].
func (b *Box) Wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wake := range b.wake {
		select {
		case wake <- struct{}{}:
		default: // they are about to look already
		}
	}
}

// Run delivers until ctx ends, and returns when the last worker has. It also
// removes what is older than [Config.Retention], once an hour.
func (b *Box) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, channel := range slices.Sorted(maps.Keys(b.cfg.Channels)) {
		running.Go(func() { b.serve(ctx, channel) })
	}
	for _, name := range slices.Sorted(maps.Keys(b.cfg.Families)) {
		running.Go(func() { b.serveFamily(ctx, name) })
	}
	running.Go(func() { b.pruneHourly(ctx) })
	running.Wait()
}

// listen has [Box.Wake] wake who serves a channel, until asleep is called.
func (b *Box) listen(channel string) (wake <-chan struct{}, asleep func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{}, 1)
	b.wake[channel] = c
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.wake[channel] == c {
			delete(b.wake, channel)
		}
	}
}

// take marks a message as held by a worker, and reports whether it was not.
func (b *Box) take(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, held := b.held[id]
	b.held[id] = struct{}{}
	return !held
}

func (b *Box) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, id)
}
