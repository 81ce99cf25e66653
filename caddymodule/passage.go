package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"mana.how/edge/authcore"
)

// revokedGrace is how long a plain request may go on once its session is
// revoked. Without it the very request that signs the user out, or closes the
// account, would lose its answer. Streams have no grace.
const revokedGrace = 2 * time.Second

var errRevoked = errors.New("session revoked")

// passage is the context of a request on its way through the upstream. It
// carries what the gate found and took, to handlers of this module: it is not
// a header, so nothing a client sends can look like it. And it is tied to the
// life of the session: a revocation cancels it, so that reverse_proxy closes
// the connection to the upstream, that of an upgraded request included, and
// with it the client's. All of it is one value because every request needs one.
type passage struct {
	context.Context
	userID  string   // empty for a guest
	cookies []string // the Cookie headers as the client sent them; nil where no gate took any
	who     identity
	watch   authcore.Watch
	stream  bool
	cancel  context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	timer  *time.Timer
}

type passageKey struct{}

// passageOf is what the last gate on the request's way left, nil without one.
func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// callerOf is the user the last gate on the request's way found, empty for a
// guest.
func callerOf(ctx context.Context) string {
	if p := passageOf(ctx); p != nil {
		return p.userID
	}
	return ""
}

// Value implements [context.Context].
func (p *passage) Value(key any) any {
	if key == (passageKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// clientCookies are the Cookie headers that a gate has taken cookies out of.
func (p *passage) clientCookies() []string {
	if p == nil {
		return nil
	}
	return p.cookies
}

// open ties the passage to its session. ok is false if the revocation came
// first. close must be called when the request is over, whatever ok says.
func (p *passage) open(ctx context.Context, auth *authcore.Service, c *authcore.Claims) (ok bool) {
	p.userID = c.Subject
	p.who = identityOf(c)
	p.Context, p.cancel = context.WithCancelCause(ctx)
	p.watch = authcore.Watch{SessionID: c.SessionID, UserID: c.Subject, Revoked: p.revoke}
	auth.Watch(&p.watch)
	return !auth.Revoked(c.SessionID, c.Subject, c.IssuedAt)
}

func (p *passage) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.stream:
		p.cancel(errRevoked)
	default:
		p.timer = time.AfterFunc(revokedGrace, func() { p.cancel(errRevoked) })
	}
}

func (p *passage) close(auth *authcore.Service) {
	auth.Unwatch(&p.watch)
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.cancel(nil)
}
