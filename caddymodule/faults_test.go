package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// wantFaults expects each text once.
func wantFaults(t testing.TB, err error, wants ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range wants {
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%q stands %d times in\n%v", want, n, err)
		}
	}
}

// validate does with a Caddyfile what the command does.
func validate(t testing.TB, file string) error {
	t.Helper()
	adapted, err := adapt(t, file)
	if err != nil {
		return err
	}
	config := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(adapted, config); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(config)
}

const faultySites = `
http://a.example.test:8080 {
	mana_rate_limit 100
	mana_auth sometimes {
		role king
		login maybe
		scope
	}
	handle /paid* {
		route {
			mana_credits five {
				hold_ttl 0s
			}
		}
	}
}
http://b.example.test:8081 {
	mana_credits {
		free_on 9xx
		pray
	}
	mana_api twice {
		colour red
	}
	handle_errors {
		mana_rate_limit 0/1m {
			key colour
		}
	}
}
`

var faultsOfSites = []string{
	`mana_rate_limit: "100" is not <requests>/<duration>, such as 100/1m, at Caddyfile:`,
	`mana_auth: takes no argument but optional or off, here are ["sometimes"], at Caddyfile:`,
	`mana_auth scope: takes one argument or more, at Caddyfile:`,
	`mana_auth: role: "king" is none of user, admin, service, at Caddyfile:`,
	`mana_auth: login: "maybe" is neither redirect nor never, at Caddyfile:`,
	`mana_credits hold_ttl: "0s" is not a duration, such as 5m, at Caddyfile:`,
	`mana_credits: credits: a price is a number of credits above 0 with up to three decimals, such as 5 or 0.02, at Caddyfile:`,
	`mana_credits: free_on: "9xx" is neither a status, 2xx to 5xx, timeout nor abort, at Caddyfile:`,
	"mana_credits: takes one price, such as 5 or 0.02, here are 0, at Caddyfile:",
	`mana_credits has no directive "pray", at Caddyfile:`,
	`mana_api: takes no argument but a matcher, here are ["twice"], at Caddyfile:`, `mana_api: takes no block, at Caddyfile:`,
	`mana_rate_limit: limit: 0 is not a number of requests from 1 up, at Caddyfile:`,
	`mana_rate_limit: key: "colour" is none of ip, user, header, at Caddyfile:`,
}

// One look at the answer shows everything there is to mend, whichever of the
// apps Caddy begins with: it takes them in random order.
func TestEveryFaultOfAConfigIsNamedAtOnce(t *testing.T) {
	stopAtEnd(t)
	for range 12 {
		err := validate(t, `{
	mana {
		database ""
		redis ""
		base_url nowhere
		access_token_ttl soon
		colour blue
	}
}`+faultySites)
		wantFaults(t, err, append([]string{
			"database: say embedded or a postgres:// URL, at Caddyfile:3", "redis: is empty, at Caddyfile:4",
			`mana has no directive "colour", at Caddyfile:7`,
			"base_url: not an http or https URL", `access_token_ttl: "soon" is not a duration`,
		}, faultsOfSites...)...)
	}
	for range 12 {
		err := validate(t, "{\n\tmana {\n\t\tbase_url https://auth.example.test\n\t}\n}"+faultySites)
		wantFaults(t, err, faultsOfSites...)
		if n := strings.Count(err.Error(), ", at Caddyfile:"); n != len(faultsOfSites) {
			t.Errorf("%d faults, want %d:\n%v", n, len(faultsOfSites), err)
		}
	}
}

// Sites without a fault, and configs without sites, add nothing.
func TestFaultsOfTheAppAlone(t *testing.T) {
	stopAtEnd(t)
	const app = "{\n\tmana {\n\t\tcookie_domain nowhere\n\t\taccess_token_ttl soon\n\t}\n}"
	for _, sites := range []string{
		"", "\n:8080 {\n\trespond ok\n}",
		"\n:8080 {\n\tmana_rate_limit 100/1m\n\tmana_auth\n\tmana_credits 5\n}\n:8081 {\n\tmana_api\n}",
	} {
		for range 6 {
			err := validate(t, app+sites)
			wantFaults(t, err, "base_url: missing", `access_token_ttl: "soon"`, "cookie_domain: ")
			if strings.Count(err.Error(), "\n") != 2 {
				t.Errorf("more than three faults: %v", err)
			}
		}
	}
}
