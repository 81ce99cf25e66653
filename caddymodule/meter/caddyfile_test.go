package meter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/internal/edgetest"
)

func TestMeterCaddyfile(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"mana_credits 5":                                                            `{"credits":5}`,
		"mana_credits 0.02 {\n operation x\n}":                                      `{"credits":0.02,"operation":"x"}`,
		"mana_credits price chat.generate":                                          `{"price":"chat.generate"}`,
		"mana_credits 1 {\n payer org_then_user\n}":                                 `{"credits":1,"payer":"org_then_user"}`,
		"mana_credits 1 {\n durability batched\n}":                                  `{"credits":1,"durability":"batched"}`,
		"mana_credits 9 {\n settled_by app\n}":                                      `{"credits":9,"settled_by":"app"}`,
		"mana_credits 5 {\n guest 20/day\n}":                                        `{"credits":5,"guest":{"credits":20}}`,
		"mana_credits 5 {\n guest 0.5/day {\n per_address 100\n total 10000\n }\n}": `{"credits":5,"guest":{"credits":0.5,"per_address":100,"total":10000}}`,
		"mana_credits 5 {\n guest NaN/day\n}":                                       `{"credits":5,"guest":{"credits":"NaN"}}`, // a fault of Validate
		"mana_credits 5 {\n app chat\n operation ai_chat\n cost_from X-Mana-Cost\n free_on 5xx timeout abort\n on_outage refuse\n shadow\n hold_ttl 5m\n}": `{"credits":5,"app":"chat","operation":"ai_chat","cost_from":"X-Mana-Cost",` +
			`"free_on":["5xx","timeout","abort"],"on_outage":"refuse","shadow":true,"hold_ttl":300000000000}`,
		"mana_credits 5 {\n free_on 5xx grpc 14 internal\n abort_cost 0.5\n free_on timeout\n}": `{"credits":5,"free_on":["5xx","timeout","grpc","14","internal"],"abort_cost":"0.5"}`,
		"mana_credits 5 {\n free_on grpc unavailable\n abort_cost wait\n}":                      `{"credits":5,"free_on":["grpc","unavailable"],"abort_cost":"wait"}`,
		"mana_credits five {\n on_outage pray\n free_on never\n}":                               `{"credits":"five","free_on":["never"],"on_outage":"pray"}`, // faults of Validate
	} {
		got := new(meter.Meter)
		if err := got.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		} else if diff := cmp.Diff(want, edgetest.AsJSON(t, got)); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	for in, wants := range map[string][]string{
		"mana_credits":     {":1", "takes one price"},
		"mana_credits 5 6": {":1", "takes one price"},
		"mana_credits {\n app a b\n free_on\n shadow now\n hold_ttl soon\n price 5\n}": {":1", ":2", ":3", ":4", ":5", ":6", `"soon"`, `"price"`},
		"mana_credits 5 {\n app a\n app b\n}":                                          {"already set", ":3"},
		"mana_credits 5 {\n free_on grpc\n}":                                           {":2", "grpc takes one code or more"},
		"mana_credits 5 {\n guest 20\n}":                                               {":2", `guest: "20" is not a number of credits a day, such as 20/day`},
		"mana_credits 5 {\n guest 20/hour\n}":                                          {":2", `"20/hour" is not`},
		"mana_credits 5 {\n guest 20/day 5\n}":                                         {":2", "takes one argument"},
		"mana_credits 5 {\n guest\n}":                                                  {":2", "takes one argument"},
		"mana_credits 5 {\n guest 1/day {\n daily\n }\n}":                              {":3", `has no directive "daily"`},
		"mana_credits 5 {\n shadow {\n on\n }\n}":                                      {"shadow", "block"},
	} {
		err := new(meter.Meter).UnmarshalCaddyfile(caddyfile.NewTestDispenser(in))
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %s is missing in %v", in, want, err)
			}
		}
	}
}

// The meter stands behind the gate and before all that answers.
func TestMeterDirectiveOrder(t *testing.T) {
	t.Parallel()
	config, err := edgetest.Adapt(t, `
:8080 {
	reverse_proxy localhost:3000
	respond "ok"
	encode gzip
	basic_auth {
		u $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	@generate path /generate*
	mana_credits @generate 5
	mana_auth
	mana_rate_limit 100/1m
}`)
	if err != nil {
		t.Fatal(err)
	}
	names := edgetest.HandlerNames(t, config)
	at := slices.Index(names, "mana_auth")
	if at < 1 || names[at-1] != "mana_rate_limit" || names[at+1] != "mana_credits" || names[at+2] != "authentication" {
		t.Errorf("order: %v", names)
	}
}
