package billing

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/topup"
)

// topUpRoutes are those of the automatic top-up.
func topUpRoutes(core func(context.Context) (*billing.Service, error)) []endpoint.Route {
	const at = "/api/v1/credits/auto-top-up"
	rule := func(summary string, limit int64, errors ...*endpoint.Error) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.User, Limit: endpoint.PerMinute(limit), Mappings: topUpMappings, Errors: append(errors, roles...)}
	}
	return []endpoint.Route{
		endpoint.Get(at, endpoint.HandleWith(core, topUpState), rule("Whether an account is topped up by itself, and how that stands", 600)),
		endpoint.Put(at, endpoint.HandleWith(core, setTopUp), rule("Switch the automatic top-up on or off; a recent proof is needed for what lets more be charged", 30,
			append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), endpoint.ErrNotRecent, errConsent)...)),
		endpoint.Post(at+"/card", endpoint.HandleWith(core, saveCard), rule("Save a card for it on a page of Stripe", 10)),
		endpoint.Delete(at+"/card", endpoint.HandleWith(core, forgetCard), rule("Forget the card, and switch it off", 10)),
		endpoint.Post(at+"/confirm", endpoint.HandleWith(core, confirmTopUp), rule("Confirm a payment of it that the bank wants to ask about, or that was declined", 10)),
	}
}

// topUpMappings word what the automatic top-up refuses.
var topUpMappings = append(slices.Clone(purchaseMappings), []endpoint.Mapping{
	{Err: topup.ErrNoCard, Answer: &endpoint.Error{Status: http.StatusConflict, Code: "CARD_REQUIRED", Message: "No card is saved"}},
	{Err: topup.ErrThreshold, Answer: &endpoint.Error{Status: http.StatusBadRequest, Code: "TOP_UP_THRESHOLD", Message: "threshold must be above zero, and no more than the package has"}},
	{Err: topup.ErrCap, Answer: &endpoint.Error{Status: http.StatusBadRequest, Code: "TOP_UP_CAP", Message: "monthlyCapEuroCents must cover the package once"}},
	{Err: topup.ErrNothingToConfirm, Answer: &endpoint.Error{Status: http.StatusConflict, Code: "NOTHING_TO_CONFIRM", Message: "No payment waits to be confirmed"}},
	{Err: topup.ErrCard, Answer: &endpoint.Error{Status: http.StatusServiceUnavailable, Code: "PAYMENT_SERVICE_ERROR", Message: "Failed to reach the payment service"}},
}...)

// errConsent refuses to charge a card without its owner's word.
var errConsent = &endpoint.Error{Status: http.StatusBadRequest, Code: "CONSENT_REQUIRED", Message: "consent must be true: the owner agrees that the card is charged"}

type topUpRequest struct {
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
}

// topUpResponse is what was agreed to, and how it stands. What was never set is null.
type topUpResponse struct {
	Enabled             bool               `json:"enabled"`
	Threshold           *creditcore.Amount `json:"threshold"` // that of the account's alerts
	PackageID           *string            `json:"packageId"`
	PriceEuroCents      *int64             `json:"priceEuroCents"` // of the package, when it was agreed to
	MonthlyCapEuroCents *int64             `json:"monthlyCapEuroCents"`
	SpentEuroCents      int64              `json:"spentEuroCents"` // of the cap, in this month (UTC)
	Card                *savedCard         `json:"card"`
	OffReason           *string            `json:"offReason"` // declined, unconfirmed, card or package: why it switched itself off
	Running             *runningTopUp      `json:"running"`
}

type savedCard struct {
	Brand    string `json:"brand"`
	Last4    string `json:"last4"`
	ExpMonth int    `json:"expMonth"`
	ExpYear  int    `json:"expYear"`
}

// runningTopUp is one that is under way. With confirm it waits for its owner; else
// for what the reason says: cap, daily, processing, declined, stripe.
type runningTopUp struct {
	Confirm        bool    `json:"confirm"`
	Reason         *string `json:"reason"`
	PriceEuroCents *int64  `json:"priceEuroCents"`
}

