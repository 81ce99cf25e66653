package doctor

import (
	"time"

	"mana.how/edge/authcore/issuer"
	"mana.how/edge/caddymodule/config"
)

// issuers asks the accepted issuers for their keys.
func (d *doctor) issuers(s config.Settings) {
	for _, c := range s.AcceptedIssuers {
		check := "accept_issuer " + c.Issuer
		peer := issuer.New(c, time.Now, nil)
		err := peer.Fetch(d.Ctx)
		peer.Close()
		keys := len(peer.Keys().All())
		switch {
		case err != nil:
			d.fail(check, "%v; see that %s is the address of its JWKS, or take accept_issuer out when the move is over", err, c.JWKS)
		case c.Exposed():
			d.warn(check, "%d keys at %s, over http: whoever stands between can speak for any user; use https", keys, c.JWKS)
		default:
			d.ok(check, "%d keys at %s", keys, c.JWKS)
		}
	}
}
