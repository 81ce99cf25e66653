package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Result is how the upstream's part of a request came to an end, as far as it
// counts: up to the headers of the response, or its trailer.
type Result struct {
	Status   int
	Answered bool // the upstream said so itself
	timeout  bool
	Abort    bool // the client was gone
	Begun    bool // the response has, before that
	GRPC     grpcCode
}

// ResultOf judges by the status that is about to leave, or the error that came
// instead.
func ResultOf(ctx context.Context, status int, err error) Result {
	e := Result{Status: status, Answered: err == nil, GRPC: GRPCUnknown}
	var timeout net.Error
	var handler caddyhttp.HandlerError
	if err != nil {
		e.Status = http.StatusInternalServerError
		if errors.As(err, &handler) && handler.StatusCode > 0 {
			e.Status = handler.StatusCode
		}
		e.timeout = errors.As(err, &timeout) && timeout.Timeout()
	}
	e.timeout = e.timeout || e.Status == http.StatusGatewayTimeout
	if e.Abort = errors.Is(ctx.Err(), context.Canceled); e.Abort && e.Status == StatusClientGone {
		e.Answered = false
	}
	return e
}

// Free are the endings that cost nothing.
type Free struct {
	timeout, Abort bool
	classes        [6]bool // by the first digit of the status
	statuses       map[int]bool
	GRPC           map[grpcCode]bool
}

// ParseFree reads free_on; unknown is what it could not make sense of.
// What follows the name grpc are codes of gRPC, which stand beside the others.
func ParseFree(names []string) (f Free, unknown []string) {
	if i := slices.Index(names, "grpc"); i >= 0 {
		f.GRPC = make(map[grpcCode]bool)
		for _, name := range names[i+1:] {
			if code, ok := parseGRPCCode(name); ok && code != grpcOK {
				f.GRPC[code] = true
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
			f.Abort = true
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

// Covers reports whether the ending costs nothing. Of a request whose client
// left before the response began, what the upstream said counts, and where it said nothing only that the
// client left: an error is its doing then.
func (f Free) Covers(e Result) bool {
	switch {
	case f.GRPC[e.GRPC], e.Abort && f.Abort && !e.Begun:
		return true
	case e.Abort && !e.Answered:
		return false
	}
	class := e.Status / 100
	return e.timeout && f.timeout || class < len(f.classes) && f.classes[class] || f.statuses[e.Status]
}

// StatusClientGone is what Caddy logs for such requests.
const StatusClientGone = 499
