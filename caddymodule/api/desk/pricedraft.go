package desk

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

const (
	// rehearsedDays is over how many days prices are rehearsed unless it is said, and
	// mostRehearsed over how many at most.
	rehearsedDays, mostRehearsed = 30, 366
	// mostLines bounds the lines of a rehearsal that a page shows.
	mostLines = 100
)

// priceForm is a draft of prices: the table as lines of a Caddyfile, over how many days and
// by what it is rehearsed, and from when it is to be in force. Key is the version that was
// the last when the draft was shown.
type priceForm struct {
	Action    string `json:"action" rule:"max=32,string"`
	Reason    string `json:"reason" rule:"optional,upto=4000,string"`
	Table     string `json:"table" rule:"optional,upto=64000,string"`
	Days      string `json:"days" rule:"optional,max=8,string"`
	By        string `json:"by" rule:"optional,max=16,string"`
	Effective string `json:"effective" rule:"optional,max=32,string"`
	Key       string `json:"key" rule:"optional,max=32,string"`
}

func (f priceForm) order() order { return order{Action: f.Action, Reason: f.Reason} }

// drafted rehearses a draft, which changes nothing and wants neither reason nor proof, or
// publishes it.
func (d Deps) drafted(ctx context.Context, c *endpoint.Call, f priceForm) (endpoint.Answer, error) {
	if f.Action != "rehearsePrices" {
		return d.changed(ctx, c, d.draft(f), d.publishPrices(f), f)
	}
	if away, err := sso.OwnForm(ctx, c, priceDraftPath); away != nil || err != nil {
		return away, err
	}
	if !d.maySee(c) {
		return nil, errNotAdmin
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	return d.answer(ctx, c, 200, d.draft(f), visit{}, "", "")
}

// draft is the page of a draft: what it changes, what the last days would have cost by it,
// and the form that publishes it. Without a table it begins with the prices in force.
func (d Deps) draft(f priceForm) page {
	return func(ctx context.Context, _ *endpoint.Call, _ visit) (pages.Desk, error) {
		out := pages.Desk{Section: "prices", Heading: "priceDraft", Up: pricesPath, Notes: []string{"priceDraft"}}
		ledger, err := d.Ledger(ctx)
		if err != nil {
			return out, err
		}
		f := f
		last, err := ledger.LastPriceVersion(ctx)
		if err != nil {
			return out, err
		}
		f.Key = strconv.FormatInt(last, 10) // the page compares with what is in force by now
		begun := f.Action == ""
		if begun {
			f.Table = ledger.Prices().String()
		}
		days, by := f.rehearsal()
		out.Draft = &pages.DeskAction{Name: "rehearsePrices", Plain: true, Fields: []pages.DeskField{
			{Name: "table", Kind: "table", Value: f.Table, Required: true}, {Name: "days", Kind: "number", Value: strconv.Itoa(days), Required: true},
			{Name: "by", Kind: "select", Value: string(by), Options: []string{"price", "user", "app", "plan"}},
		}}
		if begun {
			return out, nil
		}
		prices, faults := d.readPrices(ledger, f.Table)
		if faults != nil {
			out.Faults = faults
			return out, nil
		}
		then, now := prices.Over(ledger.ConfigPrices()), ledger.Prices()
		out.Tables = []pages.DeskTable{changedPrices(now, then)}
		lines, err := ledger.Rehearse(ctx, time.Now().AddDate(0, 0, -days), then, by)
		if err != nil {
			return out, err
		}
		out.Tables = append(out.Tables, rehearsedTable(lines, &out))
		out.Actions = []pages.DeskAction{{Name: "publishPrices", Key: f.Key, Fields: []pages.DeskField{
			{Name: "table", Kind: "hidden", Value: f.Table}, {Name: "days", Kind: "hidden", Value: strconv.Itoa(days)}, {Name: "by", Kind: "hidden", Value: string(by)},
			{Name: "effective", Kind: "datetime-local", Value: f.Effective},
		}}}
		return out, nil
	}
}

// rehearsal is over how many days, and by what, the draft is rehearsed.
func (f priceForm) rehearsal() (days int, by creditcore.RehearsalGroup) {
	days, err := strconv.Atoi(strings.TrimSpace(f.Days))
	if err != nil || days < 1 {
		days = rehearsedDays
	}
	switch by = creditcore.RehearsalGroup(f.By); by {
	case creditcore.RehearseByPrice, creditcore.RehearseByUser, creditcore.RehearseByApp, creditcore.RehearseByPlan:
	default:
		by = creditcore.RehearseByPrice
	}
	return min(days, mostRehearsed), by
}

// readPrices reads a table that may be published here, or says what is wrong with it.
func (d Deps) readPrices(ledger *creditcore.Service, table string) (prices creditcore.Prices, faults []string) {
	prices, err := d.ReadPrices(table)
	if err == nil && len(prices.All()) == 0 {
		err = errors.New("there are no prices")
	}
	if err == nil {
		err = prices.Missing(ledger.ConfigPrices(), d.PricesNamed()...)
	}
	if err != nil {
		return prices, strings.Split(err.Error(), "\n")
	}
	return prices, nil
}

// changedPrices are the prices that are not the same then.
func changedPrices(now, then creditcore.Prices) pages.DeskTable {
	t := pages.DeskTable{Title: "priceChanges", Columns: []string{"name", "state", "before", "after"}}
	terms := creditcore.Price.Terms
	for _, p := range then.All() {
		before, err := now.Named(p.Name)
		switch {
		case err != nil:
			t.Rows = append(t.Rows, []pages.DeskCell{code(p.Name), badge("priceNew", good), {}, text(terms(p))})
		case terms(before) != terms(p):
			t.Rows = append(t.Rows, []pages.DeskCell{code(p.Name), badge("priceChanged", plain), text(terms(before)), text(terms(p))})
		}
	}
	for _, p := range now.All() {
		if _, err := then.Named(p.Name); err != nil {
			t.Rows = append(t.Rows, []pages.DeskCell{code(p.Name), badge("priceRemoved", bad), text(terms(p)), {}})
		}
	}
	return t
}

// rehearsedTable is a rehearsal, its sum first, and as many of its lines as a page shows.
func rehearsedTable(lines []creditcore.Rehearsed, out *pages.Desk) pages.DeskTable {
	t := pages.DeskTable{Title: "rehearsal", Columns: []string{"rehearsed", "charges", "fixed", "paid", "would", "difference"}}
	row := func(key pages.DeskCell, l creditcore.Rehearsed) []pages.DeskCell {
		return []pages.DeskCell{key, text(strconv.FormatInt(l.Charges, 10)), text(strconv.FormatInt(l.Fixed, 10)), credits(l.Paid), credits(l.Would), credits(l.Would - l.Paid)}
	}
	var sum creditcore.Rehearsed
	for _, l := range lines {
		sum.Charges, sum.Fixed, sum.Paid, sum.Would = sum.Charges+l.Charges, sum.Fixed+l.Fixed, sum.Paid+l.Paid, sum.Would+l.Would
	}
	t.Rows = append(t.Rows, row(word("allTogether"), sum))
	if len(lines) > mostLines {
		lines = lines[:mostLines]
		out.Notes = append(out.Notes, "moreLines")
	}
	for _, l := range lines {
		t.Rows = append(t.Rows, row(text(l.Key), l))
	}
	return t
}

// publishPrices publishes a draft.
func (d Deps) publishPrices(f priceForm) change {
	return func(ctx context.Context, _ *endpoint.Call, o order) (outcome, error) {
		if o.Action != "publishPrices" {
			return outcome{}, errUnknownAction
		}
		ledger, err := d.Ledger(ctx)
		if err != nil {
			return outcome{}, err
		}
		prices, faults := d.readPrices(ledger, f.Table)
		if faults != nil {
			return outcome{}, errPrices
		}
		effective, err := effectiveOf(f.Effective)
		if err != nil {
			return outcome{}, errEffective
		}
		after, err := strconv.ParseInt(f.Key, 10, 64)
		if err != nil || after < 0 {
			return outcome{}, errPriceBook
		}
		publish, err := d.Publish(ctx)
		if err != nil {
			return outcome{}, err
		}
		if _, err := publish(ctx, o.By, creditcore.PriceDraft{Prices: prices, EffectiveAt: effective, After: after, Named: d.PricesNamed()}); err != nil {
			return outcome{}, err
		}
		return outcome{done: "desk-prices-published", at: pricesPath}, ledger.LoadPrices(ctx)
	}
}

// effectiveOf reads a time in UTC as browsers send it, or as RFC 3339 has it; the zero one
// for an empty text.
func effectiveOf(typed string) (at time.Time, err error) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if at, err = time.Parse(layout, typed); err == nil {
			return at, nil
		}
	}
	return time.Time{}, err
}
