package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"mana.how/edge/authcore"
)

// revokedGrace is how long a plain request may go on once its session is
// revoked. Without it the very request that signs the user out, or closes the
// account, would lose its answer. Streams have no grace.
const revokedGrace = 2 * time.Second

var errRevoked = errors.New("session revoked")

// watchSession ties a request to the life of the session it acts for. A
// revocation cancels the returned context: reverse_proxy then closes the
// connection to the upstream, that of an upgraded request included, and with
// it the client's. ok is false if the revocation came first. stop must be
// called when the request is over, whatever ok says.
func watchSession(ctx context.Context, stream bool, auth *authcore.Service, c authcore.Claims) (watched context.Context, stop func(), ok bool) {
	open := &openRequest{stream: stream}
	watched, open.cancel = context.WithCancelCause(ctx)
	unwatch := auth.Watch(c.SessionID, c.Subject, open.revoke)
	stop = func() {
		unwatch()
		open.close()
	}
	return watched, stop, !auth.Revoked(c.SessionID, c.Subject, c.IssuedAt)
}

// openRequest is a request on its way through the upstream.
type openRequest struct {
	cancel context.CancelCauseFunc
	stream bool

	mu     sync.Mutex
	closed bool
	timer  *time.Timer
}

func (o *openRequest) revoke() {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
	case o.stream:
		o.cancel(errRevoked)
	default:
		o.timer = time.AfterFunc(revokedGrace, func() { o.cancel(errRevoked) })
	}
}

func (o *openRequest) close() {
	o.mu.Lock()
	o.closed = true
	if o.timer != nil {
		o.timer.Stop()
	}
	o.mu.Unlock()
	o.cancel(nil)
}

// isStream tells whether the client asked for something without an end: an
// upgrade (RFC 9110, section 7.8), an extended CONNECT (RFC 8441) or
// server-sent events.
func isStream(r *http.Request) bool {
	if isUpgrade(r) {
		return true
	}
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(accept, "text/event-stream") {
			return true
		}
	}
	return false
}

func isUpgrade(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || r.Method == http.MethodConnect
}
