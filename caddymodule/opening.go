package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

const (
	// startLimit bounds one try to open a runtime. It is generous because
	// migrations are in it.
	startLimit = 5 * time.Minute

	firstPause, longestPause = 250 * time.Millisecond, 10 * time.Second
)

// opening is a runtime on its way. A database that is not there yet is asked
// again, with growing pauses, until the last config that wants it is gone.
type opening struct {
	settings Settings
	log      *slog.Logger
	opened   func(*Runtime)

	cancel context.CancelFunc
	tried  chan struct{} // closed after the first try
	open   chan struct{} // closed when the runtime is there
	done   chan struct{} // closed when no more is tried

	mu      sync.Mutex
	runtime *Runtime
	failure error // of the last try
}

// beginOpening opens a runtime in the background. opened is told of it.
func beginOpening(s Settings, log *slog.Logger, opened func(*Runtime)) *opening {
	ctx, cancel := context.WithCancel(context.Background())
	o := &opening{
		settings: s, log: log, opened: opened, cancel: cancel,
		tried: make(chan struct{}), open: make(chan struct{}), done: make(chan struct{}),
	}
	go o.run(ctx)
	return o
}

// run tries until the runtime is open. A first failure that waiting does not
// mend ends it: the config is refused then. Later ones are all waited out, for
// nobody is there to be told but the log.
func (o *opening) run(ctx context.Context) {
	defer close(o.done)
	pause := firstPause
	for first := true; ; first = false {
		err := o.try(ctx)
		if first {
			close(o.tried)
		}
		if err == nil {
			close(o.open)
			return
		}
		if first && !mendsByWaiting(err) || ctx.Err() != nil {
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

func (o *opening) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	rt, err := newRuntime(ctx, o.settings, o.log)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runtime, o.failure = rt, err
	if err == nil {
		o.opened(rt)
	}
	return err
}

// state is the runtime, or why it is not there.
func (o *opening) state() (*Runtime, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.runtime, o.failure
}

// end stops trying and returns the runtime, nil where there is none.
func (o *opening) end() *Runtime {
	o.cancel()
	<-o.done
	rt, _ := o.state()
	return rt
}

// mendsByWaiting reports whether a start that failed may succeed later with the
// same config: the database is not reached, starts, stops, is read-only or out
// of resources. A refused password, a missing database, a schema of another
// version or roles that cannot be made are for a person to mend.
func mendsByWaiting(err error) bool {
	var certificate *tls.CertificateVerificationError
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, errEmbedded), errors.Is(err, errUnnamedPooler), errors.As(err, &certificate):
		return false
	case errors.As(err, &refused) && !dbscope.Away(refused):
		return false
	}
	return dbscope.Away(err)
}
