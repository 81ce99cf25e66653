package me

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
)

// Export is all that is kept of the caller, as a file, for who has authenticated
// recently.
func (d Deps) Export(ctx context.Context, c *endpoint.Call) (endpoint.Download, error) {
	return d.export(ctx, c, endpoint.None{})
}

// Erase deletes the account of the caller and what is kept of it. Who gives no
// password must have authenticated recently. It returns the names of the apps that
// have not answered yet; they are asked again for three days.
func (d Deps) Erase(ctx context.Context, c *endpoint.Call, password string) (waiting []string, err error) {
	out, err := d.erase(ctx, c, eraseRequest{Password: password})
	for _, p := range out.DeletedFromProjects {
		if !p.Success {
			waiting = append(waiting, p.Name)
		}
	}
	return waiting, err
}
