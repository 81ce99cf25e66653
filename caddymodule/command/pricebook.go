package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
)

// priceVersionView is a version of the price book in JSON.
type priceVersionView struct {
	Version          int64         `json:"version"`
	State            string        `json:"state"`
	EffectiveAt      time.Time     `json:"effectiveAt"`
	PublishedAt      time.Time     `json:"publishedAt"`
	PublishedBy      string        `json:"publishedBy"`
	Reason           string        `json:"reason"`
	WithdrawnAt      *time.Time    `json:"withdrawnAt"`
	WithdrawnBy      *string       `json:"withdrawnBy"`
	WithdrawalReason *string       `json:"withdrawalReason"`
	Prices           []listedPrice `json:"prices"`
}

func viewPriceVersion(v creditcore.PriceVersion) priceVersionView {
	return priceVersionView{
		v.Version, v.State, v.EffectiveAt, v.PublishedAt, v.PublishedBy, v.Reason, v.WithdrawnAt, v.WithdrawnBy, v.WithdrawalReason, listedPrices(v.Prices),
	}
}

// reasonOf is what the flag says of why. It fails where that is nothing.
func reasonOf(inv invoke.Invocation) (string, error) {
	reason := strings.TrimSpace(inv.Flag("reason"))
	if reason == "" || len([]rune(reason)) > 1000 {
		return "", errors.New("--reason takes a text of up to 1000 characters")
	}
	return reason, nil
}

func publishPrices(inv invoke.Invocation, _ []string) error {
	reason, err := reasonOf(inv)
	if err != nil {
		return err
	}
	var effective time.Time
	if text := inv.Flag("effective"); text != "" {
		if effective, err = time.Parse(time.RFC3339, text); err != nil {
			effective, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			return fmt.Errorf("--effective: %q is neither an instant such as 2027-01-31T00:00:00Z nor a day", text)
		}
	}
	source, err := inv.ReadSource()
	if err != nil {
		return err
	}
	return inv.WithCores(func(c services.Cores) error {
		prices := c.Credits.ConfigPrices()
		if file := inv.Flag("file"); file != "" {
			lines, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if prices, err = config.ReadPrices(string(lines)); err != nil {
				return err
			}
		}
		last, err := c.Credits.LastPriceVersion(inv.Ctx)
		if err != nil {
			return err
		}
		op := invoke.Operator()
		op.Reason = reason
		v, err := c.PublishPrices(inv.Ctx, op, creditcore.PriceDraft{Prices: prices, EffectiveAt: effective, After: last, Named: pricesIn(source.Raw)})
		if err != nil {
			return err
		}
		view := viewPriceVersion(v)
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "version\t%d", view.Version)
			invoke.Line(w, "effective\t%s", invoke.Time(view.EffectiveAt))
			invoke.Line(w, "prices\t%d", len(view.Prices))
		})
	})
}

func withdrawPrices(inv invoke.Invocation, args []string) error {
	reason, err := reasonOf(inv)
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not the number of a version", args[0])
	}
	return inv.WithCores(func(c services.Cores) error {
		op := invoke.Operator()
		op.Reason = reason
		if err := c.WithdrawPrices(inv.Ctx, op, version); err != nil {
			return err
		}
		return inv.Print(struct {
			Version   int64 `json:"version"`
			Withdrawn bool  `json:"withdrawn"`
		}{version, true}, func(w io.Writer) { invoke.Line(w, "version %d is withdrawn", version) })
	})
}

func priceHistory(inv invoke.Invocation, _ []string) error {
	limit, err := inv.Flags().GetInt("limit")
	if err != nil {
		return err
	}
	if limit < 1 || limit > 1000 {
		return errors.New("--limit is from 1 to 1000")
	}
	return inv.WithCores(func(c services.Cores) error {
		list, err := c.Credits.PriceVersions(inv.Ctx, math.MaxInt64, limit)
		if err != nil {
			return err
		}
		views := make([]priceVersionView, len(list))
		for i, v := range list {
			views[i] = viewPriceVersion(v)
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "VERSION\tSTATE\tEFFECTIVE\tPRICES\tBY\tREASON")
			for _, v := range views {
				invoke.Line(w, "%d\t%s\t%s\t%d\t%s\t%s", v.Version, v.State, invoke.Time(v.EffectiveAt), len(v.Prices), v.PublishedBy, v.Reason)
			}
		})
	})
}

// pricesIn are the names of the prices that routes of a config in JSON cost, without loading
// any of it.
func pricesIn(text []byte) (names []string) {
	var tree any
	if json.Unmarshal(text, &tree) != nil {
		return nil
	}
	named := func(node map[string]any, fields ...string) {
		for _, field := range fields {
			if name, ok := node[field].(string); ok && name != "" {
				names = append(names, name)
			}
		}
	}
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, child := range node {
				walk(child)
			}
		case map[string]any:
			if node["handler"] == "mana_credits" {
				named(node, "price")
				if tokens, ok := node["cost_tokens"].(map[string]any); ok {
					named(tokens, "price", "input", "cached", "cache_write")
				}
			}
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	slices.Sort(names)
	return slices.Compact(names)
}
