package credit

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

type checkRequest struct {
	UserID string            `json:"userId" rule:"service,string,notempty"`
	Amount creditcore.Amount `json:"amount" rule:"positive"`
	AppID  string            `json:"appId" rule:"string,upto=255"`
}

// checkResponse says whether a charge would be allowed now. Balance counts what
// is reserved, Available does not; Missing is what is lacking.
type checkResponse struct {
	Allowed   bool              `json:"allowed"`
	Balance   creditcore.Amount `json:"balance"`
	Available creditcore.Amount `json:"available"`
	Required  creditcore.Amount `json:"required"`
	Missing   creditcore.Amount `json:"missing"`
}

// check looks, and charges nothing.
func check(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req checkRequest) (checkResponse, error) {
	if !c.Service {
		req.UserID = c.UserID
	}
	b, err := ledger.BalanceOf(ctx, req.UserID)
	if err != nil {
		return checkResponse{}, err
	}
	return checkResponse{
		Allowed: b.Available >= req.Amount, Balance: b.Available + b.Held, Available: b.Available,
		Required: req.Amount, Missing: max(0, req.Amount-b.Available),
	}, nil
}
