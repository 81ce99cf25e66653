package billing

import (
	"context"
	"errors"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/topup"
)

// topUpPath is the page of the automatic top-up.
const topUpPath = creditsPath + "/auto-top-up"

// topUpOf is the page for an organisation, or with an empty id for who is signed in.
func topUpOf(organizationID string) string {
	if organizationID == "" {
		return topUpPath
	}
	return topUpPath + "?organization=" + url.QueryEscape(organizationID)
}

func topUpPageRoutes(core func(context.Context) (*billing.Service, error)) []endpoint.Route {
	return []endpoint.Route{
		endpoint.Get(topUpPath, endpoint.HandleWith(core, topUpPage), endpoint.Rule{Summary: "Whether the account of the signed-in user, or of an organization they manage, is topped up by itself",
			Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), roles...)}),
		endpoint.Post(topUpPath, endpoint.HandleWith(core, topUpForm), endpoint.Rule{Summary: "Switch the automatic top-up on or off, save or forget its card, or confirm a payment",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(30), Mappings: topUpMappings,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), errConsent, errUnknownAction, errTopUpThreshold, errTopUpCap, endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole)}),
	}
}

// What a form is refused whose numbers are none.
var (
	errTopUpThreshold = &endpoint.Error{Status: http.StatusBadRequest, Code: "FIELD_threshold_number", Message: "threshold must be a number of credits"}
	errTopUpCap       = &endpoint.Error{Status: http.StatusBadRequest, Code: "FIELD_cap_number", Message: "cap must be an amount in euro"}
)

type topUpPageRequest struct {
	Organization string `query:"organization" rule:"optional,max=64,string"`
	Session      string `query:"session" rule:"optional,max=255,string"`
	Payment      string `query:"payment" rule:"optional,max=32,string"`
	Purchase     string `query:"purchase" rule:"optional,max=32,string"`
}

// topUpPage shows how it stands. Who comes back from Stripe or their bank sees what
// became of it, be its event late.
func topUpPage(ctx context.Context, c *endpoint.Call, payments *billing.Service, req topUpPageRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, topUpOf(req.Organization)); away != nil || err != nil {
		return away, err
	}
	who, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	view := pages.TopUp{Done: sso.DoneOf(c, "saved", "card-removed"), Paid: req.Purchase == "success"}
	switch {
	case req.Session != "":
		err = payments.CardSaved(ctx, who, req.Session)
	case req.Payment == "returned":
		view.Returned = true
		err = payments.RefreshTopUp(ctx, who)
	}
	if err != nil && known(c, err) == nil {
		c.Logger().WarnContext(ctx, "ask Stripe what somebody comes back from; its event will tell", "error", err)
	}
	return topUpAnswer(ctx, c, who, payments, http.StatusOK, view)
}

// topUpAnswer fills in how it stands, but for what a form has typed.
func topUpAnswer(ctx context.Context, c *endpoint.Call, who creditcore.Caller, payments *billing.Service, status int, view pages.TopUp) (endpoint.Answer, error) {
	view.Organization, view.Sells = who.Organization, payments.Sells()
	now, err := payments.TopUp(ctx, who)
	if err != nil {
		return nil, err
	}
	packages, err := payments.Packages(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		view.Packages = append(view.Packages, pages.Package{ID: p.ID, Name: p.Name, Credits: p.Credits.String(), Cents: p.PriceEuroCents})
	}
	if view.Error == "" {
		view.PackageID = now.PackageID
		if now.Threshold != nil && *now.Threshold > 0 {
			view.Threshold = now.Threshold.String()
		}
		if now.MonthlyCap > 0 {
			view.Cap = strconv.FormatFloat(float64(now.MonthlyCap)/100, 'f', 2, 64)
		}
	}
	view.Enabled, view.OffReason, view.SpentCents, view.CapCents = now.Enabled, now.OffReason, now.Spent, now.MonthlyCap
	view.Card = shownCard(now.Card)
	if now.Running != nil {
		view.Confirm = now.Running.Confirm || now.Running.Reason == "declined"
		view.Waits, view.RunningCents = now.Running.Reason, now.Running.PriceEuroCents
		if now.Running.Confirm {
			view.Waits = "confirm"
		}
	}
	recent := c.Auth.RequireRecent(ctx, c.Caller)
	if recent != nil && !errors.As(recent, new(*authcore.ReauthenticationError)) {
		return nil, recent
	}
	view.Proof, view.At = pages.Proof{Recent: recent == nil}, topUpOf(who.Organization)
	return endpoint.HTML{Status: status, View: view}, nil
}

