package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"time"

	"mana.how/edge/caddymodule/config"
)

const networkWait = 3 * time.Second

// cookies says what the sign-on cookie will do.
func (d *doctor) cookies(s config.Settings, raw []byte) {
	local := s.BaseURL.Hostname() == "localhost" || strings.HasSuffix(s.BaseURL.Hostname(), ".localhost")
	switch {
	case s.BaseURL.Scheme != "https" && !local:
		d.warn("cookies", "base_url is not https: cookies and passwords travel in the clear")
	case s.CookieDomain == "":
		d.warn("cookies", "cookie_domain is not set: the sign-on is for %s alone", s.BaseURL.Hostname())
	default:
		if away := beyond(s.CookieDomain, raw); len(away) > 0 {
			d.warn("cookies", "the sign-on does not reach %s, which is not below %s: their pages need OpenID Connect, their programs Bearer tokens",
				strings.Join(away, ", "), strings.TrimPrefix(s.CookieDomain, "."))
			return
		}
		d.ok("cookies", "one sign-on for %s and below", strings.TrimPrefix(s.CookieDomain, "."))
	}
}

// beyond lists the gated sites of a config, in JSON, that a cookie of the domain
// does not reach.
func beyond(domain string, raw []byte) (away []string) {
	var whole struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []json.RawMessage `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	_ = json.Unmarshal(raw, &whole)
	bare := strings.TrimPrefix(domain, ".")
	for _, server := range whole.Apps.HTTP.Servers {
		for _, text := range server.Routes {
			var route struct {
				Match []struct {
					Host []string `json:"host"`
				} `json:"match"`
			}
			if json.Unmarshal(text, &route) != nil || !bytes.Contains(text, []byte(`"mana_auth"`)) {
				continue
			}
			for _, match := range route.Match {
				for _, host := range match.Host {
					if host != bare && !strings.HasSuffix(host, "."+bare) && !strings.Contains(host, "{") {
						away = append(away, host)
					}
				}
			}
		}
	}
	slices.Sort(away)
	return slices.Compact(away)
}

// dns only warns: behind another proxy, or before a move, names may well lead
// elsewhere. It reports whether there is an address.
func (d *doctor) dns(s config.Settings) (found bool) {
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	host := s.BaseURL.Hostname()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		d.warn("dns", "%s, the host of base_url, has no address here: %v", host, err)
		return false
	}
	d.ok("dns", "%s is %s", host, strings.Join(addresses, ", "))
	return true
}

func (d *doctor) redis(s config.Settings) {
	if !s.Redis.IsSet() {
		d.ok("redis", "not configured: rate limits are counted per process")
		return
	}
	at, err := config.ParseRedis(s.Redis.Reveal())
	if err != nil {
		return // a finding of the config already
	}
	client := at.Client(networkWait)
	defer client.Close()
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	began := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		d.fail("redis", "does not answer at %s: %v; start it, or take redis out of the config", at, err)
		return
	}
	d.ok("redis", "answers in %s", time.Since(began).Round(time.Microsecond))
	d.eviction(ctx, client)
}
