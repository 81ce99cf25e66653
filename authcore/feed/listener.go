package feed

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
)

const (
	revocationChannel = "mana_revocations"
	keyChannel        = "mana_keys"

	// heartbeatEvery is how often an edge notifies itself through PostgreSQL.
	// Unless it hears that for deafAfter, it reads over the pool, every
	// pollEvery; after silentAfter it listens on another connection.
	heartbeatEvery = 500 * time.Millisecond
	deafAfter      = 2 * time.Second
	silentAfter    = 5 * time.Second
	pollEvery      = 500 * time.Millisecond

	reloadEvery = 10 * time.Second
)

// Listening reports whether revocations arrive as they are made, and how long
// ago the last sign of that was. While they do not, they are read over the pool.
func (s *Feed) Listening() (age time.Duration, ok bool) {
	age = time.Since(*s.heardAt.Load()) // by the monotonic clock
	return age, age < deafAfter && s.listening.Load()
}

func (s *Feed) hear() {
	now := time.Now()
	s.heardAt.Store(&now)
	s.listening.Store(true)
}

// listenLoop listens, and connects again where that fails.
func (s *Feed) listenLoop(ctx context.Context) {
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
			s.with.Log.Warn("listening for revocations was interrupted; they are read over the pool", "error", err)
			silentUntil, quiet = now.Add(quiet), min(2*quiet, 5*time.Minute)
		}
		if !Sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, most)
	}
}

// pollLoop reads over the pool what is not heard: the way to PostgreSQL itself
// may be cut, or a connection die in silence, while a pooler serves.
func (s *Feed) pollLoop(ctx context.Context) {
	for Sleep(ctx, pollEvery) {
		if _, ok := s.Listening(); !ok {
			s.catchUp(ctx)
		}
	}
}

func (s *Feed) catchUp(ctx context.Context) {
	err := s.reload(ctx)
	if err != nil && ctx.Err() == nil && !errors.Is(err, account.ErrUnavailable) { // of that, listenLoop tells
		s.with.Log.Warn("read revocations and signing keys", "error", err)
	}
}

// reload reads what has been revoked since the last time, and the keys.
func (s *Feed) reload(ctx context.Context) error {
	ctx, cancel := dbscope.Bounded(ctx)
	defer cancel()
	err := errors.Join(s.Load(ctx), s.with.LoadKeys(ctx))
	for _, channel := range slices.Sorted(maps.Keys(s.with.Follow)) {
		s.follow(ctx, channel)
	}
	return err
}

// follow reads what a channel tells of. Where it cannot be read, revocations are heard all
// the same.
func (s *Feed) follow(ctx context.Context, channel string) {
	ctx, cancel := dbscope.Bounded(ctx)
	defer cancel()
	if err := s.with.Follow[channel](ctx); err != nil && ctx.Err() == nil && !dbscope.IsUnavailable(err) { // of that, listenLoop tells
		s.with.Log.Warn("read what has changed; it is tried again", "channel", channel, "error", err)
	}
}

// listenOnce listens on a connection of its own until that fails. What was
// revoked while nobody listened is read first, and all of it now and then.
func (s *Feed) listenOnce(ctx context.Context) error {
	connectCtx, cancel := dbscope.Bounded(ctx)
	conn, err := pgx.ConnectConfig(connectCtx, s.with.Listen.Copy())
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
	channels := []string{revocationChannel, keyChannel, account.Channel, heartbeat}
	for _, channel := range slices.AppendSeq(channels, maps.Keys(s.with.Follow)) {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
	}
	s.with.Unheard.Store(s.with.Now().UnixMicro())
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
func (s *Feed) beat(ctx context.Context, conn *pgx.Conn, channel string) error {
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
func (s *Feed) receive(ctx context.Context, conn *pgx.Conn, during time.Duration, ends func(channel string) bool) error {
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

func (s *Feed) notified(ctx context.Context, channel, payload string) {
	switch channel {
	case keyChannel:
		if err := s.with.LoadKeys(ctx); err != nil {
			s.with.Log.Warn("reload signing keys", "error", err)
		}
		return
	case account.Channel:
		s.with.Forget(payload)
		return
	case revocationChannel:
	default:
		if s.with.Follow[channel] != nil {
			s.follow(ctx, channel)
		}
		return
	}
	var rev revocation.Revocation
	if err := json.Unmarshal([]byte(payload), &rev); err != nil {
		s.with.Log.Error("a revocation could not be read", "error", err)
		return
	}
	rev.CreatedAt = time.UnixMilli(rev.At)
	if s.with.Lag != nil {
		s.with.Lag(max(0, s.with.Now().Sub(rev.CreatedAt)))
	}
	s.with.Apply(rev)
}

// Sleep waits for d, and reports whether ctx has not ended before.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
