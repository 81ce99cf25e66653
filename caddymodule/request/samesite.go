package request

import (
	"errors"
	"net/http"
	"strings"

	"mana.how/edge/authcore/origin"
)

// ErrCrossSite means that another site may have made the browser send the
// request.
var ErrCrossSite = errors.New("cross-site request")

// SameSite refuses a request that another site may have made the browser send
// with the user's cookie. Browsers set Sec-Fetch-Site and Origin, and no page
// can forge them:
//
//   - methods that change nothing pass (RFC 9110, section 9.2.1);
//   - an Origin must be the request's own or a trusted one, the opaque origin
//     "null" counts as none;
//   - without one, Sec-Fetch-Site must say same-origin or none;
//   - neither header is a refusal.
//
// A WebSocket handshake is a GET that changes everything, so its Origin is
// checked too; without any Origin it is no browser's.
func SameSite(r *http.Request, origins origin.List) error {
	upgrade := IsUpgrade(r)
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		if !upgrade {
			return nil
		}
	}
	origin, site := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if len(origin) > 1 || len(site) > 1 {
		return ErrCrossSite
	}
	if len(origin) == 1 && origin[0] != "null" {
		if strings.EqualFold(origin[0], Origin(r)) || origins.Trusts(origin[0]) {
			return nil
		}
		return ErrCrossSite
	}
	if len(site) == 1 && (site[0] == "same-origin" || site[0] == "none") {
		return nil
	}
	if upgrade && len(origin) == 0 && len(site) == 0 {
		return nil
	}
	return ErrCrossSite
}
