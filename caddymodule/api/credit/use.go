package credit

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/usertext"
)

type useRequest struct {
	UserID         string            `json:"userId" rule:"service,string,notempty"`
	Amount         creditcore.Amount `json:"amount" rule:"positive"`
	AppID          string            `json:"appId" rule:"string,upto=255"`
	Description    string            `json:"description" rule:"string,upto=1000"`
	IdempotencyKey *string           `json:"idempotencyKey" rule:"optional,key"`
	Metadata       json.RawMessage   `json:"metadata" rule:"optional,object"`
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

// changed words a receipt. The answer to a repeated request says so, and its
// balance is today's.
func changed(c *endpoint.Call, r creditcore.Receipt) changeResponse {
	resp := changeResponse{
		Success: true, Transaction: transactionOf(r.Entry),
		NewBalance: newBalance{r.Balance.Available, r.Balance.TotalSpent},
	}
	if r.Replayed {
		c.Replayed()
		resp.Message = "Transaction already processed"
	}
	return resp
}

// use charges the caller or, for a back end, the user it names.
func use(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req useRequest) (changeResponse, error) {
	if err := c.ActFor(req.AppID); err != nil {
		return changeResponse{}, err
	}
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return changeResponse{}, err
	}
	if !c.Service {
		req.UserID = c.UserID
	}
	receipt, err := ledger.Debit(ctx, creditcore.Debit{
		UserID: req.UserID, Amount: req.Amount, AppID: req.AppID, Description: usertext.Clean(req.Description, 4*1000),
		Operation: operationOf(req.Metadata), Metadata: req.Metadata, Key: key,
	})
	if err != nil {
		return changeResponse{}, err
	}
	return changed(c, receipt), nil
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
	Amount         creditcore.Amount `json:"amount" rule:"positive"`
	AppID          string            `json:"appId" rule:"string,upto=255"`
	Description    string            `json:"description" rule:"string,upto=1000"`
	TransactionID  *string           `json:"transactionId" rule:"optional,string,notempty"`
	IdempotencyKey *string           `json:"idempotencyKey" rule:"optional,key"`
	Metadata       json.RawMessage   `json:"metadata" rule:"optional,object"`
}

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
	r := creditcore.Refund{
		UserID: req.UserID, Amount: req.Amount, AppID: req.AppID, Description: usertext.Clean(req.Description, 4*1000),
		Metadata: req.Metadata, Key: key, ChargedBy: c.Key.Name,
	}
	if req.TransactionID != nil {
		r.EntryID = *req.TransactionID
	}
	receipt, err := ledger.Refund(ctx, r)
	if err != nil {
		return changeResponse{}, err
	}
	return changed(c, receipt), nil
}