// shownCard is a card as pages show it, nil where there is none.
func shownCard(c *topup.Card) *pages.Card {
	if c == nil {
		return nil
	}
	return &pages.Card{Brand: brandName(c.Brand), Last4: c.Last4, Month: c.ExpMonth, Year: c.ExpYear}
}

// brandName is what people call a brand of cards.
func brandName(brand string) string {
	names := map[string]string{
		"amex": "American Express", "cartes_bancaires": "Cartes Bancaires", "diners": "Diners Club", "discover": "Discover", "jcb": "JCB",
		"mastercard": "Mastercard", "unionpay": "UnionPay", "visa": "Visa",
	}
	if name, is := names[brand]; is {
		return name
	}
	return brand
}

type topUpFormRequest struct {
	Action       string `json:"action" rule:"max=32,string"`
	Threshold    string `json:"threshold" rule:"optional,max=20,string"`
	PackageID    string `json:"package" rule:"optional,max=64,string"`
	Cap          string `json:"cap" rule:"optional,max=20,string"`
	Consent      string `json:"consent" rule:"optional,max=8,string"`
	Organization string `json:"organization" rule:"optional,max=64,string"`
}

// topUpForm does what the page's buttons say. A refusal shows the page again.
func topUpForm(ctx context.Context, c *endpoint.Call, payments *billing.Service, req topUpFormRequest) (endpoint.Answer, error) {
	page := topUpOf(req.Organization)
	if away, err := sso.OwnForm(ctx, c, page); away != nil || err != nil {
		return away, err
	}
	who, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	done, onward, err := actTopUp(ctx, c, who, payments, req)
	switch {
	case err == nil && onward != "":
		// A redirect would need the payment service's sites among the form's.
		c.Header.Set("Refresh", "0;url="+onward)
		return endpoint.HTML{Status: http.StatusOK, View: pages.Onward{URL: template.URL(onward)}}, nil // #nosec G203 -- of the payment service
	case err == nil:
		return endpoint.Redirect{To: returned(topUpPath, req.Organization, done)}, nil
	case errors.As(err, new(*authcore.ReauthenticationError)):
		return endpoint.Redirect{To: sso.ReauthenticateFor(page)}, nil
	}
	p := known(c, err)
	if p == nil {
		return nil, err
	}
	out, err := topUpAnswer(ctx, c, who, payments, p.Status, pages.TopUp{
		Error: p.Code, Threshold: req.Threshold, PackageID: req.PackageID, Cap: req.Cap,
	})
	if html, ok := out.(endpoint.HTML); ok {
		html.RetryAfter = p.RetryAfter
		out = html
	}
	return out, err
}

// actTopUp returns the word of what was done, or where its owner goes on.
func actTopUp(ctx context.Context, c *endpoint.Call, who creditcore.Caller, payments *billing.Service, req topUpFormRequest) (done, onward string, err error) {
	if len(c.FieldErrors) > 0 {
		return "", "", errUnknownAction
	}
	switch req.Action {
	case "save":
		to := topup.Change{Enabled: true, PackageID: req.PackageID}
		if to.Threshold, err = creditcore.ParseAmount(decimal(req.Threshold)); err != nil {
			return "", "", errTopUpThreshold
		}
		if to.MonthlyCap, err = cents(req.Cap); err != nil {
			return "", "", errTopUpCap
		}
		return "done=saved", "", agree(ctx, c, who, payments, to, req.Consent == "yes")
	case "off":
		return "done=saved", "", agree(ctx, c, who, payments, topup.Change{}, false)
	case "card":
		success, cancel := cardReturns(c, who.Organization)
		onward, err = payments.SaveCard(ctx, who, success, cancel)
		return "", onward, err
	case "forget":
		return "done=card-removed", "", forget(ctx, c, who, payments)
	case "confirm":
		onward, err = payments.ConfirmTopUp(ctx, who, confirmReturn(c, who.Organization))
		return "payment=returned", onward, err
	}
	return "", "", errUnknownAction
}

// decimal is a number as somebody typed it: in German a comma stands before the
// decimals.
func decimal(text string) string {
	return strings.Replace(strings.TrimSpace(text), ",", ".", 1)
}

// cents reads an amount in euro.
func cents(text string) (int64, error) {
	euro, part, _ := strings.Cut(decimal(text), ".")
	if len(part) > 2 {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(euro+(part + "00")[:2], 10, 63)
	if err != nil || n > math.MaxInt32 {
		return 0, strconv.ErrRange
	}
	return int64(n), nil
}
