package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/config"
)

func limitsOf(lines string) (config.Config, error) {
	c := external()
	var read config.Config
	d := caddyfile.NewTestDispenser("mana {\n limits {\n" + lines + "\n}\n}")
	d.Next()
	err := read.UnmarshalCaddyfile(d)
	c.Limits = read.Limits
	return c, err
}

func TestLimitsBlock(t *testing.T) {
	t.Parallel()
	c, err := limitsOf("login 30/1m\n refreshTokens 5000/1h\n register off")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := c.ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]endpoint.Limit{"login": endpoint.PerMinute(30), "refreshTokens": {Count: 5000, Period: time.Hour}, "register": {}}
	if diff := cmp.Diff(want, settings.Limits); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLimitsBlockFaults(t *testing.T) {
	t.Parallel()
	c, err := limitsOf("login often\n register 0/1m\n refresh 10/10ms\n passkey -1/1m\n mail_link 10")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ResolveWith(nil)
	for _, want := range []string{
		`limits login: "often" is not <requests>/<duration>, such as 100/1m, nor off`, "limits register: 0 requests are less than one",
		"limits refresh: 10ms is shorter than a second", "limits passkey: -1 requests are less than one", `limits mail_link: "10" is not`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for lines, want := range map[string]string{
		"login 1/1m\n login 2/1m": "limits login: stands there twice", "login": "limits login: takes one argument, here are 0", "login 1/1m 2/1m": "limits login: takes one argument, here are 2",
	} {
		if _, err := limitsOf(lines); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
