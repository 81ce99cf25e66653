package app_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/mail"
	"mana.how/edge/internal/pgtest"
)

// Nothing that others could reach, or replace while it runs, runs for development.
func TestDevelopRefusesWhatOthersCouldReach(t *testing.T) {
	edgetest.StopAtEnd(t)
	dir := pgtest.Dir(t)
	own := func() map[string]any {
		return map[string]any{"database": map[string]any{"embedded": map[string]any{"dir": dir}}, "base_url": "http://localhost:4400", "encryption_key": edgetest.SomeKey}
	}
	whole := func(listen string, app map[string]any, change func(map[string]any)) []byte {
		var config map[string]any
		if err := json.Unmarshal(edgetest.Site(t, listen, app), &config); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(config)
		}
		raw, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	here := freeport.Address(t)
	for want, config := range map[string][]byte{
		"admin: is not off":                    whole(here, own(), func(c map[string]any) { delete(c, "admin") }),
		"pki: is another app":                  whole(here, own(), func(c map[string]any) { c["apps"].(map[string]any)["pki"] = map[string]any{} }),
		"base_url: is not at localhost":        whole(here, edgetest.With(own(), "base_url", "https://auth.example.com"), nil),
		"database: is not an embedded one":     whole(here, edgetest.With(own(), "database", map[string]any{"url": "postgres://a@127.0.0.1:1/b"}), nil),
		"listens on :0,":                       whole(":0", own(), nil),
		"listens on 0.0.0.0:0,":                whole("0.0.0.0:0", own(), nil),
		"listens on localhost:0,":              whole("localhost:0", own(), nil),
		"listens on udp/127.0.0.1:0,":          whole("udp/127.0.0.1:0", own(), nil),
		"listens on 127.0.0.1.example.com:80,": whole("127.0.0.1.example.com:80", own(), nil),
		"listens everywhere": whole(here, own(), func(c map[string]any) {
			servers := c["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
			delete(servers["site"].(map[string]any), "listen")
		}),
	} {
		_, err := app.Develop(t.Context(), config, mail.Log{})
		if !errors.Is(err, app.ErrNotForDevelopment) || !strings.Contains(err.Error(), want) {
			t.Errorf("want a refusal that says %q: %v", want, err)
		}
		if module, err := caddy.ActiveContext().AppIfConfigured("mana"); err == nil {
			t.Fatalf("%s: loaded nevertheless: %v", want, module)
		}
	}
}
