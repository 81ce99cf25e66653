package desk

import (
	"context"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// clients lists the OpenID clients, those of the configuration first.
func (d Deps) clients(ctx context.Context, c *endpoint.Call, _ visit) (pages.Desk, error) {
	out := pages.Desk{Section: "clients", Heading: "clients", Notes: []string{"clients"}}
	list, err := c.Auth.OpenIDClients(ctx)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"name", "id", "origin", "consent", "redirects", "scopes", "created", ""}}
	for _, client := range list {
		origin, remove, created := word("byCommand"), form(pages.DeskAction{Name: "deleteClient", Item: client.ID, Danger: true}), at(client.CreatedAt)
		switch {
		case client.Configured:
			origin, remove, created = word("configured"), pages.DeskCell{}, pages.DeskCell{}
		case client.Registered:
			origin = badge("registeredItself", plain)
		}
		t.Rows = append(t.Rows, []pages.DeskCell{
			text(client.Name), code(client.ID), origin, yesNo(!client.Trusted), code(strings.Join(client.RedirectURIs, " ")), code(strings.Join(client.Scopes, " ")), created, remove,
		})
	}
	out.Tables = []pages.DeskTable{t}
	return out, nil
}

// changeClient deletes a client, and ends what it holds.
func (d Deps) changeClient(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	if o.Action != "deleteClient" {
		return outcome{}, errUnknownAction
	}
	return outcome{done: "desk-client"}, c.Auth.DeleteOpenIDClient(ctx, o.By, o.Item)
}
