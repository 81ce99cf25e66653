package credit

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

type checkRequest struct {
	UserID         string            `json:"userId" rule:"service,string,notempty"`
	OrganizationID *string           `json:"organizationId" rule:"optional,max=64,string" doc:"The organization that would pay, within what is allotted to the user there."`
	Amount         creditcore.Amount `json:"amount" rule:"positive"`
	AppID          string            `json:"appId" rule:"string,upto=255"`
}

// checkResponse says whether a charge would be allowed now. Balance counts what
// is reserved, Available does not, and is no more than what is allotted to a member
// of the organisation that would pay; Missing is what is lacking.
type checkResponse struct {
	Allowed   bool              `json:"allowed"`
	Balance   creditcore.Amount `json:"balance"`
	Available creditcore.Amount `json:"available"`
	Required  creditcore.Amount `json:"required"`
	Missing   creditcore.Amount `json:"missing"`
}

// check looks, and charges nothing.
func check(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req checkRequest) (checkResponse, error) {
	if err := c.ActFor(req.AppID); err != nil {
		return checkResponse{}, err
	}
	if !c.Service {
		req.UserID = c.UserID
	}
	available, b, err := availableTo(ctx, ledger, req.UserID, req.OrganizationID)
	if err != nil {
		return checkResponse{}, err
	}
	return checkResponse{
		Allowed: available >= req.Amount, Balance: b.Available + b.Held, Available: available,
		Required: req.Amount, Missing: max(0, req.Amount-available),
	}, nil
}
