package config_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/caddymodule/config"
)

// Networks that webhooks may reach are read, are part of the key of the settings, and
// what is none is a fault.
func TestWebhookNetworks(t *testing.T) {
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
		c.Webhooks = read.Webhooks
		return c.ResolveWith(nil)
	}
	none, err := resolve("")
	if err != nil || len(none.WebhookNetworks) != 0 {
		t.Fatalf("%v, %v", none.WebhookNetworks, err)
	}
	two, err := resolve("webhooks {\n networks 10.1.2.3/8 fd00::/8\n}")
	if err != nil || len(two.WebhookNetworks) != 2 || two.WebhookNetworks[0].String() != "10.0.0.0/8" || two.Key() == none.Key() {
		t.Fatalf("%v, %v", two.WebhookNetworks, err)
	}
	one, err := resolve("webhooks {\n networks 10.0.0.0/8\n}")
	if err != nil || one.Key() == two.Key() {
		t.Errorf("another list has the same key, %v", err)
	}
	for block, want := range map[string]string{
		"webhooks {\n networks 10.0.0.1 nowhere\n}": `webhooks networks: "nowhere" is no network`,
		"webhooks here":             "webhooks",
		"webhooks {\n networks\n}":  "networks",
		"webhooks {\n elsewhere\n}": "elsewhere",
	} {
		if _, err := resolve(block); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", block, err)
		}
	}
}
