package credit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing/catalog"
)

// What is wrong with a price that a request names.
var (
	errPriceUnknown  = &endpoint.Error{Status: http.StatusBadRequest, Code: "PRICE_UNKNOWN", Message: "Unknown price"}
	errPriceAndMore  = &endpoint.Error{Status: http.StatusBadRequest, Code: "PRICE_OR_AMOUNT", Message: "Either amount or price is required, and quantity stands beside a price only"}
	errQuantityRange = &endpoint.Error{Status: http.StatusBadRequest, Code: "INVALID_QUANTITY", Message: "quantity costs more than an account can hold"}
)

// pricing are the answers of routes that take a price.
var pricing = []*endpoint.Error{errPriceUnknown, errPriceAndMore, errQuantityRange}

// order is what a request asks for: an amount, or a quantity of what has a price.
type order struct {
	Amount   creditcore.Amount
	Price    *string
	Quantity *creditcore.Amount
}

// cost is what an order comes to. Price is empty for one by its amount.
type cost struct {
	Amount, Quantity creditcore.Amount
	Price            string
	Plan             string // whose price it is, empty for that of everybody
	Version          int64  // of the price book, 0 for a price of the config
}

// costOf is what an order of a user costs by the prices of today.
func costOf(ctx context.Context, ledger *creditcore.Service, userID string, o order) (cost, error) {
	if o.Price == nil {
		if o.Quantity != nil || o.Amount == 0 {
			return cost{}, errPriceAndMore
		}
		return cost{Amount: o.Amount}, nil
	}
	if o.Amount != 0 {
		return cost{}, errPriceAndMore
	}
	named, err := ledger.PriceFor(ctx, userID, *o.Price)
	if errors.Is(err, creditcore.ErrPriceUnknown) {
		err = errPriceUnknown
	}
	if err != nil {
		return cost{}, err
	}
	c := cost{Quantity: creditcore.Credit, Price: named.Name, Plan: named.Plan, Version: named.Version}
	if o.Quantity != nil {
		c.Quantity = *o.Quantity
	}
	if c.Amount, err = named.Cost(c.Quantity); err != nil {
		return cost{}, errQuantityRange
	}
	return c, nil
}

// operation is what was used: what the metadata says, else the name of the price.
func (c cost) operation(metadata json.RawMessage) string {
	if named := operationOf(metadata); named != "" {
		return named
	}
	return c.Price
}

// noted is the metadata with what the charge was made of.
func (c cost) noted(metadata json.RawMessage) json.RawMessage {
	if c.Price == "" {
		return metadata
	}
	fields := make(map[string]json.RawMessage)
	if len(metadata) > 0 && json.Unmarshal(metadata, &fields) != nil {
		return metadata // the ledger refuses it
	}
	price, err := json.Marshal(c.Price)
	if err != nil {
		return metadata
	}
	fields[creditcore.MetadataPrice], fields[creditcore.MetadataQuantity] = price, json.RawMessage(c.Quantity.String())
	if delete(fields, creditcore.MetadataPriceVersion); c.Version > 0 {
		fields[creditcore.MetadataPriceVersion] = json.RawMessage(strconv.FormatInt(c.Version, 10))
	}
	if delete(fields, creditcore.MetadataPricePlan); c.Plan != "" {
		plan, err := json.Marshal(c.Plan)
		if err != nil {
			return metadata
		}
		fields[creditcore.MetadataPricePlan] = plan
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return metadata
	}
	return raw
}

// priceView is a price: credits for each per of its unit. Tiers are what the part of a
// quantity costs that is above so much, and plans what it costs those who are subscribed to
// one. Version is that of the price book it is of, 0 where the configuration has it.
type priceView struct {
	Name    string            `json:"name"`
	Credits creditcore.Amount `json:"credits"`
	Per     int64             `json:"per"`
	Unit    string            `json:"unit"`
	Tiers   []priceTier       `json:"tiers,omitempty"`
	Plans   []planPrice       `json:"plans,omitempty"`
	Version int64             `json:"version"`
}

// priceTier is what the part of a quantity costs that is above so much, for each per of
// the price.
type priceTier struct {
	Above   int64             `json:"above"`
	Credits creditcore.Amount `json:"credits"`
}

// planPrice is what a price is for those who are subscribed to a plan.
type planPrice struct {
	Plan    string            `json:"plan"`
	Credits creditcore.Amount `json:"credits"`
	Tiers   []priceTier       `json:"tiers,omitempty"`
}

func viewPrice(p creditcore.Price) priceView {
	v := priceView{p.Name, p.Credits, p.Per, p.Unit, viewTiers(p.Tiers), make([]planPrice, len(p.Plans)), p.Version}
	for i, plan := range p.Plans {
		v.Plans[i] = planPrice{plan.Plan, plan.Credits, viewTiers(plan.Tiers)}
	}
	return v
}

