package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/usertext"
)

// serve delivers the messages of one channel until ctx ends.
func (b *Box) serve(ctx context.Context, channel string) {
	// Deliveries that run when ctx ends have a while longer.
	deliveries, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(b.cfg.Grace, cut) })
	defer stop()

	free := make(chan struct{}, b.cfg.Workers)
	for range b.cfg.Workers {
		free <- struct{}{}
	}
	var running sync.WaitGroup
	defer running.Wait()
	poll := time.NewTicker(b.cfg.Poll)
	defer poll.Stop()
	wake, asleep := b.listen(channel)
	defer asleep()
	away := false
	for ctx.Err() == nil {
		workers := 0
		select {
		case <-ctx.Done():
			return
		case <-free:
			workers = 1 + drain(free)
		}
		// What is leased when ctx ends is delivered still, or another edge would wait for the end of the lease.
		found, err := b.claim(context.WithoutCancel(ctx), channel, workers)
		if err != nil && ctx.Err() == nil && !away {
			b.cfg.Logger.Warn("the outbox cannot be read", "channel", channel, "error", err)
		}
		away = err != nil
		for _, c := range found {
			if !b.take(c.ID) { // its delivery is not on record yet, and will be
				b.putBack(ctx, c)
				continue
			}
			workers--
			running.Go(func() {
				defer func() { free <- struct{}{} }()
				defer b.drop(c.ID)
				b.try(deliveries, c)
			})
		}
		for range workers {
			free <- struct{}{}
		}
		if workers == 0 {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-poll.C:
		}
	}
}

// putBack gives a message back that this process still has in hand. Where that
// fails its lease ends.
func (b *Box) putBack(ctx context.Context, c claimed) {
	if _, err := b.cfg.DB.Exec(context.WithoutCancel(ctx), dbscope.System(), markInHand, c.ID, c.Attempts); err != nil {
		b.cfg.Logger.Warn("a message is tried again when its lease ends", "id", c.ID, "channel", c.Channel, "error", err)
	}
}

// drain takes what a channel holds, and returns how much that was.
func drain(c <-chan struct{}) (n int) {
	for {
		select {
		case <-c:
			n++
		default:
			return n
		}
	}
}

// try delivers a message and writes down what became of it. ctx ends when the
// Box stops.
func (b *Box) try(ctx context.Context, c claimed) {
	began := time.Now()
	err := b.deliver(ctx, c)
	took := time.Since(began)
	outcome := Sent
	log := b.cfg.Logger.With("id", c.ID, "channel", c.Channel, "kind", c.Kind, "attempts", c.Attempts)
	switch {
	case err == nil:
		err = b.record(ctx, func(ctx context.Context) error {
			_, err := b.cfg.DB.Exec(ctx, dbscope.System(), markSent, c.ID)
			return err
		})
		if err != nil {
			log.Error("a message was delivered, and that is not on record: it may be delivered again", "error", err)
		}
	case ctx.Err() != nil && !IsPermanent(err):
		outcome = Cut
		err = b.record(ctx, func(ctx context.Context) error {
			_, err := b.cfg.DB.Exec(ctx, dbscope.System(), markCut, c.ID, c.Attempts)
			return err
		})
		if err != nil {
			log.Warn("a message is tried again when its lease ends", "error", err)
		}
	default:
		outcome = b.fail(ctx, c, err)
	}
	b.cfg.Observe(familyOf(c.Channel), c.Kind, outcome, took)
}

// fail writes down that a delivery failed, and returns its outcome.
func (b *Box) fail(ctx context.Context, c claimed, cause error) string {
	log := b.cfg.Logger.With("id", c.ID, "channel", c.Channel, "kind", c.Kind, "attempts", c.Attempts, "error", cause)
	var f []failure
	err := b.record(ctx, func(ctx context.Context) (err error) {
		f, err = dbscope.List[failure](ctx, b.cfg.DB, dbscope.System(), markFailed,
			c.ID, c.Attempts, usertext.Clean(cause.Error(), maxError), IsPermanent(cause), b.pause(c.Channel, c.Attempts).Seconds())
		return err
	})
	switch {
	case err != nil:
		log.Warn("a delivery failed, and that is not on record: it is tried again when its lease ends", "record", err)
	case len(f) == 0:
		log.Info("a delivery failed after another one had begun")
	case f[0].Dead:
		log.Error("a message could not be delivered and is not tried again")
		return Died
	default:
		log.Warn("a delivery failed", "again", f[0].DueAt)
	}
	return Again
}

// maxError bounds the error that is kept, in bytes.
const maxError = 500

// deliver opens a message and delivers it within [Config.Timeout]. A delivery
// that does not heed its context is left behind.
func (b *Box) deliver(ctx context.Context, c claimed) error {
	body, err := b.cfg.Sealer.Open(c.Body, []byte(c.ID))
	if err != nil {
		return fmt.Errorf("open the body: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.Timeout, errTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("the delivery panicked: %v", v)
			}
		}()
		done <- b.deliverOf(c.Channel)(ctx, Message{
			ID: c.ID, Channel: c.Channel, Kind: c.Kind, UserID: c.UserID, Body: body, Attempts: c.Attempts, CreatedAt: c.CreatedAt})
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(leaseMargin / 3):
		return context.Cause(ctx)
	}
}

var errTimeout = errors.New("the delivery took too long")

// recordWait is how long what became of a message is tried to be written after
// the Box was stopped.
const recordWait = 5 * time.Second

// record writes down what became of a message. While the database is away it
// tries again, for nobody else knows; when the Box stops it has a last chance.
func (b *Box) record(ctx context.Context, write func(context.Context) error) error {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(recordWait, cancel) })
	defer stop()
	for {
		err := write(last)
		if err == nil || last.Err() != nil {
			return err
		}
		select {
		case <-last.Done():
			return err
		case <-time.After(min(b.cfg.Poll, time.Second)):
		}
	}
}
