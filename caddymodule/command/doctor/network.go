package doctor

import (
	"context"
	"net"
	"strings"
	"time"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/counters"
)

const networkWait = 3 * time.Second

// cookies says what the sign-on cookie will do.
func (d *doctor) cookies(s config.Settings) {
	local := s.BaseURL.Hostname() == "localhost" || strings.HasSuffix(s.BaseURL.Hostname(), ".localhost")
	switch {
	case s.BaseURL.Scheme != "https" && !local:
		d.warn("cookies", "base_url is not https: cookies and passwords travel in the clear")
	case s.CookieDomain == "":
		d.warn("cookies", "cookie_domain is not set: the sign-on is for %s alone", s.BaseURL.Hostname())
	default:
		d.ok("cookies", "one sign-on for %s and below", strings.TrimPrefix(s.CookieDomain, "."))
	}
}

// dns only warns: behind another proxy, or before a move, names may well lead
// elsewhere.
func (d *doctor) dns(s config.Settings) {
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	host := s.BaseURL.Hostname()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		d.warn("dns", "%s, the host of base_url, has no address here: %v", host, err)
		return
	}
	d.ok("dns", "%s is %s", host, strings.Join(addresses, ", "))
}

func (d *doctor) redis(s config.Settings) {
	if !s.Redis.IsSet() {
		d.ok("redis", "not configured: rate limits are counted per process")
		return
	}
	client, err := counters.NewRedisClient(s.Redis)
	if err != nil {
		return // a finding of the config already
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(d.Ctx, networkWait)
	defer cancel()
	began := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		d.fail("redis", "does not answer at %s: %v; start it, or take redis out of the config", client.Options().Addr, err)
		return
	}
	d.ok("redis", "answers in %s", time.Since(began).Round(time.Microsecond))
}
