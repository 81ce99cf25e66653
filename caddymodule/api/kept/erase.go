package kept

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Erased is what a deletion came to.
type Erased struct {
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

// Erase closes an account by the given function, and then asks the back ends at
// once. What each said is told; those that failed are asked again for three days.
func (d Deps) Erase(ctx context.Context, c *endpoint.Call, account authcore.AccountData, closeAccount func() error) (Erased, error) {
	userID := account.User.ID
	credits, err := d.credits(ctx, userID)
	if err != nil {
		return Erased{}, err
	}
	apps, err := d.Apps(ctx)
	if err != nil {
		return Erased{}, err
	}
	if err := closeAccount(); err != nil {
		return Erased{}, err
	}
	out := Erased{
		Success: true, DeletedFromProjects: []projectDeleted{},
		DeletedFromAuth: authDeleted{account.Sessions, account.Accounts, credits.Transactions, true},
		TotalDeleted:    int64(account.Sessions+account.Accounts) + credits.Transactions + 1,
	}
	// The account is gone: whoever asked may be, too.
	list, err := apps.Delete(context.WithoutCancel(ctx), userID)
	if err != nil {
		c.Logger().WarnContext(ctx, "note what back ends have deleted; they are asked again", "user", userID, "error", err)
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
