package authcore

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

const (
	revocationChannel = "mana_revocations"
	keyChannel        = "mana_keys"
	userChannel       = "mana_users"

	// heartbeatEvery is how often an edge notifies itself through PostgreSQL.
	// Unless it hears that for deafAfter, it reads over the pool, every
	// pollEvery; after silentAfter it listens on another connection.
	heartbeatEvery = 500 * time.Millisecond
	deafAfter      = 2 * time.Second
	silentAfter    = 5 * time.Second
	pollEvery      = 500 * time.Millisecond

	reloadEvery = 10 * time.Second
	sweepEvery  = time.Minute
)

// Run listens for revocations and key changes, rotates keys on schedule and
// sweeps what has expired, until ctx ends. It rides out a database that is
// away. It returns ctx's error.
func (s *Service) Run(ctx context.Context) error {
	if err := s.resealKeys(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("seal signing keys", "error", err) // tried again by sweepLoop
	}
	loops := []func(context.Context){s.listenLoop, s.pollLoop, s.sweepLoop}
	if s.redis != nil {
		loops = append(loops, s.redisLoop)
	}
	var running sync.WaitGroup
	for _, loop := range loops {
		running.Go(func() { loop(ctx) })
	}
	running.Wait()
	return ctx.Err()
}

// Listening reports whether revocations arrive as they are made, and how long
// ago the last sign of that was. While they do not, they are read over the pool.
func (s *Service) Listening() (age time.Duration, ok bool) {
	age = time.Since(*s.heardAt.Load()) // by the monotonic clock
	return age, age < deafAfter && s.listening.Load()
}

func (s *Service) hear() {
	now := time.Now()
	s.heardAt.Store(&now)
	s.listening.Store(true)
}

// listenLoop listens, and connects again where that fails.
func (s *Service) listenLoop(ctx context.Context) {
	const least, most = 100 * time.Millisecond, 2 * time.Second
	pause, silentUntil, quiet := least, time.Time{}, 2*time.Second
	for ctx.Err() == nil {
		before := s.heardAt.Load()
		err := s.listenOnce(ctx)
		s.listening.Store(false)
		if ctx.Err() != nil {
			return
		}
		if s.heardAt.Load() != before {
			pause, silentUntil, quiet = least, time.Time{}, 2*time.Second
		}
		if now := time.Now(); now.After(silentUntil) {
			s.log.Warn("listening for revocations was interrupted; they are read over the pool", "error", err)
			silentUntil, quiet = now.Add(quiet), min(2*quiet, 5*time.Minute)
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, most)
	}
}

// pollLoop reads over the pool what is not heard: the way to PostgreSQL itself
// may be cut, or a connection die in silence, while a pooler serves.
func (s *Service) pollLoop(ctx context.Context) {
	for sleep(ctx, pollEvery) {
		if _, ok := s.Listening(); !ok {
			s.catchUp(ctx)
		}
	}
}

func (s *Service) catchUp(ctx context.Context) {
	err := s.reload(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) { // of that, listenLoop tells
		s.log.Warn("read revocations and signing keys", "error", err)
	}
}

// reload reads what has been revoked since the last time, and the keys.
func (s *Service) reload(ctx context.Context) error {
	ctx, cancel := dbscope.Bounded(ctx)
	defer cancel()
	return errors.Join(s.loadRevocations(ctx), s.loadKeys(ctx))
}

// listenOnce listens on a connection of its own until that fails. What was
// revoked while nobody listened is read first, and all of it now and then.
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
	// A channel of this edge alone, so that edges do not hear each other's.
	heartbeat := "mana_heartbeat_" + strings.ToLower(ids.New())
	for _, channel := range []string{revocationChannel, keyChannel, userChannel, heartbeat} {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
	}
	s.unheardUntil.Store(s.now().UnixMicro())
	var loaded time.Time
	for {
		if time.Since(loaded) > reloadEvery {
			if err := s.reload(ctx); err != nil {
				return err
			}
			loaded = time.Now()
		}
		if err := s.beat(ctx, conn, heartbeat); err != nil {
			return err
		}
		if err := s.receive(ctx, conn, heartbeatEvery, func(string) bool { return false }); err != nil {
			return err
		}
	}
}

var errSilent = errors.New("the connection that listens is silent")

// beat notifies the connection through PostgreSQL and waits to hear it.
func (s *Service) beat(ctx context.Context, conn *pgx.Conn, channel string) error {
	sendCtx, cancel := context.WithTimeout(ctx, silentAfter)
	_, err := conn.Exec(sendCtx, "NOTIFY "+channel)
	cancel()
	if err != nil {
		return err
	}
	heard := false
	err = s.receive(ctx, conn, silentAfter, func(from string) bool {
		heard = heard || from == channel
		return heard
	})
	if err == nil && !heard {
		err = errSilent
	}
	if err == nil {
		s.hear()
	}
	return err
}

// receive handles notifications for a while, or until one came that ends it.
func (s *Service) receive(ctx context.Context, conn *pgx.Conn, during time.Duration, ends func(channel string) bool) error {
	while, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(while)
		if while.Err() != nil && (err == nil || pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded)) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if ends(n.Channel) {
			return nil
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
	case revocationChannel:
	default:
		return
	}
	var rev revocation.Revocation
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
		s.revoked.Forget(s.now().Add(-memorySpan))
		for name, step := range map[string]func(context.Context) error{
			"rotate keys":         s.rotateOnSchedule,
			"seal keys":           s.resealKeys,
			"seal second factors": s.resealFactors,
			"purge":               s.purge,
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
