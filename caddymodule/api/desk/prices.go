package desk

import (
	"context"
	"math"
	"net/http"
	"strconv"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

const (
	pricesPath     = "/admin/prices"
	priceDraftPath = "/admin/price-draft"
)

// mostPrices bounds how many prices a page shows; the field of a draft has all of them.
const mostPrices = 200

var (
	errPrices       = &endpoint.Error{Status: http.StatusBadRequest, Code: "PRICES_INVALID", Message: "The table of prices cannot be read, or lacks a price that a route names"}
	errEffective    = &endpoint.Error{Status: http.StatusBadRequest, Code: "PRICES_EFFECTIVE", Message: "effective must be a time to come (UTC), such as 2027-01-31T00:00, or empty for at once"}
	errPriceBook    = &endpoint.Error{Status: http.StatusConflict, Code: "PRICES_CHANGED", Message: "Another version of the prices was published meanwhile"}
	errPriceVersion = &endpoint.Error{Status: http.StatusNotFound, Code: "PRICE_VERSION_NOT_FOUND", Message: "No such version of the prices"}
	errPriceBound   = &endpoint.Error{Status: http.StatusConflict, Code: "PRICE_VERSION_BOUND", Message: "The version is not to come any more: publish another one"}
)

// priceRoutes are those of the price book.
func (d Deps) priceRoutes(show func(string) endpoint.Rule, form func(string, ...*endpoint.Error) endpoint.Rule) []endpoint.Route {
	one := show("A version of the price book")
	one.Errors = append(one.Errors, errPriceVersion)
	draft := form("Rehearse prices, or publish them", errPrices, errEffective, errPriceBook)
	draft.Limit = endpoint.PerMinute(30)
	return []endpoint.Route{
		endpoint.Get(pricesPath, shownList(d, d.prices), show("The prices in force, those to come and those that were")),
		endpoint.Get(pricesPath+"/{id}", shownItem(d, d.priceVersion), one),
		endpoint.Post(pricesPath+"/{id}", d.changes(d.priceVersion, d.withdrawPrices), form("Withdraw prices that are to come", errPriceVersion, errPriceBound)),
		endpoint.Get(priceDraftPath, shownList(d, d.draft(priceForm{})), show("A draft of prices")),
		endpoint.Post(priceDraftPath, endpoint.Handle(d.drafted), draft),
	}
}

// prices shows the prices in force, and the versions of the book.
func (d Deps) prices(ctx context.Context, _ *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "prices", Heading: "prices", Notes: []string{"prices"}, Links: []pages.DeskCell{{Word: "price-draft", Link: priceDraftPath}}}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	_, version := ledger.PriceBook()
	out.Facts = []pages.DeskFact{fact("inForce", versionLink(version))}
	before, _ := strconv.ParseInt(v.Before, 10, 64)
	if before <= 0 {
		before = math.MaxInt64
	}
	list, err := ledger.PriceVersions(ctx, before, pageSize+1)
	if err != nil {
		return out, err
	}
	versions := pages.DeskTable{Title: "priceVersions", Columns: []string{"version", "state", "effective", "prices", "by", "reason", "published"}}
	for _, p := range list[:min(len(list), pageSize)] {
		versions.Rows = append(versions.Rows, []pages.DeskCell{
			versionLink(p.Version), priceState(p), at(p.EffectiveAt), text(strconv.Itoa(len(p.Prices.All()))), text(p.PublishedBy), text(p.Reason), at(p.PublishedAt),
		})
	}
	if v.Before != "" {
		versions.Newest = pricesPath
	}
	if len(list) > pageSize {
		versions.Older = pricesPath + queryOf("before", strconv.FormatInt(list[pageSize-1].Version, 10))
	}
	if v.Before == "" {
		out.Tables = append(out.Tables, priceTable("pricesInForce", ledger.Prices(), &out))
	}
	out.Tables = append(out.Tables, versions)
	return out, nil
}

// priceTable is a table of prices, as much of it as a page shows.
func priceTable(title string, prices creditcore.Prices, out *pages.Desk) pages.DeskTable {
	t := pages.DeskTable{Title: title, Columns: []string{"name", "price", "version"}}
	all := prices.All()
	if len(all) > mostPrices {
		all = all[:mostPrices]
		out.Notes = append(out.Notes, "morePrices")
	}
	for _, p := range all {
		t.Rows = append(t.Rows, []pages.DeskCell{code(p.Name), text(p.Terms()), versionLink(p.Version)})
	}
	return t
}

// versionLink leads to a version of the book; 0 is the configuration.
func versionLink(version int64) pages.DeskCell {
	if version == 0 {
		return word("configured")
	}
	n := strconv.FormatInt(version, 10)
	return link(n, pathOf(pricesPath, n))
}

func priceState(p creditcore.PriceVersion) pages.DeskCell {
	switch p.State {
	case creditcore.PricesInForce:
		return badge("pricesInForce", good)
	case creditcore.PricesToCome:
		return badge("pricesToCome", plain)
	case creditcore.PricesWithdrawn:
		return badge("pricesWithdrawn", bad)
	}
	return badge("pricesReplaced", plain)
}

// versionOf is the number of a version by its path, 0 for none.
func versionOf(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != id {
		return 0
	}
	return n
}

// priceVersion is a version of the book.
func (d Deps) priceVersion(ctx context.Context, _ *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "prices", Heading: "priceVersion", Up: pricesPath}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	n := versionOf(v.ID)
	if n == 0 || n == math.MaxInt64 {
		return out, errPriceVersion
	}
	list, err := ledger.PriceVersions(ctx, n+1, 1)
	if err != nil {
		return out, err
	}
	if len(list) == 0 || list[0].Version != n {
		return out, errPriceVersion
	}
	p := list[0]
	out.About = v.ID
	out.Facts = []pages.DeskFact{
		fact("state", priceState(p)), fact("effective", at(p.EffectiveAt)), fact("published", at(p.PublishedAt)), fact("by", text(p.PublishedBy)), fact("reason", text(p.Reason)),
		fact("withdrawn", optionalTime(p.WithdrawnAt)), fact("withdrawnBy", optional(p.WithdrawnBy)), fact("withdrawalReason", optional(p.WithdrawalReason)),
	}
	out.Tables = []pages.DeskTable{priceTable("", p.Prices, &out)}
	if p.State == creditcore.PricesToCome {
		out.Actions = []pages.DeskAction{{Name: "withdrawPrices", Danger: true}}
	}
	return out, nil
}

// withdrawPrices takes back a version that is to come.
func (d Deps) withdrawPrices(ctx context.Context, _ *endpoint.Call, o order) (outcome, error) {
	if o.Action != "withdrawPrices" {
		return outcome{}, errUnknownAction
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return outcome{}, err
	}
	withdraw, err := d.Withdraw(ctx)
	if err != nil {
		return outcome{}, err
	}
	if err := withdraw(ctx, o.By, versionOf(o.ID)); err != nil {
		return outcome{}, err
	}
	return outcome{done: "desk-prices-withdrawn"}, ledger.LoadPrices(ctx)
}
