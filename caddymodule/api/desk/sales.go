package desk

import (
	"context"
	"fmt"
	"strconv"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/keyset"
)

// gifts lists gifts, of somebody or of everybody.
func (d Deps) gifts(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "gifts", Heading: "gifts", Search: []pages.DeskField{{Name: "user", Kind: "search", Value: v.User, Max: 255}}}
	who, err := userNamed(ctx, c, v.User)
	if err != nil {
		return out, err
	}
	gifts, err := d.Gifts(ctx)
	if err != nil {
		return out, err
	}
	list, next, err := gifts.Page(ctx, gift.Query{CreatorID: who, Before: keyset.Parse(v.Before), Limit: pageSize})
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"code", "state", "by", "credits", "claimed", "target", "message", "until", "created"}}
	for _, g := range list {
		t.Rows = append(t.Rows, giftRow(g))
	}
	out.Tables = []pages.DeskTable{pager(t, giftsPath, v.Before, next, "user", v.User)}
	return out, nil
}

func giftRow(g gift.Listed) []pages.DeskCell {
	tone := plain
	if g.Status == gift.StatusActive {
		tone = good
	}
	target := optional(g.TargetEmail)
	if target.Empty() {
		target = optional(g.TargetMatrixID)
	}
	return []pages.DeskCell{
		code(string(g.Code)), badge(string(g.Status), tone), userLink(g.CreatorID, g.CreatorEmail), credits(g.TotalCredits),
		text(fmt.Sprintf("%d / %d", g.ClaimedPortions, g.TotalPortions)), target, optional(g.Message), optionalTime(g.ExpiresAt), at(g.CreatedAt),
	}
}

// purchaseStates are those that purchases are looked up by; the empty one is all.
var purchaseStates = []string{"", "pending", "completed", "failed", "cancelled"}

// sales lists what is for sale, and what was sold. A cursor is that of purchases.
func (d Deps) sales(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "sales", Heading: "sales", Search: []pages.DeskField{
		{Name: "user", Kind: "search", Value: v.User, Max: 255}, {Name: "status", Kind: "select", Value: v.Status, Options: purchaseStates},
	}}
	who, err := userNamed(ctx, c, v.User)
	if err != nil {
		return out, err
	}
	sales, err := d.Billing(ctx)
	if err != nil {
		return out, err
	}
	out.Facts = []pages.DeskFact{fact("stripe", yesNo(sales.Sells()))}
	bought, next, err := sales.PurchasePage(ctx, billing.SalesQuery{UserID: who, Status: v.Status, Before: keyset.Parse(v.Before), Limit: pageSize})
	if err != nil {
		return out, err
	}
	purchases := pages.DeskTable{Title: "purchases", Columns: []string{"created", "address", "package", "credits", "price", "state", "stripeID", "reversed", "shortfall"}}
	for _, p := range bought {
		purchases.Rows = append(purchases.Rows, []pages.DeskCell{
			at(p.CreatedAt), accountLink(p.UserID, p.Email, p.Organization), text(p.Package), credits(p.Credits), cents(p.PriceEuroCents), saleState(p.Status),
			code(p.Intent), cents(p.ReversedEuroCents), credits(p.Shortfall),
		})
	}
	out.Tables = []pages.DeskTable{pager(purchases, salesPath, v.Before, next, "user", v.User, "status", v.Status)}
	if v.Before == "" && v.Status == "" {
		if err := soldPlans(ctx, sales, who, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// soldPlans adds the newest subscriptions and, where everybody's are shown, what is
// for sale.
func soldPlans(ctx context.Context, sales *billing.Service, userID string, out *pages.Desk) error {
	list, _, err := sales.SubscriptionPage(ctx, billing.SalesQuery{UserID: userID, Limit: pageSize})
	if err != nil {
		return err
	}
	subscriptions := pages.DeskTable{Title: "subscriptions", Columns: []string{"created", "address", "plan", "seats", "state", "until", "ends", "stripeID"}}
	for _, s := range list {
		subscriptions.Rows = append(subscriptions.Rows, []pages.DeskCell{
			at(s.CreatedAt), accountLink(s.UserID, s.Email, s.Organization), text(s.Plan), text(strconv.Itoa(s.Seats)), saleState(s.Status), optionalTime(s.CurrentPeriodEnd), yesNo(s.CancelAtPeriodEnd), code(s.StripeSubscriptionID),
		})
	}
	out.Tables = append(out.Tables, subscriptions)
	if userID != "" {
		return nil
	}
	offers, err := sales.Offers(ctx)
	if err != nil {
		return err
	}
	shop := pages.DeskTable{Title: "offers", Columns: []string{"name", "type", "credits", "rollsOver", "perSeat", "price", "yearly", "forSale", "priced"}}
	for _, o := range offers {
		kind := "package"
		if o.Plan {
			kind = "plan"
		}
		shop.Rows = append(shop.Rows, []pages.DeskCell{text(o.Name), word(kind), credits(o.Credits), credits(o.RollsOver), yesNo(o.PerSeat), cents(o.Cents), cents(o.YearlyCents), yesNo(o.Active), yesNo(o.Priced)})
	}
	out.Tables = append(out.Tables, shop)
	return nil
}

func saleState(status string) pages.DeskCell {
	switch status {
	case "completed", "active", "trialing":
		return badge(status, good)
	case "failed", "past_due", "unpaid":
		return badge(status, bad)
	}
	return badge(status, plain)
}
