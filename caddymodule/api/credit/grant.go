package credit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/usertext"
)

type grantRequest struct {
	UserID      string            `json:"userId" rule:"string,notempty"`
	Amount      creditcore.Amount `json:"amount" rule:"positive"`
	Reason      string            `json:"reason" rule:"string,notempty,upto=255"`
	ReferenceID string            `json:"referenceId" rule:"string,notempty,upto=255" doc:"What is granted for: a second grant of it to the user changes nothing."`
	Description *string           `json:"description" rule:"optional,string,upto=1000"`
	ExpiresAt   *string           `json:"expiresAt" rule:"optional,isodate"`
}

var errGrantOver = &endpoint.Error{Status: http.StatusBadRequest, Code: "GRANT_OVER", Message: "expiresAt must be in the future"}

// grant gives a user credits, once for each reference.
func grant(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req grantRequest) (changeResponse, error) {
	reason := usertext.Clean(req.Reason, 4*255)
	g := creditcore.Grant{
		UserID: req.UserID, Amount: req.Amount, Type: creditcore.Gift, Source: creditcore.SourceAdmin,
		AppID: appID(c), Description: reason, InternalKey: "grant:" + req.ReferenceID,
	}
	if text := usertext.Clean(endpoint.TextOf(req.Description), 4*1000); text != "" {
		g.Description = text
	}
	if req.ExpiresAt != nil {
		at, _ := validate.ISODate(*req.ExpiresAt)
		if !at.After(c.Now()) {
			return changeResponse{}, errGrantOver
		}
		g.ExpiresAt = &at
	}
	metadata, err := json.Marshal(map[string]string{"reason": reason, "referenceId": usertext.Clean(req.ReferenceID, 4*255)})
	if err != nil {
		return changeResponse{}, fmt.Errorf("word a grant: %w", err)
	}
	g.Metadata = metadata
	r, err := ledger.Grant(ctx, g)
	if err != nil {
		return changeResponse{}, err
	}
	return changed(c, r), nil
}

type initRequest struct {
	UserID string `json:"userId" rule:"string,notempty"`
}

// initBalance opens a user's account, where it is not open yet.
func initBalance(ctx context.Context, _ *endpoint.Call, ledger *creditcore.Service, req initRequest) (balanceResponse, error) {
	b, err := ledger.BalanceOf(ctx, req.UserID)
	return balanceResponseOf(b), err
}
