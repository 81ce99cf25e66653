package tracing

import (
	"context"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// SQL traces the statements of a connection, each below the span of whoever asks.
// Their text is exported, the values of their parameters are not.
func SQL() pgx.QueryTracer {
	return statements{otelpgx.NewTracer(
		otelpgx.WithTracerProvider(following{}), otelpgx.WithMeterProvider(noop.NewMeterProvider()),
		otelpgx.WithTrimSQLInSpanName(), otelpgx.WithDisableConnectionDetailsInAttributes())}
}

// statements leaves alone what is in no trace, which is nearly all.
type statements struct{ *otelpgx.Tracer }

func traced(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

func (s statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return s.Tracer.TraceQueryStart(ctx, conn, data)
}

func (s statements) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if traced(ctx) {
		s.Tracer.TraceQueryEnd(ctx, conn, data)
	}
}

func (s statements) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return s.Tracer.TraceBatchStart(ctx, conn, data)
}

func (s statements) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	if traced(ctx) {
		s.Tracer.TraceBatchQuery(ctx, conn, data)
	}
}

func (s statements) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	if traced(ctx) {
		s.Tracer.TraceBatchEnd(ctx, conn, data)
	}
}

// TracePrepareStart and TracePrepareEnd are not passed on: preparing is part of a
// connection's first statement of its kind.
func (s statements) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}

func (s statements) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

// Interface guards
var (
	_ pgx.QueryTracer   = statements{}
	_ pgx.BatchTracer   = statements{}
	_ pgx.PrepareTracer = statements{}
)
