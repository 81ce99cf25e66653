// Package credit has the routes of a user's credits: balance, ledger, usage,
// charges and refunds, and the page of them all.
//
// It is larger than others because balance, charges, reservations, grants, alerts and the
// page read and word the same account.
package credit

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/proof"
)

// Deps is what the routes work with.
type Deps struct {
	// Ledger finds the live core.
	Ledger func(context.Context) (*creditcore.Service, error)
	// Sells reports whether credits can be bought.
	Sells func(context.Context) (bool, error)
	// Billing finds the live core of what is for sale.
	Billing func(context.Context) (*billing.Service, error)
	// Proof finds the live core of what proves the ledger.
	Proof func(context.Context) (*proof.Service, error)
}

// Routes are those of balance and ledger. They carry no limit, as whole back
// ends call them from one address, and each needs a token or the key.
func Routes(deps Deps) []endpoint.Route {
	const v1, internal = "/api/v1/credits", "/api/v1/internal/credits"
	ledger := deps.Ledger
	return append(slices.Concat(walletRoutes(ledger), alertRoutes(ledger, deps), proofRoutes(deps.Proof)), []endpoint.Route{
		endpoint.Get(v1+"/balance", endpoint.HandleWith(ledger, balance), endpoint.Rule{Summary: "The caller's balance", Access: endpoint.User, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), errInclude)}),
		endpoint.Get(v1+"/balance/{userId}", endpoint.HandleWith(ledger, balanceOf), endpoint.Rule{Summary: "A user's balance, for back ends", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits,
			Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Post(v1+"/use", endpoint.HandleWith(ledger, use), endpoint.Rule{Summary: "Charge credits",
			Status: http.StatusCreated, Access: endpoint.UserOrService, ServiceScope: servicekey.ChargeCredits, Charges: true,
			Errors: append(endpoint.AnswersTo(creditcore.ErrKeyRefunded, creditcore.ErrNotMember), append(pricing, endpoint.ErrServiceApp)...)}),
		endpoint.Post(v1+"/use/batch", endpoint.HandleWith(ledger, useBatch), endpoint.Rule{Summary: "Make up to 500 charges, each with an outcome of its own", Large: true,
			Access: endpoint.UserOrService, ServiceScope: servicekey.ChargeCredits, Errors: []*endpoint.Error{errBatchKey}}),
		endpoint.Get(v1+"/prices", endpoint.HandleWith(ledger, prices), endpoint.Rule{Summary: "What things cost, by name", Access: endpoint.Anyone}),
		endpoint.Post(v1+"/quote", endpoint.HandleWith(ledger, deps.quote), endpoint.Rule{Summary: "What something would cost, and what to buy for it; nothing is charged",
			Access: endpoint.UserOrService, ServiceScope: servicekey.ReadCredits, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrNotMember), pricing...)}),
		endpoint.Post(v1+"/refund", endpoint.HandleWith(ledger, refund), endpoint.Rule{Summary: "Give back what was charged, for back ends",
			Status: http.StatusCreated, Access: endpoint.Service, ServiceScope: servicekey.RefundCredits,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrEntryNotFound, creditcore.ErrRefundExceeds, creditcore.ErrAmount), errTransactionRequired, endpoint.ErrServiceApp)}),
		endpoint.Get(v1+"/transactions", endpoint.HandleWith(ledger, transactions), endpoint.Rule{Summary: "The caller's ledger, newest first", Access: endpoint.User}),
		endpoint.Get(v1+"/usage", endpoint.HandleWith(ledger, usage), endpoint.Rule{Summary: "What the caller's credits went into", Access: endpoint.User}),
		endpoint.Post(v1+"/check", endpoint.HandleWith(ledger, check), endpoint.Rule{Summary: "Whether a charge would be allowed; nothing is charged",
			Access: endpoint.UserOrService, ServiceScope: servicekey.ReadCredits, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrNotMember), endpoint.ErrServiceApp)}),
		endpoint.Get(internal+"/balance/{userId}", endpoint.HandleWith(ledger, balanceOf), endpoint.Rule{Summary: "A user's balance", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits,
			Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Post(internal+"/init", endpoint.HandleWith(ledger, initBalance), endpoint.Rule{Summary: "Open the account of a user or an organization", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), errAccountRequired)}),
		endpoint.Post(internal+"/use", endpoint.HandleWith(ledger, use), endpoint.Rule{Summary: "Charge credits of a user",
			Status: http.StatusCreated, Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Charges: true,
			Errors: append(endpoint.AnswersTo(creditcore.ErrKeyRefunded, creditcore.ErrNotMember), append(pricing, endpoint.ErrServiceApp)...)}),
		endpoint.Post(internal+"/refund", endpoint.HandleWith(ledger, refund), endpoint.Rule{Summary: "Give a user back what was charged",
			Status: http.StatusCreated, Access: endpoint.Service, ServiceScope: servicekey.RefundCredits,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrEntryNotFound, creditcore.ErrRefundExceeds, creditcore.ErrAmount), errTransactionRequired, endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/grant", endpoint.HandleWith(ledger, grant), endpoint.Rule{Summary: "Give a user or an organization credits, once for each reference",
			Access: endpoint.Service, ServiceScope: servicekey.GrantCredits, Headers: ofApp,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrAmount), errGrantOver, errAccountRequired, endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/reserve", endpoint.HandleWith(ledger, reserve), endpoint.Rule{Summary: "Put credits of a user aside",
			Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Charges: true, Headers: ofApp,
			Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrNotMember), endpoint.ErrServiceApp)}),
		endpoint.Post(internal+"/commit", endpoint.HandleWith(ledger, commit), endpoint.Rule{Summary: "Charge what was reserved, or a part of it",
			Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Charges: true, Mappings: reservations,
			Errors: []*endpoint.Error{errReservationNotFound, errReservationResolved, errReservationExceeded}}),
		endpoint.Post(internal+"/refund-reservation", endpoint.HandleWith(ledger, refundReservation), endpoint.Rule{Summary: "Give back what was reserved",
			Access: endpoint.Service, ServiceScope: servicekey.ChargeCredits, Mappings: reservations, Errors: []*endpoint.Error{errReservationNotFound, errReservationResolved}}),
		endpoint.Get(accountPath, endpoint.HandleWith(ledger, deps.accountPage), endpoint.Rule{Summary: "The credits, usage and history of the signed-in user, or of an organization they manage",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: append(endpoint.AnswersTo(creditcore.ErrAccountNotFound), errRange, endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole)}),
		endpoint.Get(accountPath+"/history.csv", endpoint.HandleWith(ledger, export), endpoint.Rule{Summary: "The same history as a file",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(20), Media: "text/csv", Errors: []*endpoint.Error{errRange, endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole}}),
	}...)
}

