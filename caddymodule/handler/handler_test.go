package handler_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "mana.how/edge/caddymodule"
)

func TestAPIDirective(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, site, fault string }{
		{"plain", "mana_api", ""},
		{"argument", "mana_api here", "mana_api: takes no argument but a matcher"},
		{"option", "mana_api {\n\tcolour red\n}", "mana_api has no directive"},
	} {
		out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("localhost {\n"+tt.site+"\nrespond no\n}\n"), nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if tt.fault != "" {
			if !strings.Contains(string(out), `"faults":["`+tt.fault) {
				t.Errorf("%s: %s, want %q", tt.name, out, tt.fault)
			}
			continue
		}
		handler, rest := strings.Index(string(out), `"handler":"mana_api"`), strings.Index(string(out), `"static_response"`)
		if !json.Valid(out) || handler < 0 || rest < handler {
			t.Errorf("%s: mana_api does not stand before respond: %s", tt.name, out)
		}
	}
}