func viewTiers(tiers []creditcore.Tier) []priceTier {
	views := make([]priceTier, len(tiers))
	for i, t := range tiers {
		views[i] = priceTier(t)
	}
	return views
}

type pricesResponse struct {
	Prices []priceView `json:"prices"`
}

// prices lists what things cost now.
func prices(_ context.Context, _ *endpoint.Call, ledger *creditcore.Service, _ endpoint.None) (pricesResponse, error) {
	all := ledger.Prices().All()
	resp := pricesResponse{Prices: make([]priceView, len(all))}
	for i, p := range all {
		resp.Prices[i] = viewPrice(p)
	}
	return resp, nil
}

type quoteRequest struct {
	UserID         string             `json:"userId" rule:"service,string,notempty"`
	OrganizationID *string            `json:"organizationId" rule:"optional,max=64,string" doc:"The organization that would pay, within what is allotted to the user there."`
	Amount         creditcore.Amount  `json:"amount" rule:"unless=price,positive"`
	Price          *string            `json:"price" rule:"optional,max=64,string" doc:"The name of a price, in place of an amount."`
	Quantity       *creditcore.Amount `json:"quantity" rule:"optional,positive" doc:"How much of it, 1 where absent."`
}

// quoteResponse is what something would cost now, and what is lacking for it.
// Price and Quantity are null for an amount. Suggestions are packages for what is
// lacking: the cheapest that suffices first, then the largest of the others.
type quoteResponse struct {
	Price       *string            `json:"price"`
	Quantity    *creditcore.Amount `json:"quantity"`
	Cost        creditcore.Amount  `json:"cost"`
	Balance     creditcore.Amount  `json:"balance"`
	Missing     creditcore.Amount  `json:"missing"`
	Suggestions []suggestion       `json:"suggestions"`
}

// suggestion is a package to buy.
type suggestion struct {
	PackageID      string            `json:"packageId"`
	Name           string            `json:"name"`
	Credits        creditcore.Amount `json:"credits"`
	PriceEuroCents int64             `json:"priceEuroCents"`
	Suffices       bool              `json:"suffices"`
}

// quote says what something would cost, and charges nothing.
func (d Deps) quote(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req quoteRequest) (quoteResponse, error) {
	if !c.Service {
		req.UserID = c.UserID
	}
	asked, err := costOf(ctx, ledger, req.UserID, order{req.Amount, req.Price, req.Quantity})
	if err != nil {
		return quoteResponse{}, err
	}
	available, _, err := availableTo(ctx, ledger, req.UserID, req.OrganizationID)
	if err != nil {
		return quoteResponse{}, err
	}
	resp := quoteResponse{
		Cost: asked.Amount, Balance: available, Missing: max(0, asked.Amount-available), Suggestions: []suggestion{},
	}
	if asked.Price != "" {
		resp.Price, resp.Quantity = &asked.Price, &asked.Quantity
	}
	if resp.Missing > 0 {
		resp.Suggestions, err = d.suggestions(ctx, resp.Missing)
	}
	return resp, err
}

// suggestions are packages for sale, as far as anything is.
func (d Deps) suggestions(ctx context.Context, missing creditcore.Amount) ([]suggestion, error) {
	list := []suggestion{}
	if sells, err := d.Sells(ctx); err != nil || !sells {
		return list, err
	}
	payments, err := d.Billing(ctx)
	if err != nil {
		return list, err
	}
	found, err := payments.Packages(ctx)
	for _, p := range found {
		list = append(list, suggestionOf(p, missing))
	}
	slices.SortStableFunc(list, func(a, b suggestion) int {
		switch {
		case a.Suffices && b.Suffices:
			return cmp.Compare(a.PriceEuroCents, b.PriceEuroCents)
		case a.Suffices:
			return -1
		case b.Suffices:
			return 1
		}
		return cmp.Compare(b.Credits, a.Credits)
	})
	return list, err
}

func suggestionOf(p catalog.Package, missing creditcore.Amount) suggestion {
	return suggestion{PackageID: p.ID, Name: p.Name, Credits: p.Credits, PriceEuroCents: p.PriceEuroCents, Suffices: p.Credits >= missing}
}

// availableTo is what a user may spend now, of their account or of what is allotted
// to them of an organisation's, and the balance of that account.
func availableTo(ctx context.Context, ledger *creditcore.Service, userID string, organizationID *string) (creditcore.Amount, creditcore.Balance, error) {
	account, err := accountOf(userID, organizationID)
	if err != nil {
		return 0, creditcore.Balance{}, err
	}
	var bound *creditcore.Amount
	if organization := creditcore.OrganizationOf(account); organization != "" {
		if bound, err = ledger.MemberLeft(ctx, organization, userID); err != nil {
			return 0, creditcore.Balance{}, err
		}
	}
	b, err := ledger.BalanceOf(ctx, account)
	available := b.Available
	if bound != nil {
		available = max(0, min(available, *bound))
	}
	return available, b, err
}
