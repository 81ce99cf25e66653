package services

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/eventsink"
	"mana.how/edge/internal/ids"
)

const (
	feedEvery                   = time.Second
	feedPause, longestFeedPause = time.Second, time.Minute
	feedWait                    = 20 * time.Second // less than the lease of the feed
)

// eventFeed hands security events on, and is nil where the config has no sink.
type eventFeed struct {
	feed audit.Feed
	sink eventsink.Sink
	log  *slog.Logger
}

func newEventFeed(e config.Events, pool *pgxpool.Pool, log *slog.Logger) *eventFeed {
	f := &eventFeed{log: log, feed: audit.Feed{DB: dbscope.DB{Pool: pool, Error: func(err error) error { return err }}, Edge: ids.New()}}
	switch e.To {
	case config.EventsStdout:
		f.sink = eventsink.Stream{Writer: os.Stdout}
	case config.EventsFile:
		f.sink = eventsink.File{Path: e.Path}
	case config.EventsWebhook:
		f.sink = eventsink.NewWebhook(e.URL, []byte(e.Secret.Reveal()))
	default:
		return nil
	}
	return f
}

// run hands events on until ctx ends. What fails is tried again with growing
// pauses: no event is left out.
func (f *eventFeed) run(ctx context.Context) {
	pause := feedPause
	for {
		n, err := f.once(ctx)
		wait := feedEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.log.Error("security events cannot be handed on, trying again", "error", err, "next_try_in", pause.String())
			wait, pause = pause, min(2*pause, longestFeedPause)
		case n > 0:
			wait, pause = 0, feedPause
		default:
			pause = feedPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// once hands a batch on and returns how many events it had.
func (f *eventFeed) once(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, feedWait)
	defer cancel()
	events, err := f.feed.Next(ctx)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, event := range events {
		if err := encoder.Encode(event); err != nil {
			return 0, err
		}
	}
	err = f.sink.Write(ctx, lines.Bytes())
	metrics.Process.HandedOn(len(events), err == nil)
	if err != nil {
		return 0, err
	}
	return len(events), f.feed.Advance(ctx, events[len(events)-1].Position())
}
