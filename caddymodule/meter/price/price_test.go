package price_test

import (
	"encoding/json"
	"testing"

	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

func FuzzCostOf(f *testing.F) {
	for _, text := range []string{"", "0", "5", "-0", "4.9999", "5.0004", "1e3", "NaN", "+1", "0x1p3", " 1 ", "1_0"} {
		f.Add(text, int64(5000))
	}
	f.Fuzz(func(t *testing.T, text string, most int64) {
		cost, ok := price.CostOf([]string{text}, creditcore.Amount(most))
		if ok && (cost < 0 || cost > creditcore.Amount(most)) {
			t.Errorf("%q of %d costs %d", text, most, cost)
		}
	})
}

func TestPrice(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]creditcore.Amount{
		"5": 5000, "0.02": 20, "0.001": 1, "12.345": 12345, "1000000000": creditcore.MaxAmount,
		"": -1, "0": -1, "0.000": -1, "-1": -1, "+1": -1, "1.2345": -1, ".5": -1, "5.": -1, "1e3": -1, "05": -1, "1,5": -1,
		"five": -1, "NaN": -1, "0x5": -1, "1000000001": -1, " 5": -1, "99999999999999999999": -1,
	} {
		got, err := price.Price(text).Amount()
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for raw, want := range map[string]string{`5`: `5`, `"5"`: `5`, `0.5`: `0.5`, `-1`: `"-1"`, `"x"`: `"x"`} {
		var price price.Price
		if err := json.Unmarshal([]byte(raw), &price); err != nil {
			t.Fatal(err)
		}
		if got := edgetest.AsJSON(t, price); got != want {
			t.Errorf("%s becomes %s, want %s", raw, got, want)
		}
	}
}
