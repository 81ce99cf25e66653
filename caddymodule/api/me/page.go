package me

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
)

// OwnData is what the hosted pages do with what is kept of the caller.
type OwnData struct{ kept.Deps }

// Export is all that is kept of the caller, as a file, for who has authenticated
// recently.
func (d OwnData) Export(ctx context.Context, c *endpoint.Call) (endpoint.Download, error) {
	return own{d.Deps}.export(ctx, c, endpoint.None{})
}

// Erase deletes the account of the caller and what is kept of it. Who gives no
// password must have authenticated recently. It returns the names of the apps that
// have not answered yet; they are asked again for three days.
func (d OwnData) Erase(ctx context.Context, c *endpoint.Call, password string) (waiting []string, err error) {
	out, err := own{d.Deps}.erase(ctx, c, eraseRequest{Password: password})
	for _, p := range out.DeletedFromProjects {
		if !p.Success {
			waiting = append(waiting, p.Name)
		}
	}
	return waiting, err
}
