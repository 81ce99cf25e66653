package site

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// RegisterDirective registers a directive whose matcher goes into the handler, so
// that the handler meets every request of the site.
func RegisterDirective(name string, parse httpcaddyfile.UnmarshalHandlerFunc) {
	httpcaddyfile.RegisterDirective(name, func(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
		if !h.Next() {
			return nil, h.ArgErr()
		}
		set, err := h.ExtractMatcherSet()
		if err != nil {
			return nil, err
		}
		handler, err := parse(h)
		if err != nil {
			return nil, err
		}
		if len(set) > 0 {
			scope := handler.(interface{ scope() *Scope }).scope()
			scope.MatcherSetsRaw = caddyhttp.RawMatcherSets{set}
		}
		return h.NewRoute(nil, handler), nil
	})
}

func (s *Scope) scope() *Scope { return s }
