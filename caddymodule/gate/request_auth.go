package gate

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/request"
)

// revokedGrace is how long a plain request may go on once its session is
// revoked. Without it the very request that signs the user out, or closes the
// account, would lose its answer. Streams have no grace, and an answer without a
// stated length is one once it has lasted as long.
const revokedGrace = 2 * time.Second

var errRevoked = errors.New("session revoked")

// requestAuth is the context of a request on its way through the upstream,
// tied to the life of its session: a revocation cancels it, so that
// reverse_proxy closes the connection to the upstream, that of an upgraded
// request included, and with it the client's. All of it is one value because
// every request needs one.
type requestAuth struct {
	request.Auth
	auth    *gateService
	trusted trustedHeaders
	writer  gateWriter
	watch   revocation.Watch
	cancel  context.CancelCauseFunc

	mu        sync.Mutex
	stream    bool      // has no end of its own
	openEnded time.Time // when an answer without a stated length began
	closed    bool
	timer     *time.Timer
}

// behindAnotherGate takes from a request what a gate before this one found:
// the last gate decides, for the placeholders too. cookies are the Cookie
// headers as the client sent them.
func behindAnotherGate(r *http.Request) (_ *http.Request, cookies []string) {
	cookies = request.Cookies(r)
	before := request.AuthOf(r.Context())
	if before != nil && before.Principal.Kind != request.Guest {
		before.Principal = request.Principal{}
		r = r.WithContext(&request.Auth{Context: r.Context(), Cookies: before.Cookies, ByCookie: before.ByCookie})
	}
	return r, cookies
}

// open ties the request to its session. ok is false if the revocation came
// first. close must be called when the request is over, whatever ok says.
func (a *requestAuth) open(ctx context.Context, auth *authcore.Service, c *token.Claims) (ok bool) {
	a.Context, a.cancel = context.WithCancelCause(ctx)
	a.watch = revocation.Watch{
		SessionID: c.SessionID, UserID: c.Subject, AuthEpoch: c.AuthEpoch, KeyID: c.KeyID, Revoked: a.revoke,
	}
	return auth.Watch(&a.watch)
}

func (a *requestAuth) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
	case a.stream, !a.openEnded.IsZero() && time.Since(a.openEnded) > revokedGrace:
		a.cancel(errRevoked)
	default:
		a.timer = time.AfterFunc(revokedGrace, func() { a.cancel(errRevoked) })
	}
}

func (a *requestAuth) close(auth *authcore.Service) {
	auth.Unwatch(&a.watch)
	a.mu.Lock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.cancel(nil)
}
