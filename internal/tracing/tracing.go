package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
)

// scope is the instrumentation scope of the spans.
const scope = "mana.how/edge"

// Span is a part of a request's work. The zero value is of a request that is not
// traced.
type Span struct{ span trace.Span }

// Start begins a span below the one of ctx. Where that is not recorded it costs
// one look at the context.
func Start(ctx context.Context, name string) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	ctx, span := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, Span{span}
}

// Set notes a value on the span.
func (s Span) Set(name, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// End ends the span. err, where it is not nil, is why the work was not done: its text
// is exported, so it must hold no secret.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// Route names the request's own span by the route that answers it: the method and
// the pattern of the path, which has no id in it.
func Route(ctx context.Context, method, pattern string) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetName(method + " " + pattern)
		span.SetAttributes(semconv.HTTPRoute(pattern))
	}
}

// following is a provider whose spans come from the provider of the span that they
// are below.
type following struct{ embedded.TracerProvider }

func (following) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return follower{name: name, options: options}
}

type follower struct {
	embedded.Tracer
	name    string
	options []trace.TracerOption
}

func (f follower) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(f.name, f.options...).Start(ctx, name, options...)
}
