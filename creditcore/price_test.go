package creditcore_test

import (
	"errors"
	"testing"

	"mana.how/edge/creditcore"
)

func TestPrices(t *testing.T) {
	t.Parallel()
	prices := creditcore.NewPrices(
		creditcore.Price{Name: "image", Credits: creditcore.Credits(20), Per: 1},
		creditcore.Price{Name: "chat.token", Credits: 2, Per: 1000, Unit: "tokens"},
		creditcore.Price{Name: "most", Credits: creditcore.MaxAmount, Per: 1},
	)
	for _, row := range []struct {
		name           string
		quantity, want creditcore.Amount
		err            error
	}{
		{"image", creditcore.Credit, creditcore.Credits(20), nil},
		{"image", 500, creditcore.Credits(10), nil},
		{"chat.token", creditcore.Credits(1000), 2, nil},
		{"chat.token", creditcore.Credits(1), 1, nil}, // nothing is free
		{"chat.token", 1, 1, nil},
		{"chat.token", creditcore.Credits(500), 1, nil},
		{"chat.token", creditcore.Credits(501), 2, nil},
		{"chat.token", creditcore.Credits(1001), 3, nil},
		{"chat.token", creditcore.MaxAmount, creditcore.Credits(2000), nil},
		{"most", creditcore.Credit, creditcore.MaxAmount, nil},
		{"most", creditcore.Credit + 1, 0, creditcore.ErrInvalid},
		{"most", creditcore.MaxAmount, 0, creditcore.ErrInvalid},
		{"image", 0, 0, creditcore.ErrInvalid},
		{"image", -1, 0, creditcore.ErrInvalid},
	} {
		p, err := prices.Named(row.name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Cost(row.quantity); got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s of %s costs %s, %v, want %s, %v", row.quantity, row.name, got, err, row.want, row.err)
		}
	}
	for _, name := range []string{"", "chat", "zebra", "IMAGE"} {
		if _, err := prices.Named(name); !errors.Is(err, creditcore.ErrPriceUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if all := prices.All(); len(all) != 3 || all[0].Name != "chat.token" || all[2].Name != "most" {
		t.Errorf("all: %v", all)
	}
	if all := (creditcore.Prices{}).All(); len(all) != 0 {
		t.Errorf("of none: %v", all)
	}
}
