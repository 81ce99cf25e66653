package services

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/dbscope"
)

const (
	// startLimit bounds one try to open a runtime. It is generous because
	// migrations are in it.
	startLimit = 5 * time.Minute

	firstPause, longestPause = 250 * time.Millisecond, 10 * time.Second
)

// Opening is a runtime on its way. A database that is not there yet is asked
// again, with growing pauses, until the last config that wants it is gone.
type Opening struct {
	Settings config.Settings
	log      *slog.Logger
	opened   func(*Runtime)

	cancel context.CancelFunc
	Tried  chan struct{} // closed after the first try
	Open   chan struct{} // closed when the runtime is there
	Done   chan struct{} // closed when no more is tried

	mu      sync.Mutex
	runtime *Runtime
	failure error // of the last try
}

// beginOpening opens a runtime in the background. opened is told of it.
func beginOpening(s config.Settings, log *slog.Logger, opened func(*Runtime)) *Opening {
	ctx, cancel := context.WithCancel(context.Background())
	o := &Opening{
		Settings: s, log: log, opened: opened, cancel: cancel,
		Tried: make(chan struct{}), Open: make(chan struct{}), Done: make(chan struct{}),
	}
	go o.run(ctx)
	return o
}

// run tries until the runtime is open. A first failure that waiting does not
// mend ends it: the config is refused then. Later ones are all waited out, for
// nobody is there to be told but the log.
func (o *Opening) run(ctx context.Context) {
	defer close(o.Done)
	pause := firstPause
	for first := true; ; first = false {
		err := o.try(ctx)
		if first {
			close(o.Tried)
		}
		if err == nil {
			close(o.Open)
			return
		}
		if first && !MendsByWaiting(err) || ctx.Err() != nil {
			return
		}
		o.log.Error("the database cannot be used yet, requests are answered with 503", "error", err, "next_try_in", pause.String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

func (o *Opening) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	rt, err := newRuntime(ctx, o.Settings, o.log)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runtime, o.failure = rt, err
	if err == nil {
		o.opened(rt)
	}
	return err
}

// State is the runtime, or why it is not there.
func (o *Opening) State() (*Runtime, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.runtime, o.failure
}

// end stops trying and returns the runtime, nil where there is none.
func (o *Opening) end() *Runtime {
	o.cancel()
	<-o.Done
	rt, _ := o.State()
	return rt
}

// MendsByWaiting reports whether a start that failed may succeed later with the
// same config: the database is not reached, starts, stops, is read-only or out
// of resources. A refused password, a missing database, a schema of another
// version or roles that cannot be made are for a person to mend.
func MendsByWaiting(err error) bool {
	var certificate *tls.CertificateVerificationError
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, errEmbedded), errors.Is(err, errUnnamedPooler), errors.As(err, &certificate):
		return false
	case errors.As(err, &refused) && !dbscope.IsUnavailable(refused):
		return false
	}
	return dbscope.IsUnavailable(err)
}
