package config_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/creditcore"
)

func pricesOf(t *testing.T, lines string) config.Config {
	t.Helper()
	c := external()
	var read config.Config
	d := caddyfile.NewTestDispenser("mana {\n prices {\n" + lines + "\n}\n}")
	d.Next()
	if err := read.UnmarshalCaddyfile(d); err != nil {
		t.Fatal(err)
	}
	c.Prices = read.Prices
	return c
}

func TestPriceTable(t *testing.T) {
	t.Parallel()
	c := pricesOf(t, "chat.generate 5\n chat.token 0.002 per 1000 tokens\n film 1 per minute\n row 0.1 per 10")
	settings, err := c.ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []creditcore.Price{
		{Name: "chat.generate", Credits: creditcore.Credits(5), Per: 1}, {Name: "chat.token", Credits: 2, Per: 1000, Unit: "tokens"},
		{Name: "film", Credits: creditcore.Credits(1), Per: 1, Unit: "minute"}, {Name: "row", Credits: 100, Per: 10},
	}
	if diff := cmp.Diff(want, settings.Prices.All()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, settings.Ledger().Prices.All()); diff != "" {
		t.Errorf("of the ledger (-want +got)\n%s", diff)
	}
	other, err := pricesOf(t, "chat.generate 6").ResolveWith(nil)
	if err != nil || config.SameRuntime(settings, other) {
		t.Errorf("other prices share a runtime, %v", err)
	}
}

