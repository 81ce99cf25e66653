package logging

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/exp/zapslog"

	"mana.how/edge/caddymodule/syntax"
)

// Live logs to whatever Caddy's logger is at the time. What outlives
// a config must not keep that config's logger.
func Live() *slog.Logger { return slog.New(liveHandler{}) }

// liveHandler finds Caddy's present logger for each record and replays the
// attributes and groups it was given.
type liveHandler struct {
	decorate func(slog.Handler) slog.Handler
}

func (h liveHandler) present() slog.Handler {
	handler := slog.Handler(zapslog.NewHandler(caddy.Log().Core(),
		zapslog.WithName(syntax.AppName), zapslog.AddStacktraceAt(slog.Level(127))))
	if h.decorate != nil {
		handler = h.decorate(handler)
	}
	return handler
}

func (h liveHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.present().Enabled(ctx, level)
}

func (h liveHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.present().Handle(ctx, r)
}

func (h liveHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h liveHandler) WithGroup(name string) slog.Handler {
	return h.then(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h liveHandler) then(step func(slog.Handler) slog.Handler) slog.Handler {
	before := h.decorate
	return liveHandler{decorate: func(handler slog.Handler) slog.Handler {
		if before != nil {
			handler = before(handler)
		}
		return step(handler)
	}}
}
