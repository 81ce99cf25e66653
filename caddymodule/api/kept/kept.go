// Package kept knows what is kept of a user, here and in the back ends of apps: to
// show it, and to have it deleted. The routes of users and of admins share it.
package kept

import (
	"context"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing/topup"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/appdata"
)

// Apps are the back ends of apps.
type Apps interface {
	Kept(ctx context.Context, userID string) []appdata.Kept
	Delete(ctx context.Context, userID string) ([]appdata.Deleted, error)
}

// TopUps are automatic top-ups of accounts.
type TopUps interface {
	TopUpOf(ctx context.Context, account string) (topup.Settings, error)
}

// None are the back ends where there are none.
func None() Apps { return none{} }

type none struct{}

func (none) Kept(context.Context, string) []appdata.Kept               { return nil }
func (none) Delete(context.Context, string) ([]appdata.Deleted, error) { return nil, nil }

// Deps finds the live cores.
type Deps struct {
	Ledger func(context.Context) (*creditcore.Service, error)
	Proof  func(context.Context) (*proof.Service, error)
	// Coupons and TopUps have what a user redeemed, and agreed to.
	Coupons func(context.Context) (*coupon.Service, error)
	TopUps  func(context.Context) (TopUps, error)
	Abuse   func(context.Context) (*abuse.Service, error)
	Apps    func(context.Context) (Apps, error)
}

// Summary is what is kept of a user, counted.
type Summary struct {
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
	// HeldSince is since when the user makes no gifts; missing where they do.
	HeldSince *endpoint.Time `json:"giftingHeldSince,omitempty"`
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

// Summarize adds to what the identity core keeps of a user what the ledger and
// the back ends do.
func (d Deps) Summarize(ctx context.Context, account authcore.AccountData) (Summary, error) {
	credits, err := d.credits(ctx, account.User.ID)
	if err != nil {
		return Summary{}, err
	}
	apps, err := d.Apps(ctx)
	if err != nil {
		return Summary{}, err
	}
	out := Summary{
		User: accountSummary{account.User.ID, account.User.Email, account.User.Name, string(account.User.Role),
			endpoint.Time(account.User.CreatedAt), account.User.EmailVerified},
		Auth:    authSummary{account.Sessions, account.Accounts, account.TwoFactor, endpoint.TimeOf(account.LastLoginAt)},
		Credits: credits, Projects: []projectSummary{},
	}
	for _, k := range apps.Kept(ctx, account.User.ID) {
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

// credits sums up the ledger of a user. Who has no account there has none.
func (d Deps) credits(ctx context.Context, userID string) (creditsSummary, error) {
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return creditsSummary{}, err
	}
	b, err := ledger.BalanceOf(ctx, userID)
	if err != nil {
		return creditsSummary{}, err
	}
	newest, err := ledger.History(ctx, creditcore.Caller{UserID: userID}, 1, 0)
	if err != nil {
		return creditsSummary{}, err
	}
	holds, err := d.Abuse(ctx)
	if err != nil {
		return creditsSummary{}, err
	}
	held, err := holds.HeldSince(ctx, userID)
	if err != nil {
		return creditsSummary{}, err
	}
	out := creditsSummary{Balance: b.Available, TotalEarned: b.TotalEarned, TotalSpent: b.TotalSpent, HeldSince: endpoint.TimeOf(held)}
	if len(newest) > 0 {
		out.Transactions = newest[0].Sequence
	}
	return out, nil
}