// balanceResponse is what an account has and, as debt, owes for credits whose
// money went back.
type balanceResponse struct {
	Balance     creditcore.Amount `json:"balance"`
	Debt        creditcore.Amount `json:"debt"`
	TotalEarned creditcore.Amount `json:"totalEarned"`
	TotalSpent  creditcore.Amount `json:"totalSpent"`
	UserID      string            `json:"userId,omitempty"`
	// OrganizationID is in place of the user's where it is an organisation's.
	OrganizationID string `json:"organizationId,omitempty"`
}

func balanceResponseOf(b creditcore.Balance) balanceResponse {
	resp := balanceResponse{Balance: b.Available, Debt: b.Debt, TotalEarned: b.TotalEarned, TotalSpent: b.TotalSpent, UserID: b.UserID}
	if resp.OrganizationID = creditcore.OrganizationOf(b.UserID); resp.OrganizationID != "" {
		resp.UserID = ""
	}
	return resp
}

type ownBalanceRequest struct {
	Include string `query:"include" rule:"optional,max=64,string" doc:"What is told beside: lots, held, or both with a comma."`
}

// ownBalanceResponse is the caller's, with what they asked for beside it.
type ownBalanceResponse struct {
	Balance     creditcore.Amount  `json:"balance"`
	Debt        creditcore.Amount  `json:"debt"`
	TotalEarned creditcore.Amount  `json:"totalEarned"`
	TotalSpent  creditcore.Amount  `json:"totalSpent"`
	UserID      string             `json:"userId"`
	Held        *creditcore.Amount `json:"held,omitempty"` // reserved by requests that run
	Lots        *[]lotView         `json:"lots,omitempty"`
}

// lotView is what is left of credits that came in together, in the order of use.
// ExpiresAt is null for those without an end. Of what is left then, up to RollsOver
// goes on until RollsTo, of all lots with that time together.
type lotView struct {
	Source    creditcore.Source  `json:"source"`
	Remaining creditcore.Amount  `json:"remaining"`
	CreatedAt endpoint.Time      `json:"createdAt"`
	ExpiresAt *endpoint.Time     `json:"expiresAt"`
	RollsOver *creditcore.Amount `json:"rollsOver,omitempty"`
	RollsTo   *endpoint.Time     `json:"rollsTo,omitempty"`
}

var errInclude = &endpoint.Error{Status: http.StatusBadRequest, Code: "INVALID_INCLUDE", Message: "include takes lots and held"}

func balance(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req ownBalanceRequest) (ownBalanceResponse, error) {
	b, err := ledger.Balance(ctx, c.Payer())
	if err != nil {
		return ownBalanceResponse{}, err
	}
	resp := ownBalanceResponse{Balance: b.Available, Debt: b.Debt, TotalEarned: b.TotalEarned, TotalSpent: b.TotalSpent, UserID: b.UserID}
	if req.Include == "" {
		return resp, nil
	}
	for wanted := range strings.SplitSeq(req.Include, ",") {
		switch wanted {
		case "held":
			resp.Held = &b.Held
		case "lots":
			found, err := ledger.Lots(ctx, c.Payer())
			if err != nil {
				return ownBalanceResponse{}, err
			}
			lots := make([]lotView, len(found))
			for i, l := range found {
				lots[i] = lotView{l.Source, l.Remaining, endpoint.Time(l.CreatedAt), endpoint.TimeOf(l.ExpiresAt), l.RollsOver, endpoint.TimeOf(l.RollsTo)}
			}
			resp.Lots = &lots
		default:
			return ownBalanceResponse{}, errInclude
		}
	}
	return resp, nil
}

type balanceRequest struct {
	UserID string `path:"userId" rule:"string"`
}

func balanceOf(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req balanceRequest) (balanceResponse, error) {
	account, err := accountOf(req.UserID, nil)
	if err != nil {
		return balanceResponse{}, err
	}
	b, err := ledger.BalanceOf(ctx, account)
	return balanceResponseOf(b), err
}

// transaction is a row of the ledger on the wire.
type transaction struct {
	ID             string               `json:"id"`
	UserID         string               `json:"userId"`
	OrganizationID string               `json:"organizationId,omitempty"` // whose account it is, which the user spent of
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
	userID, organizationID := e.UserID, creditcore.OrganizationOf(e.UserID)
	if organizationID != "" {
		userID = endpoint.TextOf(e.SpentBy)
	}
	return transaction{
		ID: e.ID, UserID: userID, OrganizationID: organizationID, Sequence: e.Sequence, Type: e.Type, Status: e.Status,
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
