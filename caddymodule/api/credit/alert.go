package credit

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

const (
	// alertsOfPage is how many alerts the page shows.
	alertsOfPage = 5
	// alertsDefault is how many an answer has where none is asked for.
	alertsDefault = 20
)

// alertRoutes are those of what the owner of an account is told of it, and when.
func alertRoutes(ledger func(context.Context) (*creditcore.Service, error), deps Deps) []endpoint.Route {
	const at = "/api/v1/credits/alerts"
	manage := []*endpoint.Error{endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole}
	return []endpoint.Route{
		endpoint.Get(at, endpoint.HandleWith(ledger, alerts), endpoint.Rule{Summary: "What the owner of an account was told of it, newest first", Access: endpoint.User, Errors: manage}),
		endpoint.Get(at+"/settings", endpoint.HandleWith(ledger, alertSettings), endpoint.Rule{Summary: "When an account counts as low", Access: endpoint.User, Errors: manage}),
		endpoint.Put(at+"/settings", endpoint.HandleWith(ledger, setAlerts), endpoint.Rule{Summary: "Say when an account counts as low", Access: endpoint.User,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrToppedUp), manage...)}),
		endpoint.Post(accountPath, endpoint.HandleWith(ledger, deps.alertForm), endpoint.Rule{Summary: "Another threshold, or none",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrToppedUp), errThreshold, endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole)}),
	}
}

// errThreshold refuses a form whose threshold is no number of credits.
var errThreshold = &endpoint.Error{Status: http.StatusBadRequest, Code: "FIELD_lowBalance_number", Message: "lowBalance must be a number of credits, 0 or above"}

// alertView is an alert on the wire. Data are its ids and numbers, as the webhook of
// the same has them.
type alertView struct {
	ID        string               `json:"id"`
	Kind      creditcore.AlertKind `json:"kind"`
	Data      json.RawMessage      `json:"data"`
	CreatedAt endpoint.Time        `json:"createdAt"`
}

type alertsRequest struct {
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
	Limit          *int   `query:"limit" rule:"optional" doc:"How many, 1 to 100; 20 where absent."`
}

func alerts(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req alertsRequest) ([]alertView, error) {
	who, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return nil, err
	}
	limit := alertsDefault
	if req.Limit != nil {
		limit = *req.Limit
	}
	found, err := ledger.Alerts(ctx, who, limit)
	list := make([]alertView, len(found))
	for i, a := range found {
		list[i] = alertView{a.ID, a.Kind, a.Data, endpoint.Time(a.CreatedAt)}
	}
	return list, err
}

type alertSettingsRequest struct {
	OrganizationID string `query:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
}

// alertSettingsResponse has the account's own threshold, null where it has none,
// and that of accounts without one, null where there is none.
type alertSettingsResponse struct {
	LowBalance        *creditcore.Amount `json:"lowBalance"`
	DefaultLowBalance *creditcore.Amount `json:"defaultLowBalance"`
}

func alertSettings(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req alertSettingsRequest) (alertSettingsResponse, error) {
	who, err := c.ManageFor(ctx, req.OrganizationID)
	if err != nil {
		return alertSettingsResponse{}, err
	}
	set, err := ledger.AlertSettings(ctx, who)
	return alertSettingsResponse{set.LowBalance, set.Default}, err
}

type setAlertsRequest struct {
	LowBalance     *creditcore.Amount `json:"lowBalance" rule:"optional,least=0,number" doc:"A balance below it is low; 0 never is, null or absent takes the default."`
	OrganizationID *string            `json:"organizationId" rule:"optional,max=64,string" doc:"The organization whose account it is, as its owner or admin."`
}

func setAlerts(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req setAlertsRequest) (alertSettingsResponse, error) {
	who, err := c.ManageFor(ctx, endpoint.TextOf(req.OrganizationID))
	if err != nil {
		return alertSettingsResponse{}, err
	}
	if err := ledger.SetLowBalance(ctx, who, req.LowBalance); err != nil {
		return alertSettingsResponse{}, err
	}
	set, err := ledger.AlertSettings(ctx, who)
	return alertSettingsResponse{set.LowBalance, set.Default}, err
}

type alertFormRequest struct {
	LowBalance   string `json:"lowBalance" rule:"optional,max=20,string"`
	Organization string `json:"organization" rule:"optional,max=64,string"`
}

// alertForm stores the threshold of the page; an empty one is the default.
func (d Deps) alertForm(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req alertFormRequest) (endpoint.Answer, error) {
	page := accountPath + historyRequest{Organization: req.Organization}.query(0)
	if away, err := sso.OwnForm(ctx, c, page); away != nil || err != nil {
		return away, err
	}
	who, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	var threshold *creditcore.Amount
	// In German a comma stands before the decimals.
	if text := strings.Replace(strings.TrimSpace(req.LowBalance), ",", ".", 1); text != "" || len(c.FieldErrors) > 0 {
		amount, err := creditcore.ParseAmount(text)
		if err != nil || amount < 0 || len(c.FieldErrors) > 0 {
			return d.showAccount(ctx, c, ledger, historyRequest{Organization: req.Organization}, errThreshold)
		}
		threshold = &amount
	}
	if err := ledger.SetLowBalance(ctx, who, threshold); errors.Is(err, creditcore.ErrToppedUp) {
		return d.showAccount(ctx, c, ledger, historyRequest{Organization: req.Organization}, c.Known(err))
	} else if err != nil {
		return nil, err
	}
	separator := "?"
	if strings.Contains(page, "?") {
		separator = "&"
	}
	return endpoint.Redirect{To: page + separator + "done=saved#alerts"}, nil
}

// showAlerts shows the threshold and the newest alerts.
func showAlerts(ctx context.Context, who creditcore.Caller, ledger *creditcore.Service, view *pages.Credits) error {
	set, err := ledger.AlertSettings(ctx, who)
	if err != nil {
		return err
	}
	if set.LowBalance != nil {
		view.LowBalance = set.LowBalance.String()
	}
	if set.Default != nil {
		view.DefaultLow = set.Default.String()
	}
	list, err := ledger.Alerts(ctx, who, alertsOfPage)
	if err != nil {
		return err
	}
	for _, a := range list {
		numbers, err := a.Numbers()
		if err != nil {
			return err
		}
		shown := pages.Alert{Kind: string(a.Kind), At: a.CreatedAt}
		for _, n := range []*creditcore.Amount{numbers.Balance, numbers.Credits, numbers.Budget} {
			if n != nil {
				shown.Credits = n.String()
			}
		}
		if numbers.ExpiresAt != nil {
			shown.Ends = *numbers.ExpiresAt
		}
		view.Alerts = append(view.Alerts, shown)
	}
	return nil
}
