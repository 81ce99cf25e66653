// Package me has the routes of what is kept of the caller: to see it, to take it
// along, and to have it deleted (GDPR, articles 15, 17 and 20).
package me

import (
	"context"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/appdata"
)

// Apps are the back ends of apps.
type Apps interface {
	Kept(ctx context.Context, userID string) []appdata.Kept
	Delete(ctx context.Context, userID string) ([]appdata.Deleted, error)
}

// None are the back ends where there are none.
func None() Apps { return none{} }

type none struct{}

func (none) Kept(context.Context, string) []appdata.Kept               { return nil }
func (none) Delete(context.Context, string) ([]appdata.Deleted, error) { return nil, nil }

// Deps finds the live cores.
type Deps struct {
	Ledger func(context.Context) (*creditcore.Service, error)
	Apps   func(context.Context) (Apps, error)
}

// Routes are those of own data.
func Routes(d Deps) []endpoint.Route {
	const at = "/api/v1/me/data"
	gone := &endpoint.Error{Status: 404, Code: "USER_NOT_FOUND", Message: "User not found"}
	routes := []endpoint.Route{
		endpoint.Get(at, endpoint.Handle(d.summary), endpoint.Rule{Summary: "What is kept of the caller, counted", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: []*endpoint.Error{gone}}),
		endpoint.Get(at+"/export", endpoint.Handle(d.export), endpoint.Rule{Summary: "All that is kept of the caller, as a file", Access: endpoint.User, Limit: endpoint.PerMinute(10),
			Media: "application/json", Errors: []*endpoint.Error{gone, endpoint.ErrNotRecent}}),
		endpoint.Delete(at, endpoint.Handle(d.erase), endpoint.Rule{Summary: "Delete all that is kept of the caller, and the account", Access: endpoint.User, Limit: endpoint.PerMinute(3),
			Errors: append(endpoint.AnswersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword), gone, endpoint.ErrNotRecent)}),
	}
	for i := range routes {
		routes[i].Enrolling = true // who will not set a second factor up may leave
	}
	return routes
}

type summaryResponse struct {
	User     accountSummary   `json:"user"`
	Auth     authSummary      `json:"auth"`
	Credits  creditsSummary   `json:"credits"`
	Projects []projectSummary `json:"projects"`
	Totals   totalsSummary    `json:"totals"`
}

type accountSummary struct {
	ID            string        `json:"id"`
	Email         string        `json:"email"`
	Name          string        `json:"name"`
	Role          string        `json:"role"`
	CreatedAt     endpoint.Time `json:"createdAt"`
	EmailVerified bool          `json:"emailVerified"`
}

type authSummary struct {
	Sessions    int            `json:"sessionsCount"`
	Accounts    int            `json:"accountsCount"`
	Has2FA      bool           `json:"has2FA"`
	LastLoginAt *endpoint.Time `json:"lastLoginAt"`
}

type creditsSummary struct {
	Balance      creditcore.Amount `json:"balance"`
	TotalEarned  creditcore.Amount `json:"totalEarned"`
	TotalSpent   creditcore.Amount `json:"totalSpent"`
	Transactions int64             `json:"transactionsCount"`
}

type projectSummary struct {
	ID             string          `json:"projectId"`
	Name           string          `json:"projectName"`
	Icon           string          `json:"icon"`
	Available      bool            `json:"available"`
	Error          string          `json:"error,omitempty"`
	Entities       []projectEntity `json:"entities"`
	TotalCount     int64           `json:"totalCount"`
	LastActivityAt *string         `json:"lastActivityAt,omitempty"`
}

type projectEntity struct {
	Entity string `json:"entity"`
	Count  int64  `json:"count"`
	Label  string `json:"label"`
}

type totalsSummary struct {
	Entities         int64 `json:"totalEntities"`
	ProjectsWithData int   `json:"projectsWithData"`
}

// icons are those of the apps of the family.
var icons = map[string]string{
	"chat": "💬", "todo": "✅", "contacts": "👥", "calendar": "📅", "picture": "🖼️", "zitare": "💡", "presi": "📊", "photos": "📷", "clock": "⏰", "storage": "📁",
}

func iconOf(id string) string {
	if icon, ok := icons[id]; ok {
		return icon
	}
	return "📦"
}

func nameOf(id string) string { return strings.ToUpper(id[:1]) + id[1:] }

func (d Deps) summary(ctx context.Context, c *endpoint.Call, _ endpoint.None) (summaryResponse, error) {
	return d.summaryOf(ctx, c)
}

