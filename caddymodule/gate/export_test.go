package gate

import (
	"net/http"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/request"
)

var (
	DropBearer = dropBearer
	HeaderSafe = headerSafe
)

// SetTrustedHeaders sets what the claims say.
func SetTrustedHeaders(h http.Header, c token.Claims) {
	who := request.PrincipalOf(&c)
	trusted := trustedHeadersOf(&who)
	trusted.set(h)
}
