package caddymodule_test

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
		{"argument", "mana_api here", "wrong argument count"},
		{"option", "mana_api {\n\tcolour red\n}", `unrecognized option "colour"`},
	} {
		out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("localhost {\n"+tt.site+"\nrespond no\n}\n"), nil)
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.fault)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		handler, rest := strings.Index(string(out), `"handler":"mana_api"`), strings.Index(string(out), `"static_response"`)
		if !json.Valid(out) || handler < 0 || rest < handler {
			t.Errorf("%s: mana_api does not stand before respond: %s", tt.name, out)
		}
	}
}
