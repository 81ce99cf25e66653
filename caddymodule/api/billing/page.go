package billing

import (
	"context"
	"crypto/rand"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	purchasing "mana.how/edge/creditcore/billing/purchase"
	subscribing "mana.how/edge/creditcore/billing/subscription"
	"mana.how/edge/creditcore/billing/topup"
)

// shopPath is the page that sells credits, and creditsPath that of the account.
const (
	creditsPath = "/account/credits"
	shopPath    = creditsPath + "/buy"
)

// shop is the page, with the way to the live ledger, which says what the buyer has.
type shop struct {
	ledger func(context.Context) (*creditcore.Service, error)
}

// pageRoutes are those of the page that sells credits.
func pageRoutes(core func(context.Context) (*billing.Service, error), ledger func(context.Context) (*creditcore.Service, error)) []endpoint.Route {
	s := shop{ledger}
	return []endpoint.Route{
		endpoint.Get(shopPath, endpoint.HandleWith(core, s.page), endpoint.Rule{Summary: "What the signed-in user can buy, for themselves or an organization",
			Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), roles...)}),
		endpoint.Post(shopPath, endpoint.HandleWith(core, s.form), endpoint.Rule{Summary: "Buy credits, or subscribe to them",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(30), Mappings: slices.Concat(purchaseMappings, subscriptionMappings),
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrKeyReused), tooManyOpen(0), seatsTaken(""), errUnknownAction, endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole)}),
	}
}

var errUnknownAction = &endpoint.Error{Status: http.StatusBadRequest, Code: "UNKNOWN_ACTION", Message: "Unknown action"}

type shopRequest struct {
	// Organization is the one to buy for, empty for who is signed in.
	Organization string `query:"organization" rule:"optional,max=64,string"`
}

// shopOf is the page that sells to an organisation, or with an empty id to who is
// signed in.
func shopOf(organizationID string) string {
	if organizationID == "" {
		return shopPath
	}
	return shopPath + "?organization=" + url.QueryEscape(organizationID)
}

// returned is where Stripe leads back to: a page with a word of what became of it.
func returned(path, organizationID, word string) string {
	if organizationID != "" {
		word += "&organization=" + url.QueryEscape(organizationID)
	}
	return path + "?" + word
}

// page shows what is for sale.
func (s shop) page(ctx context.Context, c *endpoint.Call, payments *billing.Service, req shopRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, shopOf(req.Organization)); away != nil || err != nil {
		return away, err
	}
	buyer, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	query := c.Request.URL.Query()
	return s.answer(ctx, buyer, payments, http.StatusOK, pages.Shop{
		Key: rand.Text(), Cancelled: query.Get("purchase") == "cancelled", Subscribed: query.Get("subscription") == "success",
	})
}

// answer fills in what is for sale, and what the buyer has.
func (s shop) answer(ctx context.Context, buyer creditcore.Caller, payments *billing.Service, status int, view pages.Shop) (endpoint.Answer, error) {
	ledger, err := s.ledger(ctx)
	if err != nil {
		return nil, err
	}
	view.Organization = buyer.Organization
	b, err := ledger.Balance(ctx, buyer)
	if err != nil {
		return nil, err
	}
	view.Balance = b.Available.String()
	if b.Debt > 0 {
		view.Debt = b.Debt.String()
	}
	if !payments.Sells() {
		return endpoint.HTML{Status: status, View: view}, nil
	}
	if err := showPackages(ctx, payments, &view); err != nil {
		return nil, err
	}
	if err := showPlans(ctx, buyer, payments, &view); err != nil {
		return nil, err
	}
	if buyer.Organization != "" {
		if view.Members, err = payments.Members(ctx, buyer.Organization); err != nil {
			return nil, err
		}
	}
	now, err := payments.TopUp(ctx, buyer)
	if err != nil {
		return nil, err
	}
	view.Card, view.ToppedUp = shownCard(now.Card), now.Enabled
	view.Portal, err = payments.IsCustomer(ctx, buyer)
	return endpoint.HTML{Status: status, View: view}, err
}

func showPackages(ctx context.Context, payments *billing.Service, view *pages.Shop) error {
	found, err := payments.Packages(ctx)
	if err != nil {
		return err
	}
	for _, p := range found {
		view.Packages = append(view.Packages, pages.Package{
			ID: p.ID, Name: p.Name, Description: endpoint.TextOf(p.Description), Credits: p.Credits.String(), Cents: p.PriceEuroCents,
		})
	}
	return nil
}

