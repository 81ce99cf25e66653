package app_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/internal/edgetest"
)

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
	`: site a.example.test: mana_rate_limit: "100" is not <requests>/<duration>, such as 100/1m`,
	`: site a.example.test: mana_auth: takes no argument but optional or off, here are ["sometimes"]`,
	`: site a.example.test: mana_auth scope: takes one argument or more`,
	`: site a.example.test: mana_auth: role: "king" is none of user, support, admin, service`,
	`: site a.example.test: mana_auth: login: "maybe" is neither redirect nor never`,
	`: site a.example.test: mana_credits hold_ttl: "0s" is not a duration, such as 5m`,
	`: site a.example.test: mana_credits: credits: a price is a number of credits above 0 with up to three decimals, such as 5 or 0.02`,
	`: site b.example.test: mana_credits: free_on: "9xx" is neither a status, 2xx to 5xx, timeout, abort nor, behind grpc, a code of gRPC`,
	"site b.example.test: mana_credits (",
	": site b.example.test: mana_credits: takes one price, such as 5 or 0.02, or price and a name, here are 0",
	`: site b.example.test: mana_credits has no directive "pray"`,
	`: site b.example.test: mana_api: takes no argument but a matcher, here are ["twice"]`, `: site b.example.test: mana_api has no directive "colour"`,
	`: site b.example.test: mana_rate_limit: limit: 0 is not a number of requests from 1 up`,
	`: site b.example.test: mana_rate_limit: key: "colour" is none of ip, user, api_key, header`,
}

// One look at the answer shows everything there is to mend, whichever of the
// apps Caddy begins with: it takes them in random order.
func TestEveryFaultOfAConfigIsNamedAtOnce(t *testing.T) {
	edgetest.StopAtEnd(t)
	for range 12 {
		err := edgetest.Validate(t, `{
	mana {
		database ""
		redis ""
		base_url nowhere
		access_token_ttl soon
		colour blue
	}
}`+faultySites)
		edgetest.WantFaults(t, err, append([]string{
			"\nCaddyfile:3: mana: database: say embedded or a postgres:// URL\n", "\nCaddyfile:4: mana: redis: is empty\n",
			"\nCaddyfile:7: mana has no directive \"colour\"\n",
			"base_url: not an http or https URL", `access_token_ttl: "soon" is not a duration`,
		}, faultsOfSites...)...)
	}
	for range 12 {
		err := edgetest.Validate(t, "{\n\tmana {\n\t\tbase_url https://auth.example.test\n\t}\n}"+faultySites)
		edgetest.WantFaults(t, err, faultsOfSites...)
		if list := syntax.ErrorsIn(err.Error()); len(list) != len(faultsOfSites) {
			t.Errorf("%d faults, want %d:\n%v", len(list), len(faultsOfSites), err)
		}
	}
}

// Sites without a fault, and configs without sites, add nothing.
func TestFaultsOfTheAppAlone(t *testing.T) {
	edgetest.StopAtEnd(t)
	const app = "{\n\tmana {\n\t\tcookie_domain nowhere\n\t\taccess_token_ttl soon\n\t}\n}"
	for _, sites := range []string{
		"", "\n:8080 {\n\trespond ok\n}",
		"\n:8080 {\n\tmana_rate_limit 100/1m\n\tmana_auth\n\tmana_credits 5\n}\n:8081 {\n\tmana_api\n}",
	} {
		for range 6 {
			err := edgetest.Validate(t, app+sites)
			edgetest.WantFaults(t, err, "base_url: missing", `access_token_ttl: "soon"`, "cookie_domain: ")
			if list := syntax.ErrorsIn(err.Error()); len(list) != 3 {
				t.Errorf("more than three faults: %v", err)
			}
		}
	}
}

// Without loading a config the same list is found, with file and line of what
// only a load judges too.
func TestConfigErrorsWithoutLoading(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Caddyfile")
	text := "{\n\tmana {\n\t\tbase_url nowhere\n\t\tstripe {\n\t\t\tsecret_key nothing\n\t\t\tgrace soon\n\t\t}\n\t}\n}" + faultySites +
		"http://c.example.test:8082 {\n\tmana_credits 5\n\treverse_proxy 127.0.0.1:1\n}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	adapted, err := edgetest.Adapt(t, text)
	if err != nil {
		t.Fatal(err)
	}
	list := app.ConfigErrors(adapted, file)
	all := strings.Join(list, "\n")
	for _, want := range append([]string{
		file + ":3: mana: base_url: not an http", file + ":5: mana: stripe", file + ":6: mana: stripe",
		file + ":40: site c.example.test: mana_credits (",
	}, faultsOfSites...) {
		if n := strings.Count(all, want); n != 1 {
			t.Errorf("%q stands %d times in\n%s", want, n, all)
		}
	}
	for _, line := range list {
		if !regexp.MustCompile(`^[^ ]*Caddyfile:\d+: `).MatchString(line) {
			t.Errorf("without file and line: %s", line)
		}
	}
}
