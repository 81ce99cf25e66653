package me

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
)

// OwnData is what the hosted pages do with what is kept of the caller.
type OwnData struct{ kept.Deps }

// Export is all that is kept of the caller, as a file, for who has authenticated
// recently.
func (d OwnData) Export(ctx context.Context, c *endpoint.Call) (endpoint.Download, error) {
	return own(d).export(ctx, c, endpoint.None{})
}

// ExportOf is all that is kept of a user, as a file, for an operator. That they take
// it is for the caller to record.
func (d OwnData) ExportOf(ctx context.Context, c *endpoint.Call, account authcore.AccountData) (endpoint.Download, error) {
	summary, err := d.Summarize(ctx, account)
	if err != nil {
		return endpoint.Download{}, err
	}
	return own(d).exportOf(ctx, c, principal.Caller{UserID: account.User.ID, Role: principal.RoleUser}, summary)
}

// Erase deletes the account of the caller and what is kept of it. Who gives no
// password must have authenticated recently. It returns the names of the apps that
// have not answered yet; they are asked again for three days.
func (d OwnData) Erase(ctx context.Context, c *endpoint.Call, password string) (waiting []string, err error) {
	out, err := own(d).erase(ctx, c, eraseRequest{Password: password})
	for _, p := range out.DeletedFromProjects {
		if !p.Success {
			waiting = append(waiting, p.Name)
		}
	}
	return waiting, err
}