func (d Deps) summaryOf(ctx context.Context, c *endpoint.Call) (summaryResponse, error) {
	account, err := c.Auth.AccountData(ctx, c.Caller)
	if err != nil {
		return summaryResponse{}, err
	}
	credits, err := d.credits(ctx, c)
	if err != nil {
		return summaryResponse{}, err
	}
	apps, err := d.Apps(ctx)
	if err != nil {
		return summaryResponse{}, err
	}
	out := summaryResponse{
		User: accountSummary{account.User.ID, account.User.Email, account.User.Name, string(account.User.Role),
			endpoint.Time(account.User.CreatedAt), account.User.EmailVerified},
		Auth:    authSummary{account.Sessions, account.Accounts, account.TwoFactor, endpoint.TimeOf(account.LastLoginAt)},
		Credits: credits, Projects: []projectSummary{},
	}
	for _, k := range apps.Kept(ctx, c.UserID) {
		p := projectSummary{
			ID: k.Backend.ID, Name: nameOf(k.Backend.ID), Icon: iconOf(k.Backend.ID), Available: k.Error == "", Error: k.Error,
			Entities: make([]projectEntity, len(k.Entities)), TotalCount: k.TotalCount, LastActivityAt: k.LastActivityAt,
		}
		for i, e := range k.Entities {
			p.Entities[i] = projectEntity(e)
		}
		out.Projects = append(out.Projects, p)
		if out.Totals.Entities += k.TotalCount; k.TotalCount > 0 {
			out.Totals.ProjectsWithData++
		}
	}
	return out, nil
}

// credits sums up the ledger of the caller. Who has no account there has none.
func (d Deps) credits(ctx context.Context, c *endpoint.Call) (creditsSummary, error) {
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return creditsSummary{}, err
	}
	b, err := ledger.Balance(ctx, c.Payer())
	if err != nil {
		return creditsSummary{}, err
	}
	newest, err := ledger.History(ctx, c.Payer(), 1, 0)
	if err != nil {
		return creditsSummary{}, err
	}
	out := creditsSummary{Balance: b.Available, TotalEarned: b.TotalEarned, TotalSpent: b.TotalSpent}
	if len(newest) > 0 {
		out.Transactions = newest[0].Sequence
	}
	return out, nil
}

type eraseRequest struct {
	Password string `json:"password" rule:"optional,string"`
}

type eraseResponse struct {
	Success             bool             `json:"success"`
	DeletedFromProjects []projectDeleted `json:"deletedFromProjects"`
	DeletedFromAuth     authDeleted      `json:"deletedFromAuth"`
	TotalDeleted        int64            `json:"totalDeleted"`
}

type projectDeleted struct {
	ID      string `json:"projectId"`
	Name    string `json:"projectName"`
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
	Count   *int64 `json:"deletedCount,omitempty"`
}

// authDeleted counts what is deleted here. Ledger rows stay, under an id that is
// nobody's any more; Credits counts them.
type authDeleted struct {
	Sessions int   `json:"sessions"`
	Accounts int   `json:"accounts"`
	Credits  int64 `json:"credits"`
	User     bool  `json:"user"`
}

// erase closes the account, and then asks the back ends at once. What each said
// is told; those that failed are asked again for three days.
func (d Deps) erase(ctx context.Context, c *endpoint.Call, req eraseRequest) (eraseResponse, error) {
	account, err := c.Auth.AccountData(ctx, c.Caller)
	if err != nil {
		return eraseResponse{}, err
	}
	credits, err := d.credits(ctx, c)
	if err != nil {
		return eraseResponse{}, err
	}
	apps, err := d.Apps(ctx)
	if err != nil {
		return eraseResponse{}, err
	}
	if err := c.Auth.DeleteAccount(ctx, c.Caller, req.Password, ""); err != nil {
		return eraseResponse{}, err
	}
	out := eraseResponse{
		Success: true, DeletedFromProjects: []projectDeleted{},
		DeletedFromAuth: authDeleted{account.Sessions, account.Accounts, credits.Transactions, true},
		TotalDeleted:    int64(account.Sessions+account.Accounts) + credits.Transactions + 1,
	}
	// The account is gone: whoever asked may be, too.
	list, err := apps.Delete(context.WithoutCancel(ctx), c.UserID)
	if err != nil {
		c.Logger().WarnContext(ctx, "note what back ends have deleted; they are asked again", "user", c.UserID, "error", err)
	}
	for _, deleted := range list {
		p := projectDeleted{ID: deleted.Backend.ID, Name: nameOf(deleted.Backend.ID), Success: deleted.Err == nil}
		if deleted.Err != nil {
			p.Error = deleted.Err.Error()
		} else {
			p.Count = &deleted.Count
			out.TotalDeleted += deleted.Count
		}
		out.DeletedFromProjects = append(out.DeletedFromProjects, p)
	}
	return out, nil
}
