package credit

import (
	"context"
	"encoding/json"
	"net/http"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/usertext"
)

type useRequest struct {
	UserID         string             `json:"userId" rule:"service,string,notempty"`
	OrganizationID *string            `json:"organizationId" rule:"optional,max=64,string" doc:"The organization that pays, within what is allotted to the user there; the user where absent."`
	Amount         creditcore.Amount  `json:"amount" rule:"unless=price,positive"`
	Price          *string            `json:"price" rule:"optional,max=64,string" doc:"The name of a price, in place of an amount."`
	Quantity       *creditcore.Amount `json:"quantity" rule:"optional,positive" doc:"How much of it, 1 where absent."`
	AppID          string             `json:"appId" rule:"string,upto=255"`
	Description    string             `json:"description" rule:"string,upto=1000"`
	IdempotencyKey *string            `json:"idempotencyKey" rule:"optional,key"`
	Metadata       json.RawMessage    `json:"metadata" rule:"optional,object"`
}

// changeResponse is what a charge and a refund answer.
type changeResponse struct {
	Success     bool        `json:"success"`
	Transaction transaction `json:"transaction"`
	NewBalance  newBalance  `json:"newBalance"`
	Message     string      `json:"message,omitempty"`
}

type newBalance struct {
	Balance    creditcore.Amount `json:"balance"`
	TotalSpent creditcore.Amount `json:"totalSpent"`
}

// changed answers with a receipt. The answer to a repeated request says so.
func changed(c *endpoint.Call, r creditcore.Receipt) changeResponse {
	if r.Replayed {
		c.Replayed()
	}
	return changeOf(r)
}

// changeOf words a receipt. The balance of a repeated request is today's.
func changeOf(r creditcore.Receipt) changeResponse {
	resp := changeResponse{
		Success: true, Transaction: transactionOf(r.Entry),
		NewBalance: newBalance{r.Balance.Available, r.Balance.TotalSpent},
	}
	if r.Replayed {
		resp.Message = "Transaction already processed"
	}
	return resp
}

// use charges the caller or, for a back end, the user it names.
func use(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req useRequest) (changeResponse, error) {
	receipt, err := charge(ctx, c, ledger, req)
	if err != nil {
		return changeResponse{}, err
	}
	return changed(c, receipt), nil
}

func charge(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req useRequest) (creditcore.Receipt, error) {
	if err := c.ActFor(req.AppID); err != nil {
		return creditcore.Receipt{}, err
	}
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return creditcore.Receipt{}, err
	}
	if !c.Service {
		req.UserID = c.UserID
	}
	cost, err := costOf(ctx, ledger, req.UserID, order{req.Amount, req.Price, req.Quantity})
	if err != nil {
		return creditcore.Receipt{}, err
	}
	return ledger.Debit(ctx, creditcore.Debit{
		UserID: req.UserID, Organization: endpoint.TextOf(req.OrganizationID), Amount: cost.Amount, AppID: req.AppID, Description: usertext.Clean(req.Description, 4*1000),
		Operation: cost.operation(req.Metadata), Metadata: cost.noted(req.Metadata), Key: key, Price: cost.Price,
	})
}

// accountOf is the account of a user or, where one is named, of an organisation.
// It fails with [creditcore.ErrAccountNotFound] for what is no user.
func accountOf(userID string, organizationID *string) (string, error) {
	if creditcore.OrganizationOf(userID) != "" {
		return "", creditcore.ErrAccountNotFound
	}
	return creditcore.AccountOf(userID, endpoint.TextOf(organizationID)), nil
}

// operationOf is the priced operation that back ends name in the metadata.
func operationOf(metadata json.RawMessage) string {
	var named struct {
		Operation any `json:"operation"`
	}
	if len(metadata) == 0 || json.Unmarshal(metadata, &named) != nil {
		return ""
	}
	operation, _ := named.Operation.(string)
	return request.Printable(operation, request.MaxIdempotencyKey)
}

type refundRequest struct {
	UserID         string            `json:"userId" rule:"string,notempty"`
	OrganizationID *string           `json:"organizationId" rule:"optional,max=64,string" doc:"The organization that paid for what the user spent; the transactionId is required then."`
	Amount         creditcore.Amount `json:"amount" rule:"positive"`
	AppID          string            `json:"appId" rule:"string,upto=255"`
	Description    string            `json:"description" rule:"string,upto=1000"`
	TransactionID  *string           `json:"transactionId" rule:"optional,string,notempty"`
	IdempotencyKey *string           `json:"idempotencyKey" rule:"optional,key"`
	Metadata       json.RawMessage   `json:"metadata" rule:"optional,object"`
}

// errTransactionRequired refuses to give an organisation back what no charge is
// named of: whose allotment it was of would not be known.
var errTransactionRequired = &endpoint.Error{Status: http.StatusBadRequest, Code: "TRANSACTION_REQUIRED", Message: "transactionId is required where an organization paid"}

// refund gives back all or part of a charge or, without a transactionId, of
// what the app charged the user in all.
func refund(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req refundRequest) (changeResponse, error) {
	if err := c.ActFor(req.AppID); err != nil {
		return changeResponse{}, err
	}
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return changeResponse{}, err
	}
	account, err := accountOf(req.UserID, req.OrganizationID)
	if err != nil {
		return changeResponse{}, err
	}
	r := creditcore.Refund{
		UserID: account, Amount: req.Amount, AppID: req.AppID, Description: usertext.Clean(req.Description, 4*1000),
		Metadata: req.Metadata, Key: key, ChargedBy: c.Key.Name,
	}
	if req.TransactionID != nil {
		r.EntryID = *req.TransactionID
	}
	if creditcore.OrganizationOf(account) != "" {
		if r.SpentBy = req.UserID; r.EntryID == "" {
			return changeResponse{}, errTransactionRequired
		}
	}
	receipt, err := ledger.Refund(ctx, r)
	if err != nil {
		return changeResponse{}, err
	}
	return changed(c, receipt), nil
}