// showPlans leaves out prices that Stripe does not know, and plans without any but
// the buyer's own.
func showPlans(ctx context.Context, buyer creditcore.Caller, payments *billing.Service, view *pages.Shop) error {
	now, err := payments.Current(ctx, buyer)
	if err != nil {
		return err
	}
	found, err := payments.Plans(ctx)
	if err != nil {
		return err
	}
	subscribed := ""
	if sub := now.Subscription; sub != nil {
		subscribed = sub.PlanID
		view.Current = &pages.Subscription{Status: string(sub.Status), Ends: sub.CancelAtPeriodEnd}
		if sub.CurrentPeriodEnd != nil {
			view.Current.Until = *sub.CurrentPeriodEnd
		}
	}
	for _, p := range found {
		shown := pages.Plan{
			ID: p.ID, Name: p.Name, Description: endpoint.TextOf(p.Description), Credits: p.MonthlyCredits.String(),
			Features: p.Features, Current: p.ID == subscribed, PerSeat: p.PerSeat,
		}
		if p.RolloverCredits > 0 {
			shown.RollsOver = p.RolloverCredits.String()
		}
		if p.StripePriceIDMonthly != nil {
			shown.MonthlyCents = p.PriceMonthlyEuroCents
		}
		if p.StripePriceIDYearly != nil {
			shown.YearlyCents = p.PriceYearlyEuroCents
		}
		if shown.Current || shown.MonthlyCents > 0 || shown.YearlyCents > 0 {
			view.Plans = append(view.Plans, shown)
		}
	}
	if view.Current == nil {
		return nil
	}
	plan, err := payments.Plan(ctx, subscribed)
	if errors.Is(err, catalog.ErrPlanNotFound) {
		err = nil
	}
	view.Current.Plan = plan.Name
	if plan.PerSeat {
		view.Current.Seats = now.Subscription.Seats
	}
	return err
}

type shopFormRequest struct {
	Action string `json:"action" rule:"max=32,string"`
	ID     string `json:"id" rule:"optional,max=64,string"`
	Key    string `json:"key" rule:"optional,max=128,string"`
	Seats  string `json:"seats" rule:"optional,max=3,string"`
	// SaveCard is yes where the card that pays is to be kept.
	SaveCard string `json:"saveCard" rule:"optional,max=8,string"`
	// Organization is the one to buy for, empty for who is signed in.
	Organization string `json:"organization" rule:"optional,max=64,string"`
}

// form begins a purchase or a subscription, which goes on at Stripe, or changes
// the subscription there is. A refusal shows the page again.
func (s shop) form(ctx context.Context, c *endpoint.Call, payments *billing.Service, req shopFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	if away, err := sso.SignedIn(ctx, c, shopOf(req.Organization)); away != nil || err != nil {
		return away, err
	}
	buyer, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	onward, err := s.act(ctx, c, buyer, payments, req)
	switch {
	case err == nil && onward == "":
		return endpoint.Redirect{To: shopOf(req.Organization)}, nil
	case err == nil:
		// A redirect would need the payment service's sites among the form's.
		c.Header.Set("Refresh", "0;url="+onward)
		return endpoint.HTML{Status: http.StatusOK, View: pages.Onward{URL: template.URL(onward)}}, nil // #nosec G203 -- of the payment service
	}
	p := c.Known(subscriptionError(err, nil))
	if p == nil {
		return nil, err
	}
	out, err := s.answer(ctx, buyer, payments, p.Status, pages.Shop{Key: rand.Text(), Error: p.Code})
	if html, ok := out.(endpoint.HTML); ok {
		html.RetryAfter = p.RetryAfter
		out = html
	}
	return out, err
}

// act returns where the buyer goes on, empty for this page.
func (s shop) act(ctx context.Context, c *endpoint.Call, buyer creditcore.Caller, payments *billing.Service, req shopFormRequest) (onward string, err error) {
	base := c.BaseURL().String()
	switch req.Action {
	case "buy":
		order := purchasing.LinkOrder{
			PackageID: req.ID, SuccessURL: base + returned(creditsPath, req.Organization, "purchase=success"),
			CancelURL: base + returned(shopPath, req.Organization, "purchase=cancelled"), SaveCard: req.SaveCard == "yes", Key: formKey(req),
		}
		if order.SaveCard { // where they see the card, and say what it is for
			order.SuccessURL = base + returned(topUpPath, req.Organization, "purchase=success&session="+topup.SessionID)
		}
		link, err := payments.PaymentLink(ctx, buyer, order)
		return link.URL, err
	case "subscribe-month", "subscribe-year":
		order := subscribing.Order{
			PlanID: req.ID, Interval: catalog.Monthly, SuccessURL: base + returned(shopPath, req.Organization, "subscription=success"),
			CancelURL: base + returned(shopPath, req.Organization, "purchase=cancelled"),
		}
		if req.Action == "subscribe-year" {
			order.Interval = catalog.Yearly
		}
		order.Seats, _ = strconv.Atoi(req.Seats) // one for each member where it says none
		opened, err := payments.Subscribe(ctx, buyer, order)
		return opened.URL, err
	case "portal":
		return payments.Portal(ctx, buyer, base+shopOf(req.Organization))
	case "seats":
		seats, _ := strconv.Atoi(req.Seats) // what is no number is refused as none
		return "", payments.SetSeats(ctx, buyer, seats)
	case "cancel":
		return "", payments.Cancel(ctx, buyer)
	case "resume":
		return "", payments.Reactivate(ctx, buyer)
	}
	return "", errUnknownAction
}

// formKey tells one press of a button from two, a page from another, and who comes back
// and chooses otherwise; the buttons of a page share it.
func formKey(req shopFormRequest) string {
	if req.Key == "" {
		return ""
	}
	key := "page:" + req.Key + ":" + req.ID
	if req.SaveCard == "yes" {
		key += ":card"
	}
	return key
}
