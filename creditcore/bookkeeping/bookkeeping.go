package bookkeeping

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"mana.how/edge/creditcore"
)

// Kind says what is written.
type Kind string

const (
	Accounts Kind = "accounts" // every account on every day of a period that it has a row on
	Days     Kind = "days"     // all accounts together on every day of a period
	Deferred Kind = "deferred" // what is left of paid credits now
)

// Kinds are all of them.
var Kinds = []Kind{Accounts, Days, Deferred}

// Known reports whether it is one of them.
func (k Kind) Known() bool { return slices.Contains(Kinds, k) }

// Ledger is what is read.
type Ledger interface {
	Books(ctx context.Context, from, to time.Time, each func(creditcore.BookLine) error) error
	DayTotals(ctx context.Context, from, to time.Time, each func(creditcore.DayTotal) error) error
	DeferredRevenue(ctx context.Context, each func(creditcore.Deferred) error) error
}

// Write writes the days (UTC) from from to before to, which [Deferred] does not read. It
// fails as the ledger does, or with what the writer returns; nothing is written where the
// period is refused.
func Write(ctx context.Context, w io.Writer, ledger Ledger, kind Kind, from, to time.Time) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	named := false
	line := func(names []string, values ...string) error {
		if !named {
			named = true
			if err := out.Write(names); err != nil {
				return err
			}
		}
		if len(values) == 0 {
			return nil
		}
		return out.Write(values)
	}
	var names []string
	var err error
	switch kind {
	case Accounts:
		names = append([]string{"day", "account"}, movementNames...)
		err = ledger.Books(ctx, from, to, func(b creditcore.BookLine) error {
			return line(names, append([]string{b.Day.UTC().Format(time.DateOnly), b.Account}, movements(b.Movements)...)...)
		})
	case Days:
		names = append([]string{"day", "accounts"}, movementNames...)
		err = ledger.DayTotals(ctx, from, to, func(d creditcore.DayTotal) error {
			return line(names, append([]string{d.Day.UTC().Format(time.DateOnly), strconv.FormatInt(d.Accounts, 10)}, movements(d.Movements)...)...)
		})
	case Deferred:
		names = []string{"account", "source", "sale", "paidAt", "expiresAt", "sold", "left", "euros"}
		err = ledger.DeferredRevenue(ctx, func(d creditcore.Deferred) error {
			return line(names, d.Account, string(d.Source), d.Sale, instant(d.PaidAt), instant(d.ExpiresAt), d.Sold.String(), d.Left.String(), euros(d.MilliCents))
		})
	default:
		return fmt.Errorf("%q is none of %v", kind, Kinds)
	}
	if err == nil {
		err = line(names)
	}
	if out.Flush(); err == nil {
		err = out.Error()
	}
	return err
}

var movementNames = []string{"entries", "opening", "purchases", "gifts", "refunds", "usage", "expiry", "adjustments", "closing"}

func movements(m creditcore.Movements) []string {
	texts := []string{strconv.FormatInt(m.Entries, 10)}
	for _, a := range []creditcore.Amount{m.Opening, m.Purchases, m.Gifts, m.Refunds, m.Usage, m.Expiry, m.Adjustments, m.Closing} {
		texts = append(texts, a.String())
	}
	return texts
}

func instant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// euros writes thousandths of a cent.
func euros(milliCents int64) string {
	const unit = 100_000
	return fmt.Sprintf("%d.%05d", milliCents/unit, milliCents%unit)
}
