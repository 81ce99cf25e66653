// Package credit has the routes of a user's credits: balance, ledger, usage,
// charges and refunds, and the page of them all.
package credit

import (
	"context"
	"encoding/json"
	"net/http"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

// Deps is what the routes work with.
type Deps struct {
	// Ledger finds the live core.
	Ledger func(context.Context) (*creditcore.Service, error)
	// Sells reports whether credits can be bought.
	Sells func(context.Context) (bool, error)
}

// Routes are those of balance and ledger. They carry no limit, as whole back
// ends call them from one address, and each needs a token or the key.
func Routes(deps Deps) []endpoint.Route {
	const v1, internal = "/api/v1/credits", "/api/v1/internal/credits"
	ledger := deps.Ledger
	return []endpoint.Route{
		endpoint.Get(v1+"/balance", endpoint.HandleWith(ledger, balance), endpoint.Rule{Summary: "The caller's balance", Access: endpoint.User, Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Get(v1+"/balance/{userId}", endpoint.HandleWith(ledger, balanceOf), endpoint.Rule{Summary: "A user's balance, for back ends", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits,
			Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Post(v1+"/use", endpoint.HandleWith(ledger, use), endpoint.Rule{Summary: "Charge credits",
			Status: http.StatusCreated, Access: endpoint.UserOrService, ServiceScope: servicekey.ChargeCredits, Charges: true,
			Errors: append(endpoint.AnswersTo(creditcore.ErrKeyRefunded), endpoint.ErrServiceApp)}),
		endpoint.Post(v1+"/refund", endpoint.HandleWith(ledger, refund), endpoint.Rule{Summary: "Give back what was charged, for back ends",
			Status: http.StatusCreated, Access: endpoint.Service, ServiceScope: servicekey.RefundCredits,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrEntryNotFound, creditcore.ErrRefundExceeds, creditcore.ErrAmount), endpoint.ErrServiceApp)}),
		endpoint.Get(v1+"/transactions", endpoint.HandleWith(ledger, transactions), endpoint.Rule{Summary: "The caller's ledger, newest first", Access: endpoint.User}),
		endpoint.Get(v1+"/usage", endpoint.HandleWith(ledger, usage), endpoint.Rule{Summary: "What the caller's credits went into", Access: endpoint.User}),
		endpoint.Post(v1+"/check", endpoint.HandleWith(ledger, check), endpoint.Rule{Summary: "Whether a charge would be allowed; nothing is charged",
			Access: endpoint.UserOrService, ServiceScope: servicekey.ReadCredits, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), endpoint.ErrServiceApp)}),
		endpoint.Get(internal+"/balance/{userId}", endpoint.HandleWith(ledger, balanceOf), endpoint.Rule{Summary: "A user's balance", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits,
			Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Post(internal+"/init", endpoint.HandleWith(ledger, initBalance), endpoint.Rule{Summary: "Open a user's account", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits,
			Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Post(internal+"/use", endpoint.HandleWith(ledger, use), endpoint.Rule{Summary: "Charge credits of a user",
			Status: http.StatusCreated, Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Charges: true,
			Errors: append(endpoint.AnswersTo(creditcore.ErrKeyRefunded), endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/refund", endpoint.HandleWith(ledger, refund), endpoint.Rule{Summary: "Give a user back what was charged",
			Status: http.StatusCreated, Access: endpoint.Service, ServiceScope: servicekey.RefundCredits,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrEntryNotFound, creditcore.ErrRefundExceeds, creditcore.ErrAmount), endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/grant", endpoint.HandleWith(ledger, grant), endpoint.Rule{Summary: "Give a user credits, once for each reference",
			Access: endpoint.Service, ServiceScope: servicekey.GrantCredits, Headers: ofApp,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrAmount), errGrantOver, endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/reserve", endpoint.HandleWith(ledger, reserve), endpoint.Rule{Summary: "Put credits of a user aside",
			Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Charges: true, Headers: ofApp,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/commit", endpoint.HandleWith(ledger, commit), endpoint.Rule{Summary: "Charge what was reserved, or a part of it",
			Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Charges: true, Mappings: reservations,
			Errors: []*endpoint.Error{errReservationNotFound, errReservationResolved, errReservationExceeded}}),
		endpoint.Post(internal+"/refund-reservation", endpoint.HandleWith(ledger, refundReservation), endpoint.Rule{Summary: "Give back what was reserved",
			Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Mappings: reservations, Errors: []*endpoint.Error{errReservationNotFound, errReservationResolved}}),
		endpoint.Get(accountPath, endpoint.HandleWith(ledger, deps.accountPage), endpoint.Rule{Summary: "The signed-in user's credits, usage and history",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), errRange)}),
		endpoint.Get(accountPath+"/history.csv", endpoint.HandleWith(ledger, export), endpoint.Rule{Summary: "The signed-in user's history as a file",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(20), Media: "text/csv", Errors: []*endpoint.Error{errRange}}),
	}
}

// balanceResponse is what an account has and, as debt, owes for credits whose
// money went back.
type balanceResponse struct {
	Balance     creditcore.Amount `json:"balance"`
	Debt        creditcore.Amount `json:"debt"`
	TotalEarned creditcore.Amount `json:"totalEarned"`
	TotalSpent  creditcore.Amount `json:"totalSpent"`
	UserID      string            `json:"userId"`
}

func balanceResponseOf(b creditcore.Balance) balanceResponse {
	return balanceResponse{Balance: b.Available, Debt: b.Debt, TotalEarned: b.TotalEarned, TotalSpent: b.TotalSpent, UserID: b.UserID}
}

func balance(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, _ endpoint.None) (balanceResponse, error) {
	b, err := ledger.Balance(ctx, c.Payer())
	return balanceResponseOf(b), err
}

type balanceRequest struct {
	UserID string `path:"userId" rule:"string"`
}

func balanceOf(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req balanceRequest) (balanceResponse, error) {
	b, err := ledger.BalanceOf(ctx, req.UserID)
	return balanceResponseOf(b), err
}

// transaction is a row of the ledger on the wire.
type transaction struct {
	ID             string               `json:"id"`
	UserID         string               `json:"userId"`
	Sequence       int64                `json:"sequence"`
	Type           creditcore.EntryType `json:"type"`
	Status         string               `json:"status"`
	Amount         creditcore.Amount    `json:"amount"`
	BalanceBefore  creditcore.Amount    `json:"balanceBefore"`
	BalanceAfter   creditcore.Amount    `json:"balanceAfter"`
	AppID          string               `json:"appId"`
	Description    string               `json:"description"`
	Metadata       json.RawMessage      `json:"metadata"`
	IdempotencyKey *string              `json:"idempotencyKey"`
	Reverses       *string              `json:"reverses"` // the charge that this gives back
	CreatedAt      endpoint.Time        `json:"createdAt"`
	CompletedAt    *endpoint.Time       `json:"completedAt"`
}

func transactionOf(e creditcore.Entry) transaction {
	return transaction{
		ID: e.ID, UserID: e.UserID, Sequence: e.Sequence, Type: e.Type, Status: e.Status,
		Amount: e.Amount, BalanceBefore: e.BalanceBefore, BalanceAfter: e.BalanceAfter,
		AppID: e.AppID, Description: e.Description, Metadata: e.Metadata, IdempotencyKey: e.IdempotencyKey, Reverses: e.Reverses,
		CreatedAt: endpoint.Time(e.CreatedAt), CompletedAt: endpoint.TimeOf(e.CompletedAt),
	}
}

type transactionsRequest struct {
	Limit  *int `query:"limit" rule:"optional"`
	Offset *int `query:"offset" rule:"optional"`
	Before *int `query:"before" rule:"optional"`
}

// transactions pages through the ledger: by offset, or by the sequence of the
// row that the last page ended with. What is out of range is moved into it;
// what is no number is refused.
func transactions(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req transactionsRequest) ([]transaction, error) {
	limit, offset := 50, 0
	if req.Limit != nil {
		limit = *req.Limit
	}
	if req.Offset != nil {
		offset = *req.Offset
	}
	var entries []creditcore.Entry
	var err error
	if req.Before != nil {
		entries, err = ledger.HistoryBefore(ctx, c.Payer(), limit, int64(*req.Before))
	} else {
		entries, err = ledger.History(ctx, c.Payer(), limit, offset)
	}
	if err != nil {
		return nil, err
	}
	list := make([]transaction, len(entries))
	for i, e := range entries {
		list[i] = transactionOf(e)
	}
	return list, nil
}