// Every number of the table that is none is a fault, and all of them are told.
func TestPriceFaults(t *testing.T) {
	t.Parallel()
	for _, credits := range []string{"0", "-1", "1e3", "NaN", "Infinity", "0.0001", "1.2345", "9007199254740992", "1e400", "five", "0x1", "01", "1,5"} {
		c := external()
		c.Prices = []config.PriceConfig{{Name: "chat", Credits: credits}}
		if _, err := c.ResolveWith(nil); err == nil || !strings.Contains(err.Error(), `prices "chat"`) || !strings.Contains(err.Error(), credits) {
			t.Errorf("%s: %v", credits, err)
		}
	}
	c := external()
	c.Prices = []config.PriceConfig{
		{Name: "Chat", Credits: "1"}, {Name: "twice", Credits: "1"}, {Name: "twice", Credits: "2"}, {Name: "per", Credits: "1", Per: "0"},
		{Name: "most", Credits: "1", Per: "9007199254740992"}, {Name: "unit", Credits: "1", Unit: "<script>"}, {Credits: "1"},
	}
	_, err := c.ResolveWith(nil)
	for _, part := range []string{`"Chat"`, `"twice": stands there twice`, `"per": per: "0"`, `"most": per:`, `"unit": "<script>"`, `prices "": a name`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %s in %v", part, err)
		}
	}
	c = external()
	c.Prices = []config.PriceConfig{
		{Name: "tiers", Credits: "1", Tiers: []config.PriceTierConfig{{Above: "10", Credits: "2"}, {Above: "10", Credits: "3"}, {Above: "1e400", Credits: "4"}, {Above: "%s", Credits: "-0"}}},
		{Name: "plans", Credits: "1", Plans: []config.PlanPriceConfig{
			{Plan: "Pro", Credits: "2"}, {Plan: "pro", Credits: "3"}, {Plan: "<b>", Credits: "1"}, {Plan: "team", Credits: "NaN", Tiers: []config.PriceTierConfig{{Above: "0", Credits: "1"}}}}},
		{Name: "many", Credits: "1", Tiers: make([]config.PriceTierConfig, 11), Plans: make([]config.PlanPriceConfig, 21)},
		{Name: "%d", Credits: "1"}, {Name: "word", Credits: "1", Unit: "plan"},
	}
	_, err = c.ResolveWith(nil)
	for _, part := range []string{
		`prices "tiers" above "10": a tier begins above the one before it, which is 10`, `prices "tiers" above "1e400": is not a whole number`, `prices "tiers" above "%s": "-0" is not a number of credits`,
		`prices "plans" plan "pro": stands there twice`, `prices "plans" plan "<b>": is not the name of a plan`, `prices "plans" plan "team": "NaN"`, `prices "plans" plan "team" above "0": is not a whole number`,
		`prices "many": at most 10 tiers, here are 11`, `prices "many": at most 20 plans, here are 21`, `prices "%d": a name is`, `prices "word": "plan" is not a unit`,
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %s in %v", part, err)
		}
	}
	for _, line := range []string{"chat", "chat 1 above", "chat 1 above 5", "chat 1 plan pro", "chat 1 plan pro 1 2", "chat 1 above 5 1 per 2 x", "chat 1 per above 5 1", "chat 1 for 2 x", "chat 1 per", "chat 1 per 2 x y", `chat ""`, "chat 1 {\n a\n}"} {
		var read config.Config
		if err := read.UnmarshalCaddyfile(caddyfile.NewTestDispenser("mana {\n prices {\n" + line + "\n}\n}")); err == nil || !strings.Contains(err.Error(), "prices") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// What is typed at the desk is read as the block of a Caddyfile is, and nothing else comes of it.
func TestPricesAreReadAsTyped(t *testing.T) {
	t.Parallel()
	const lines = "big 1 per \"large pages\" above 2 1\nchat.generate 5 plan \"big team\" 2 plan pro 3\nchat.token 0.002 per 1000 tokens above 5000 0.001 above 100000 0.003 plan pro 0.001 above 7 0.002\nfilm 1 per minute\nrow 0.1 per 10 above 100 0.2\n"
	got, err := config.ReadPrices("# what things cost\r\n\n" + strings.ReplaceAll(lines, "\n", "\r\n"))
	if err != nil || got.String() != lines {
		t.Errorf("%v: %q", err, got.String())
	}
	if got, err := config.ReadPrices(" \n"); err != nil || len(got.All()) != 0 {
		t.Errorf("of nothing: %v, %v", got.All(), err)
	}
	for text, part := range map[string]string{
		"chat 0": `prices "chat": "0"`, "chat -1": `"-1"`, "chat NaN": `"NaN"`, "chat 1e400": `"1e400"`, "chat 1e3": `"1e3"`, "chat 0.0001": `"0.0001"`,
		"chat 9007199254740992": `"9007199254740992"`, "chat 1000000000.001": `"1000000000.001"`, "chat Infinity": `"Infinity"`,
		"chat 1 per 0": `per: "0"`, "chat 1 per 9007199254740992": `per: "9007199254740992"`, "chat 1 per -5": "not a unit", "chat 1 per 1e3": "not a unit",
		"chat 1\nchat 2": "stands there twice", "chat 1 2": "takes credits", "chat": "takes credits", "Chat 1": "a name is up to",
		"chat {env.HOME}": `"{env.HOME}" is not a number`, "chat 1\n}\nsite 1": "a brace has no place here, at line:2", "}": "a brace", "chat 1 {\nx\n}": "a brace", "chat 1 {": "a brace", `"{" 1`: "a brace",
		"<<": "", "<<X\nchat 1": "",
	} {
		got, err := config.ReadPrices(text)
		if err == nil || !strings.Contains(err.Error(), part) || len(got.All()) > 0 && part == "" {
			t.Errorf("%q: %v, %v", text, got.All(), err)
		}
	}
	if _, err := config.ReadPrices("a 1\nb x\n\nc y y"); err == nil || !strings.Contains(err.Error(), "line:4") {
		t.Errorf("no line in %v", err)
	}
}

func FuzzReadPrices(f *testing.F) {
	for _, text := range []string{"chat 5", "a 1 per x above 5 2 plan pro 3 above 1 2", "a 1 plan \"b c\" 2", "chat.token 0.002 per 1000 tokens", "a 1 {\n}", "}", "a \"1\"", "a `1`", "<<X\na\nX 1", "a 1 # b", "a 1 per 1e3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		prices, err := config.ReadPrices(text)
		if err != nil {
			return
		}
		again, err := config.ReadPrices(prices.String())
		if err != nil || again.String() != prices.String() {
			t.Errorf("%q is written as %q, which is read as %q: %v", text, prices, again, err)
		}
		for _, p := range prices.All() {
			if p.Credits <= 0 || p.Per < 1 {
				t.Errorf("%q: %+v", text, p)
			}
		}
	})
}