// set is a pointer to a value that is there.
func set[T comparable](value T) *T {
	if value == *new(T) {
		return nil
	}
	return &value
}

func topUpResponseOf(s topup.Settings) topUpResponse {
	out := topUpResponse{
		Enabled: s.Enabled, Threshold: s.Threshold, PackageID: set(s.PackageID), PriceEuroCents: set(s.PriceEuroCents),
		MonthlyCapEuroCents: set(s.MonthlyCap), SpentEuroCents: s.Spent, OffReason: set(s.OffReason),
	}
	if s.Card != nil {
		out.Card = &savedCard{s.Card.Brand, s.Card.Last4, s.Card.ExpMonth, s.Card.ExpYear}
	}
	if s.Running != nil {
		out.Running = &runningTopUp{s.Running.Confirm, set(s.Running.Reason), set(s.Running.PriceEuroCents)}
	}
	return out
}

func topUpState(ctx context.Context, c *endpoint.Call, payments *billing.Service, req topUpRequest) (topUpResponse, error) {
	who, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return topUpResponse{}, err
	}
	now, err := payments.TopUp(ctx, who)
	return topUpResponseOf(now), err
}

type setTopUpRequest struct {
	Enabled             *bool              `json:"enabled"`
	Threshold           *creditcore.Amount `json:"threshold" rule:"optional,least=0,number" doc:"A balance below it is topped up. It is that of the account's alerts, too."`
	PackageID           *string            `json:"packageId" rule:"optional,uuid" doc:"What is bought each time."`
	MonthlyCapEuroCents *int               `json:"monthlyCapEuroCents" rule:"optional,integer,least=1,most=99999999" doc:"What a month (UTC) may cost at most."`
	Consent             *bool              `json:"consent" rule:"optional" doc:"That the owner agrees to the card being charged: needed for what lets more be charged than before."`
	OrganizationID      *string            `json:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
}

func setTopUp(ctx context.Context, c *endpoint.Call, payments *billing.Service, req setTopUpRequest) (topUpResponse, error) {
	who, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return topUpResponse{}, err
	}
	to := topup.Change{Enabled: *req.Enabled, PackageID: endpoint.TextOf(req.PackageID)}
	if req.Threshold != nil {
		to.Threshold = *req.Threshold
	}
	if req.MonthlyCapEuroCents != nil {
		to.MonthlyCap = int64(*req.MonthlyCapEuroCents)
	}
	if err := agree(ctx, c, who, payments, to, req.Consent != nil && *req.Consent); err != nil {
		return topUpResponse{}, err
	}
	now, err := payments.TopUp(ctx, who)
	return topUpResponseOf(now), err
}

// agree stores what an owner agrees to, and that they did. What lets more be charged
// than before wants their word and a recent proof that they are it.
func agree(ctx context.Context, c *endpoint.Call, who creditcore.Caller, payments *billing.Service, to topup.Change, consent bool) error {
	before, err := payments.TopUp(ctx, who)
	if err != nil {
		return err
	}
	if before.Raises(to) {
		if !consent {
			return errConsent
		}
		if err := c.Auth.RequireRecent(ctx, c.Caller); err != nil {
			return err
		}
	}
	told := map[string]any{"enabled": to.Enabled}
	if to.Enabled {
		told["threshold"], told["packageId"], told["monthlyCapEuroCents"] = to.Threshold, to.PackageID, to.MonthlyCap
	}
	if err := payments.SetTopUp(ctx, who, to); err != nil {
		return err
	}
	return record(ctx, c, who, "top_up_changed", told)
}

// record notes what the caller did.
func record(ctx context.Context, c *endpoint.Call, who creditcore.Caller, event string, told map[string]any) error {
	if who.Organization != "" {
		told["organizationId"] = who.Organization
	}
	return c.Auth.Audited(ctx, audit.Event{Type: event, UserID: c.UserID, Client: c.Client, Metadata: told}, nil)
}

type saveCardRequest struct {
	OrganizationID *string `json:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
	SuccessURL     *string `json:"successUrl" rule:"optional,string,max=2000" doc:"Where Stripe leads back to, our own page where absent."`
	CancelURL      *string `json:"cancelUrl" rule:"optional,string,max=2000"`
}

