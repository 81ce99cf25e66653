package credit

import (
	"context"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
)

// everyone stands in a path for every plain member to whom nothing is allotted by
// name.
const everyone = "default"

// walletRoutes are those of the account of an organisation. Members read what it
// has and what they spent of it; its owners and admins, and admins of the platform,
// all of it. Owners and admins say what each member may spend.
func walletRoutes(ledger func(context.Context) (*creditcore.Service, error)) []endpoint.Route {
	const at = "/api/v1/credits/organizations/{id}"
	read := func(summary string, errs ...*endpoint.Error) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.User, Errors: append(errs, endpoint.ErrOrganizationNotFound)}
	}
	manage := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.User, Mappings: []endpoint.Mapping{{Err: creditcore.ErrNotMember, Answer: endpoint.ErrOrganizationRole}},
			Errors: append(endpoint.AnswersTo(creditcore.ErrNoAllotment), endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole)}
	}
	return []endpoint.Route{
		endpoint.Get(at+"/balance", endpoint.HandleWith(ledger, walletBalance), read("What an organization has, and what of it the caller may spend", endpoint.AnswersTo(creditcore.ErrAccountNotFound)...)),
		endpoint.Get(at+"/transactions", endpoint.HandleWith(ledger, walletTransactions), read("An organization's ledger, newest first: all of it for its owners and admins, for members what they spent")),
		endpoint.Get(at+"/allotments", endpoint.HandleWith(ledger, allotments), read("What the members of an organization may spend, and have spent; for plain members their own")),
		endpoint.Get(at+"/allotments/{userId}", endpoint.HandleWith(ledger, allotmentOf), read("What a member may spend, and has spent", endpoint.AnswersTo(creditcore.ErrNoAllotment)...)),
		endpoint.Put(at+"/allotments/{userId}", endpoint.HandleWith(ledger, allot), manage("Say what a member may spend, or with default every plain member who has no other")),
		endpoint.Delete(at+"/allotments/{userId}", endpoint.HandleWith(ledger, unallot), manage("Take back what was allotted")),
		endpoint.Get("/api/v1/internal/credits/organizations/{id}/balance", endpoint.HandleWith(ledger, organizationBalance),
			endpoint.Rule{Summary: "What an organization has", Access: endpoint.Service, ServiceScope: servicekey.ReadCredits, Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
	}
}

type walletRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

// walletResponse is what an organisation has. Share is the caller's part in it,
// null for who is no member.
type walletResponse struct {
	OrganizationID string            `json:"organizationId"`
	Balance        creditcore.Amount `json:"balance"`
	Debt           creditcore.Amount `json:"debt"`
	TotalEarned    creditcore.Amount `json:"totalEarned"`
	TotalSpent     creditcore.Amount `json:"totalSpent"`
	Share          *shareView        `json:"share"`
}

func walletBalance(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req walletRequest) (walletResponse, error) {
	who, role, err := c.ReadFor(ctx, req.ID)
	if err != nil {
		return walletResponse{}, err
	}
	b, err := ledger.Balance(ctx, who)
	if err != nil {
		return walletResponse{}, err
	}
	resp := walletResponse{OrganizationID: req.ID, Balance: b.Available, Debt: b.Debt, TotalEarned: b.TotalEarned, TotalSpent: b.TotalSpent}
	if role == "" {
		return resp, nil
	}
	shares, err := ledger.Shares(ctx, who)
	for _, s := range shares {
		if s.UserID == c.UserID {
			v := shareOf(s)
			resp.Share = &v
		}
	}
	return resp, err
}

// organizationBalance tells back ends what an organisation has.
func organizationBalance(ctx context.Context, _ *endpoint.Call, ledger *creditcore.Service, req walletRequest) (balanceResponse, error) {
	b, err := ledger.BalanceOf(ctx, creditcore.OrganizationAccount(req.ID))
	return balanceResponseOf(b), err
}

type walletTransactionsRequest struct {
	ID     string `path:"id" rule:"max=64,string"`
	Limit  *int   `query:"limit" rule:"optional"`
	Before *int   `query:"before" rule:"optional" doc:"The sequence of the row that the page before ended with."`
	UserID string `query:"userId" rule:"optional,max=255,string" doc:"The member who spent."`
}

// walletTransactions pages through the ledger of an organisation. A limit out of
// range is moved into it.
func walletTransactions(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req walletTransactionsRequest) ([]transaction, error) {
	who, role, err := c.ReadFor(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	limit, filter := 50, creditcore.HistoryFilter{SpentBy: req.UserID}
	if req.Limit != nil {
		limit = *req.Limit
	}
	if req.Before != nil {
		filter.Before = int64(*req.Before)
	}
	if role != "" && !role.Manages() {
		if filter.SpentBy != "" && filter.SpentBy != c.UserID {
			return []transaction{}, nil
		}
		filter.SpentBy = c.UserID
	}
	entries, err := ledger.HistoryOf(ctx, who, filter, limit)
	list := make([]transaction, len(entries))
	for i, e := range entries {
		list[i] = transactionOf(e)
	}
	return list, err
}

// allotmentView is what is allotted: credits a day, a month (UTC) or in total.
type allotmentView struct {
	Credits creditcore.Amount `json:"credits"`
	Period  creditcore.Period `json:"period"`
}

// shareView is a member's part in an organisation's credits. Allotment is null
// where nothing is allotted to them; Left is null where nothing bounds them.
// Default says that the allotment is that of every plain member.
type shareView struct {
	UserID    string             `json:"userId"`
	Role      string             `json:"role"`
	Allotment *allotmentView     `json:"allotment"`
	Default   bool               `json:"default"`
	Spent     creditcore.Amount  `json:"spent"`
	Left      *creditcore.Amount `json:"left"`
}

func shareOf(s creditcore.Share) shareView {
	v := shareView{UserID: s.UserID, Role: s.Role, Default: s.Default, Spent: s.Spent, Left: s.Left}
	if s.Credits != nil && s.Period != nil {
		v.Allotment = &allotmentView{*s.Credits, *s.Period}
	}
	return v
}

type allotmentsResponse struct {
	Default *allotmentView `json:"default"`
	Members []shareView    `json:"members"`
}

func allotments(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req walletRequest) (allotmentsResponse, error) {
	who, _, err := c.ReadFor(ctx, req.ID)
	if err != nil {
		return allotmentsResponse{}, err
	}
	return allotmentsFor(ctx, ledger, who)
}

func allotmentsFor(ctx context.Context, ledger *creditcore.Service, who creditcore.Caller) (allotmentsResponse, error) {
	common, err := ledger.DefaultAllotment(ctx, who)
	if err != nil {
		return allotmentsResponse{}, err
	}
	shares, err := ledger.Shares(ctx, who)
	resp := allotmentsResponse{Members: make([]shareView, len(shares))}
	for i, s := range shares {
		resp.Members[i] = shareOf(s)
	}
	if common != nil {
		resp.Default = &allotmentView{common.Credits, common.Period}
	}
	return resp, err
}

type allotmentRequest struct {
	ID     string `path:"id" rule:"max=64,string"`
	UserID string `path:"userId" rule:"max=255,string"`
}

// allotmentOf is the part of one member who is visible to the caller.
func allotmentOf(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req allotmentRequest) (shareView, error) {
	who, _, err := c.ReadFor(ctx, req.ID)
	if err != nil {
		return shareView{}, err
	}
	all, err := allotmentsFor(ctx, ledger, who)
	if err != nil {
		return shareView{}, err
	}
	if req.UserID == everyone && all.Default != nil {
		return shareView{UserID: everyone, Role: "member", Allotment: all.Default, Default: true}, nil
	}
	for _, s := range all.Members {
		if s.UserID == req.UserID {
			return s, nil
		}
	}
	return shareView{}, creditcore.ErrNoAllotment
}

type allotRequest struct {
	ID      string            `path:"id" rule:"max=64,string"`
	UserID  string            `path:"userId" rule:"max=255,string"`
	Credits creditcore.Amount `json:"credits" rule:"positive"`
	Period  string            `json:"period" rule:"oneof=day|month|total" doc:"Days and months are those of UTC."`
}

func allot(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req allotRequest) (shareView, error) {
	who, err := c.ManageFor(ctx, req.ID)
	if err != nil {
		return shareView{}, err
	}
	if _, err := ledger.Allot(ctx, who, creditcore.Allotment{UserID: allottee(req.UserID), Credits: req.Credits, Period: creditcore.Period(req.Period)}); err != nil {
		return shareView{}, err
	}
	return allotmentOf(ctx, c, ledger, allotmentRequest{req.ID, req.UserID})
}

type unallottedResponse struct {
	Success bool `json:"success"`
}

func unallot(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req allotmentRequest) (unallottedResponse, error) {
	who, err := c.ManageFor(ctx, req.ID)
	if err == nil {
		err = ledger.Unallot(ctx, who, allottee(req.UserID))
	}
	return unallottedResponse{Success: err == nil}, err
}

// allottee is whom a path names, empty for everyone.
func allottee(userID string) string {
	if userID == everyone {
		return ""
	}
	return userID
}
