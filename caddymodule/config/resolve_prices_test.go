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
	for _, line := range []string{"chat", "chat 1 for 2 x", "chat 1 per", "chat 1 per 2 x y", `chat ""`, "chat 1 {\n a\n}"} {
		var read config.Config
		if err := read.UnmarshalCaddyfile(caddyfile.NewTestDispenser("mana {\n prices {\n" + line + "\n}\n}")); err == nil || !strings.Contains(err.Error(), "prices") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// What is typed at the desk is read as the block of a Caddyfile is, and nothing else comes of it.
func TestPricesAreReadAsTyped(t *testing.T) {
	t.Parallel()
	const lines = "chat.generate 5\nchat.token 0.002 per 1000 tokens\nfilm 1 per minute\nrow 0.1 per 10\n"
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
	for _, text := range []string{"chat 5", "chat.token 0.002 per 1000 tokens", "a 1 {\n}", "}", "a \"1\"", "a `1`", "<<X\na\nX 1", "a 1 # b", "a 1 per 1e3"} {
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