// onwardResponse is a page where the caller goes on.
type onwardResponse struct {
	URL string `json:"url"`
}

func saveCard(ctx context.Context, c *endpoint.Call, payments *billing.Service, req saveCardRequest) (onwardResponse, error) {
	urls := map[string]*string{"successUrl": req.SuccessURL, "cancelUrl": req.CancelURL}
	if err := untrusted(payments, []string{"successUrl", "cancelUrl"}, urls); err != nil {
		return onwardResponse{}, err
	}
	who, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return onwardResponse{}, err
	}
	success, cancel := cardReturns(c, who.Organization)
	if req.SuccessURL != nil {
		success = *req.SuccessURL
	}
	if req.CancelURL != nil {
		cancel = *req.CancelURL
	}
	page, err := payments.SaveCard(ctx, who, success, cancel)
	return onwardResponse{page}, paymentError(err, urls)
}

// cardReturns are where a page of Stripe that saves a card leads back to.
func cardReturns(c *endpoint.Call, organizationID string) (success, cancel string) {
	page := c.BaseURL().String()
	return page + returned(topUpPath, organizationID, "session="+topup.SessionID), page + topUpOf(organizationID)
}

func forgetCard(ctx context.Context, c *endpoint.Call, payments *billing.Service, req topUpRequest) (topUpResponse, error) {
	who, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return topUpResponse{}, err
	}
	if err := forget(ctx, c, who, payments); err != nil {
		return topUpResponse{}, err
	}
	now, err := payments.TopUp(ctx, who)
	return topUpResponseOf(now), err
}

// forget has the card forgotten, and notes it.
func forget(ctx context.Context, c *endpoint.Call, who creditcore.Caller, payments *billing.Service) error {
	before, err := payments.TopUp(ctx, who)
	if err == nil {
		err = payments.ForgetCard(ctx, who)
	}
	if err != nil || before.Card == nil {
		return err
	}
	return record(ctx, c, who, "top_up_card_removed", map[string]any{"last4": before.Card.Last4})
}

type confirmTopUpRequest struct {
	OrganizationID *string `json:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
	ReturnURL      *string `json:"returnUrl" rule:"optional,string,max=2000" doc:"Where the bank leads back to, our own page where absent."`
}

// confirmTopUpResponse has the page of the bank, null where the payment is done.
type confirmTopUpResponse struct {
	URL *string `json:"url"`
}

func confirmTopUp(ctx context.Context, c *endpoint.Call, payments *billing.Service, req confirmTopUpRequest) (confirmTopUpResponse, error) {
	urls := map[string]*string{"returnUrl": req.ReturnURL}
	if err := untrusted(payments, []string{"returnUrl"}, urls); err != nil {
		return confirmTopUpResponse{}, err
	}
	who, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return confirmTopUpResponse{}, err
	}
	back := confirmReturn(c, who.Organization)
	if req.ReturnURL != nil {
		back = *req.ReturnURL
	}
	page, err := payments.ConfirmTopUp(ctx, who, back)
	return confirmTopUpResponse{set(page)}, paymentError(err, urls)
}

// confirmReturn is where a bank leads back to.
func confirmReturn(c *endpoint.Call, organizationID string) string {
	return c.BaseURL().String() + returned(topUpPath, organizationID, "payment=returned")
}

// known words a refusal that has a text of its own, nil for another error.
func known(c *endpoint.Call, err error) *endpoint.Error {
	var answer *endpoint.Error
	if err = paymentError(err, nil); errors.As(err, &answer) {
		return answer
	}
	return c.Known(err)
}
