package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/internal/dbscope"
)

const (
	revocationChannel = "mana_revocations"
	keyChannel        = "mana_keys"
	userChannel       = "mana_users"

	listenPulse = 10 * time.Second
	sweepEvery  = time.Minute
)

// Run listens for revocations and key changes, rotates keys on schedule and
// sweeps what has expired, until ctx ends. It rides out a database that is
// away. It returns ctx's error.
func (s *Service) Run(ctx context.Context) error {
	done := make(chan struct{}, 3)
	loops := []func(context.Context){s.listenLoop, s.sweepLoop}
	if s.redis != nil {
		loops = append(loops, s.redisLoop)
	}
	for _, loop := range loops {
		go func() {
			loop(ctx)
			done <- struct{}{}
		}()
	}
	for range loops {
		<-done
	}
	return ctx.Err()
}

func (s *Service) listenLoop(ctx context.Context) {
	backoff := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := s.now()
		err := s.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.now().Sub(began) > listenPulse {
			backoff = 100 * time.Millisecond
		}
		s.log.Warn("listening for revocations was interrupted", "error", err, "again_in", backoff)
		s.catchUp(ctx)
		if !sleep(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, 2*time.Second)
	}
}

// catchUp reads over the pool what would have been heard: a pooler may serve
// while the way to PostgreSQL itself is cut.
func (s *Service) catchUp(ctx context.Context) {
	if err := s.loadRevocations(ctx); err != nil {
		return // away altogether; listenOnce says so
	}
	if err := s.loadKeys(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("reload signing keys", "error", err)
	}
}

// listenOnce listens on a connection of its own until that fails. What was
// revoked while nobody listened is read first.
func (s *Service) listenOnce(ctx context.Context) error {
	connectCtx, cancel := dbscope.Bounded(ctx)
	conn, err := pgx.ConnectConfig(connectCtx, s.listen.Copy())
	cancel()
	if err != nil {
		return err
	}
	defer func() {
		closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closeCtx)
	}()
	for _, channel := range []string{revocationChannel, keyChannel, userChannel} {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
	}
	for {
		if err := s.loadRevocations(ctx); err != nil {
			return err
		}
		if err := s.loadKeys(ctx); err != nil {
			return err
		}
		if err := s.receive(ctx, conn); err != nil {
			return err
		}
		pingCtx, cancel := dbscope.Bounded(ctx)
		err := conn.Ping(pingCtx)
		cancel()
		if err != nil {
			return err
		}
	}
}

// receive handles notifications for one pulse.
func (s *Service) receive(ctx context.Context, conn *pgx.Conn) error {
	pulse, cancel := context.WithTimeout(ctx, listenPulse)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(pulse)
		if pulse.Err() != nil && (err == nil || pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded)) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		s.notified(ctx, n.Channel, n.Payload)
	}
}

func (s *Service) notified(ctx context.Context, channel, payload string) {
	switch channel {
	case keyChannel:
		if err := s.loadKeys(ctx); err != nil {
			s.log.Warn("reload signing keys", "error", err)
		}
		return
	case userChannel:
		s.forgetUser(payload)
		return
	}
	var rev revocation
	if err := json.Unmarshal([]byte(payload), &rev); err != nil {
		s.log.Error("a revocation could not be read", "error", err)
		return
	}
	rev.CreatedAt = time.UnixMilli(rev.At)
	if s.observe.RevocationLag != nil {
		s.observe.RevocationLag(max(0, s.now().Sub(rev.CreatedAt)))
	}
	s.apply(rev)
}

func (s *Service) redisLoop(ctx context.Context) {
	for ctx.Err() == nil {
		sub := s.redis.Subscribe(ctx, revocationChannel)
		messages := sub.Channel()
	receiving:
		for {
			select {
			case <-ctx.Done():
				break receiving
			case m, ok := <-messages:
				if !ok {
					break receiving
				}
				s.notified(ctx, revocationChannel, m.Payload)
			}
		}
		_ = sub.Close()
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

// sweepLoop keeps the keys in time and drops what has expired.
func (s *Service) sweepLoop(ctx context.Context) {
	for sleep(ctx, sweepEvery) {
		s.revoked.forget(s.now().Add(-memorySpan))
		for name, step := range map[string]func(context.Context) error{
			"rotate keys": s.rotateOnSchedule,
			"purge":       s.purge,
		} {
			if err := step(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
				s.log.Error(name, "error", err)
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
