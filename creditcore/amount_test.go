package creditcore_test

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"testing"

	"mana.how/edge/creditcore"
)

func TestParseAmount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]creditcore.Amount{
		"0": 0, "-0": 0, "1": 1000, "5.5": 5500, "0.02": 20, "1e3": 1_000_000, "-2.5": -2500, "0.001": 1,
		"0.6000000000000001": 600, "0.30000000000000004": 300, "0.0004": 0, "0.0005": 1, "1000000000": creditcore.MaxAmount,
	} {
		if got, err := creditcore.ParseAmount(text); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "NaN", "Inf", "-Infinity", "1e400", "-1e400", "9007199254740992", "1000000001", "0x10", "1_000", "+1", "3 ", "three", ".5", "--1", "1,5",
	} {
		if got, err := creditcore.ParseAmount(text); !errors.Is(err, creditcore.ErrAmount) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestAmountOnTheWire(t *testing.T) {
	t.Parallel()
	for a, want := range map[creditcore.Amount]string{
		0: "0", 1: "0.001", 20: "0.02", 100: "0.1", 1000: "1", -1500: "-1.5", 123_456_789: "123456.789",
		math.MaxInt64: "9223372036854775.807", math.MinInt64: "-9223372036854775.808",
	} {
		if got, err := json.Marshal(a); err != nil || string(got) != want {
			t.Errorf("%d: %s, %v; want %s", int64(a), got, err, want)
		}
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"1", "0.0004", "1e400", "NaN", "-0.5", "9007199254740993", "1E-3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := creditcore.ParseAmount(text)
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) && text != "" && text[0] != '0' && text[0] != '-' && (text[0] < '1' || text[0] > '9') {
			t.Errorf("%q is no number", text)
		}
		f, perr := strconv.ParseFloat(text, 64)
		if perr != nil || math.Abs(f*1000-float64(a)) > 0.501 {
			t.Errorf("%q became %d", text, a)
		}
		if again, err := creditcore.ParseAmount(a.String()); err != nil || again != a {
			t.Errorf("%d written as %s became %d, %v", a, a, again, err)
		}
	})
}
