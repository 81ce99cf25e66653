package meter

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ending is how the upstream's part of a request came to an end, as far as it
// counts: up to the headers of the response, or its trailer.
type ending struct {
	status   int
	answered bool // the upstream said so itself
	timeout  bool
	abort    bool // the client was gone
	begun    bool // the response has
	grpc     grpcCode
}

// endingOf judges by the status that is about to leave, or the error that came
// instead.
func endingOf(ctx context.Context, status int, err error) ending {
	e := ending{status: status, answered: err == nil, grpc: grpcUnknown}
	var timeout net.Error
	var handler caddyhttp.HandlerError
	if err != nil {
		e.status = http.StatusInternalServerError
		if errors.As(err, &handler) && handler.StatusCode > 0 {
			e.status = handler.StatusCode
		}
		e.timeout = errors.As(err, &timeout) && timeout.Timeout()
	}
	e.timeout = e.timeout || e.status == http.StatusGatewayTimeout
	if e.abort = errors.Is(ctx.Err(), context.Canceled); e.abort && e.status == statusClientGone {
		e.answered = false
	}
	return e
}

// freeOutcomes are the endings that cost nothing.
type freeOutcomes struct {
	timeout, abort bool
	classes        [6]bool // by the first digit of the status
	statuses       map[int]bool
	grpc           map[grpcCode]bool
}

// parseFreeOutcomes reads free_on; unknown is what it could not make sense of.
// What follows the name grpc are codes of gRPC, which stand beside the others.
func parseFreeOutcomes(names []string) (f freeOutcomes, unknown []string) {
	if i := slices.Index(names, "grpc"); i >= 0 {
		f.grpc = make(map[grpcCode]bool)
		for _, name := range names[i+1:] {
			if code, ok := parseGRPCCode(name); ok && code != grpcOK {
				f.grpc[code] = true
			} else {
				unknown = append(unknown, name)
			}
		}
		if len(names[i+1:]) == 0 {
			unknown = append(unknown, "grpc")
		}
		names = names[:i]
	}
	if len(names) == 0 {
		names = []string{"5xx", "timeout"}
	}
	f.statuses = make(map[int]bool)
	for _, name := range names {
		status, err := strconv.Atoi(name)
		switch {
		case name == "timeout":
			f.timeout = true
		case name == "abort":
			f.abort = true
		case name == "2xx", name == "3xx", name == "4xx", name == "5xx":
			f.classes[name[0]-'0'] = true
		case err == nil && len(name) == 3 && 200 <= status && status <= 599:
			f.statuses[status] = true
		default:
			unknown = append(unknown, name)
		}
	}
	return f, unknown
}

// covers reports whether the ending costs nothing. Of a request whose client
// left, what the upstream said counts, and where it said nothing only that the
// client left: an error is its doing then.
func (f freeOutcomes) covers(e ending) bool {
	switch {
	case f.grpc[e.grpc], e.abort && f.abort:
		return true
	case e.abort && !e.answered:
		return false
	}
	class := e.status / 100
	return e.timeout && f.timeout || class < len(f.classes) && f.classes[class] || f.statuses[e.status]
}
