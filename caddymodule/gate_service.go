package caddymodule

import (
	"context"
	"time"

	"mana.how/edge/authcore"
)

// startWait is how long a request waits for the app to have started.
const startWait = 4 * time.Second

// gateService is the running service with what the gate derives from it once.
type gateService struct {
	*authcore.Service
	cookies cookieNames
}

// service waits for the app to start, the first time only.
func (g *Gate) service(ctx context.Context) (*gateService, error) {
	if ready := g.ready.Load(); ready != nil {
		return ready, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	stays := g.settled == nil || g.settled()
	auth, err := g.auth(ctx)
	if err != nil {
		return nil, err
	}
	ready := &gateService{Service: auth, cookies: newCookieNames(auth.Cookies())}
	if stays {
		g.ready.Store(ready)
	}
	return ready, nil
}
