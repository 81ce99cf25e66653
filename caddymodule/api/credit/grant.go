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
	UserID         *string           `json:"userId" rule:"optional,string,notempty" doc:"Whom it is granted to; this or organizationId."`
	OrganizationID *string           `json:"organizationId" rule:"optional,max=64,string" doc:"The organization that it is granted to, in place of a user."`
	Amount         creditcore.Amount `json:"amount" rule:"positive"`
	Reason         string            `json:"reason" rule:"string,notempty,upto=255"`
	ReferenceID    string            `json:"referenceId" rule:"string,notempty,upto=255" doc:"What is granted for: a second grant of it to the user changes nothing."`
	Description    *string           `json:"description" rule:"optional,string,upto=1000"`
	ExpiresAt      *string           `json:"expiresAt" rule:"optional,isodate"`
}

var errGrantOver = &endpoint.Error{Status: http.StatusBadRequest, Code: "GRANT_OVER", Message: "expiresAt must be in the future"}

// grant gives a user credits, once for each reference.
func grant(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req grantRequest) (changeResponse, error) {
	app, err := appID(c)
	if err != nil {
		return changeResponse{}, err
	}
	account, err := grantee(req.UserID, req.OrganizationID)
	if err != nil {
		return changeResponse{}, err
	}
	reason := usertext.Clean(req.Reason, 4*255)
	g := creditcore.Grant{
		UserID: account, Amount: req.Amount, Type: creditcore.Gift, Source: creditcore.SourceAdmin,
		AppID: app, Description: reason, InternalKey: "grant:" + req.ReferenceID,
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

// errAccountRequired refuses a request that names no account, or two.
var errAccountRequired = &endpoint.Error{Status: http.StatusBadRequest, Code: "ACCOUNT_REQUIRED", Message: "Either userId or organizationId is required"}

// grantee is the one account that a request names.
func grantee(userID, organizationID *string) (string, error) {
	if user, organization := endpoint.TextOf(userID), endpoint.TextOf(organizationID); (user == "") == (organization == "") {
		return "", errAccountRequired
	}
	return accountOf(endpoint.TextOf(userID), organizationID)
}

type initRequest struct {
	UserID         *string `json:"userId" rule:"optional,string,notempty" doc:"Whose account is opened; this or organizationId."`
	OrganizationID *string `json:"organizationId" rule:"optional,max=64,string"`
}

// initBalance opens an account, where it is not open yet.
func initBalance(ctx context.Context, _ *endpoint.Call, ledger *creditcore.Service, req initRequest) (balanceResponse, error) {
	account, err := grantee(req.UserID, req.OrganizationID)
	if err != nil {
		return balanceResponse{}, err
	}
	b, err := ledger.BalanceOf(ctx, account)
	return balanceResponseOf(b), err
}
