package gate

import (
	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/site"
)

// GateService is the running service with what the gate derives from it once.
type gateService struct {
	*authcore.Service
	cookies site.CookieNames
}

func newGateService(rt *services.Runtime) *gateService {
	return &gateService{Service: rt.Auth, cookies: site.NewCookieNames(rt.Auth.Cookies())}
}
