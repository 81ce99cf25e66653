package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
)

// When owners of accounts are told of them is read, is part of the key of the settings,
// and what is out of range is a fault that names its option.
func TestCredits(t *testing.T) {
	t.Parallel()
	resolve := func(block string) (config.Settings, error) {
		t.Helper()
		c := external()
		var read config.Config
		d := caddyfile.NewTestDispenser("mana {\n" + block + "\n}")
		d.Next()
		if err := read.UnmarshalCaddyfile(d); err != nil {
			return config.Settings{}, err
		}
		c.Credits = read.Credits
		return c.ResolveWith(map[string]string{})
	}
	week := 7 * 24 * time.Hour
	none, err := resolve("")
	if err != nil || none.LowBalance != 0 || none.ExpiryNotice != week {
		t.Fatalf("%s, %s, %v", none.LowBalance, none.ExpiryNotice, err)
	}
	low, err := resolve("credits {\n low_balance 2.5\n}")
	if err != nil || low.LowBalance != 2500 || low.ExpiryNotice != week || config.SameRuntime(low, none) {
		t.Errorf("%s, %s, %v", low.LowBalance, low.ExpiryNotice, err)
	}
	if l := low.Ledger(); l.LowBalance != 2500*creditcore.Amount(1) || l.ExpiryNotice != week {
		t.Errorf("the ledger gets %s and %s", l.LowBalance, l.ExpiryNotice)
	}
	off, err := resolve("credits {\n expiry_notice off\n}")
	if err != nil || off.ExpiryNotice != 0 || config.SameRuntime(off, none) {
		t.Errorf("%s, %v", off.ExpiryNotice, err)
	}
	if none.Trial != nil {
		t.Errorf("a trial of %+v", none.Trial)
	}
	if none.AbuseHold != 100 || low.AbuseHold != 100 {
		t.Errorf("gifting is held from %d and %d on", none.AbuseHold, low.AbuseHold)
	}
	for block, want := range map[string]int{"abuse_hold 200": 200, "abuse_hold 1": 1, "abuse_hold off": 0} {
		s, err := resolve("credits {\n " + block + "\n}")
		if err != nil || s.AbuseHold != want || config.SameRuntime(s, none) {
			t.Errorf("%s: %d, %v", block, s.AbuseHold, err)
		}
	}
	for block, want := range map[string]coupon.Trial{
		"trial 100":                           {Credits: 100_000, DomainLimit: 5},
		"trial 2.5 expires 14d":               {Credits: 2500, DomainLimit: 5, Life: 2 * week},
		"trial 1 domain_limit 7 expires 1h":   {Credits: 1000, DomainLimit: 7, Life: time.Hour},
		"trial 1 expires 1h domain_limit off": {Credits: 1000, Life: time.Hour},
	} {
		s, err := resolve("credits {\n " + block + "\n}")
		if err != nil || *s.Trial != want || config.SameRuntime(s, none) {
			t.Errorf("%s: %+v, %v", block, s.Trial, err)
		}
	}
	daily, err := resolve("credits {\n daily 20.5\n}")
	if err != nil || daily.Ledger().Daily != 20_500 || none.Ledger().Daily != 0 || config.SameRuntime(daily, none) {
		t.Errorf("daily %s, %v", daily.Daily, err)
	}
	for block, want := range map[string]string{
		"credits {\n daily 0\n}":                       "credits daily",
		"credits {\n daily -1\n}":                      "credits daily",
		"credits {\n daily NaN\n}":                     "credits daily",
		"credits {\n daily 1e400\n}":                   "credits daily",
		"credits {\n daily 0.0001\n}":                  "credits daily",
		"credits {\n daily 10001\n}":                   "credits daily",
		"credits {\n daily 20/day\n}":                  "credits daily",
		"credits {\n low_balance 0\n}":                 "credits low_balance",
		"credits {\n low_balance -1\n}":                "credits low_balance",
		"credits {\n low_balance 1e3\n}":               "credits low_balance",
		"credits {\n low_balance NaN\n}":               "credits low_balance",
		"credits {\n low_balance 0.0001\n}":            "credits low_balance",
		"credits {\n low_balance 10000000000\n}":       "credits low_balance",
		"credits {\n expiry_notice soon\n}":            "credits expiry_notice",
		"credits {\n expiry_notice -1d\n}":             "credits expiry_notice",
		"credits {\n expiry_notice 91d\n}":             "credits expiry_notice",
		"credits {\n low_balance\n}":                   "low_balance",
		"credits {\n trial\n}":                         "credits trial",
		"credits {\n trial 0\n}":                       "credits trial",
		"credits {\n trial 100001\n}":                  "credits trial",
		"credits {\n trial 1e3\n}":                     "credits trial",
		"credits {\n trial 5 expires\n}":               "credits trial",
		"credits {\n trial 5 expires soon\n}":          "credits trial expires",
		"credits {\n trial 5 expires 5s\n}":            "credits trial expires",
		"credits {\n trial 5 ends 5d\n}":               "ends",
		"credits {\n trial 5 domain_limit 0\n}":        "credits trial domain_limit",
		"credits {\n trial 5 domain_limit no\n}":       "credits trial domain_limit",
		"credits {\n trial 5 expires 5d expires 6d\n}": "twice",
		"credits {\n abuse_hold 0\n}":                  "credits abuse_hold",
		"credits {\n abuse_hold 201\n}":                "credits abuse_hold",
		"credits {\n abuse_hold -5\n}":                 "credits abuse_hold",
		"credits {\n abuse_hold 99.5\n}":               "credits abuse_hold",
		"credits {\n abuse_hold never\n}":              "credits abuse_hold",
		"credits {\n abuse_hold\n}":                    "abuse_hold",
		"credits {\n elsewhere 1\n}":                   "elsewhere",
		"credits 10":                                   "credits",
	} {
		if _, err := resolve(block); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", block, err)
		}
	}
}
