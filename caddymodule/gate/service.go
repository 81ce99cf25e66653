package gate

import (
	"github.com/ulule/limiter/v3"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/site"
)

// GateService is the running service with what the gate derives from it once.
type gateService struct {
	*authcore.Service
	cookies site.CookieNames
	limits  limiter.Store // nil counts nothing
	log     *zap.Logger
}

func (g *Gate) newGateService(rt *services.Runtime) *gateService {
	return &gateService{Service: rt.Auth, cookies: site.NewCookieNames(rt.Auth.Cookies()), limits: rt.Limits, log: g.Log}
}
