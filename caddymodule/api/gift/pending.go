package gift

import (
	"context"

	"mana.how/edge/authcore/address"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/gift"
)

type redeemPendingRequest struct {
	UserID string `json:"userId" rule:"string,notempty"`
	Email  string `json:"email" rule:"account"`
}

type redeemPendingResponse struct {
	Success  bool `json:"success"`
	Redeemed int  `json:"redeemed"`
}

// redeemPending redeems the gifts that are meant for an address, as far as it is
// the user's and proven.
func redeemPending(ctx context.Context, _ *endpoint.Call, gifts *gift.Service, req redeemPendingRequest) (redeemPendingResponse, error) {
	return redeemPendingResponse{Success: true, Redeemed: gifts.AutoRedeem(ctx, req.UserID, address.Lookup(req.Email))}, nil
}
