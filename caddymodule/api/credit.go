package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"mana.how/edge/creditcore"
)

// creditRoutes are those of balance and ledger. They carry no limit, as whole
// back ends call them from one address, and each needs a token or the key.
func creditRoutes() []*route {
	const v1 = "/api/v1/credits"
	return []*route{
		get(v1+"/balance", handle(balance), rule{summary: "The caller's balance", access: user, refusals: answersTo(creditcore.ErrAccountNotFound)}),
		get(v1+"/balance/{userId}", handle(balanceOf), rule{summary: "A user's balance, for back ends", access: service,
			refusals: answersTo(creditcore.ErrAccountNotFound)}),
		post(v1+"/use", handle(use), rule{summary: "Charge credits",
			status: http.StatusCreated, access: userOrService, charges: true, refusals: answersTo(creditcore.ErrKeyRefunded)}),
		post(v1+"/refund", handle(refund), rule{summary: "Give back what was charged, for back ends",
			status: http.StatusCreated, access: service,
			refusals: answersTo(creditcore.ErrAccountNotFound, creditcore.ErrEntryNotFound, creditcore.ErrRefundExceeds, creditcore.ErrAmount)}),
		get(v1+"/transactions", handle(transactions), rule{summary: "The caller's ledger, newest first", access: user}),
		get(v1+"/usage", handle(usage), rule{summary: "What the caller's credits went into", access: user}),
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

func balance(ctx context.Context, c *call, _ none) (balanceResponse, error) {
	b, err := c.credits.Ledger.Balance(ctx, c.payer())
	return balanceResponseOf(b), err
}

type balanceRequest struct {
	UserID string `path:"userId" rule:"string"`
}

func balanceOf(ctx context.Context, c *call, req balanceRequest) (balanceResponse, error) {
	b, err := c.credits.Ledger.BalanceOf(ctx, req.UserID)
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
	CreatedAt      instant              `json:"createdAt"`
	CompletedAt    *instant             `json:"completedAt"`
}

func transactionOf(e creditcore.Entry) transaction {
	return transaction{
		ID: e.ID, UserID: e.UserID, Sequence: e.Sequence, Type: e.Type, Status: e.Status,
		Amount: e.Amount, BalanceBefore: e.BalanceBefore, BalanceAfter: e.BalanceAfter,
		AppID: e.AppID, Description: e.Description, Metadata: e.Metadata, IdempotencyKey: e.IdempotencyKey, Reverses: e.Reverses,
		CreatedAt: instant(e.CreatedAt), CompletedAt: instantOf(e.CompletedAt),
	}
}

// instantOf is nil where there is no time.
func instantOf(t *time.Time) *instant { return (*instant)(t) }

type transactionsRequest struct {
	Limit  *int `query:"limit" rule:"optional"`
	Offset *int `query:"offset" rule:"optional"`
	Before *int `query:"before" rule:"optional"`
}

// transactions pages through the ledger: by offset, or by the sequence of the
// row that the last page ended with. What is out of range is moved into it;
// what is no number is refused.
func transactions(ctx context.Context, c *call, req transactionsRequest) ([]transaction, error) {
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
		entries, err = c.credits.Ledger.HistoryBefore(ctx, c.payer(), limit, int64(*req.Before))
	} else {
		entries, err = c.credits.Ledger.History(ctx, c.payer(), limit, offset)
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
