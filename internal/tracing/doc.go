// Package tracing adds to the OpenTelemetry trace that a request takes part in.
// Traces begin and are exported by what the server's config says (`tracing` of
// Caddy): this package has no exporter and no provider, and sets nothing that the
// process shares. A span is below that of the request, by the provider of that
// span; where a request is in no trace, or is not sampled, nothing happens.
package tracing
