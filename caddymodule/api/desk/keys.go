package desk

import (
	"context"
	"errors"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/keyset"
)

// nobody is the id that no account has.
const nobody = "-"

// userNamed is the id of an account by its id or address: empty where none is named,
// nobody's where there is none of that name.
func userNamed(ctx context.Context, c *endpoint.Call, named string) (string, error) {
	if named == "" {
		return "", nil
	}
	u, err := c.Auth.UserByIDOrEmail(ctx, operator(c, ""), named)
	if errors.Is(err, authcore.ErrUserNotFound) {
		return nobody, nil
	}
	return u.ID, err
}

// keys lists API keys, of a user, of an organisation or of everybody.
func (d Deps) keys(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "keys", Heading: "keys", Search: []pages.DeskField{
		{Name: "user", Kind: "search", Value: v.User, Max: 255}, {Name: "org", Kind: "search", Value: v.Org, Max: 255},
	}}
	who, err := userNamed(ctx, c, v.User)
	if err != nil {
		return out, err
	}
	list, next, err := c.Auth.APIKeyPage(ctx, operator(c, ""), apikey.Query{UserID: who, OrganizationID: v.Org, Before: keyset.Parse(v.Before), Limit: pageSize})
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"name", "key", "address", "organization", "scopes", "budget", "state", "used", "created", ""}}
	for _, k := range list {
		state, revoke := badge("live", good), form(pages.DeskAction{Name: "revokeKey", Item: k.ID, Danger: true})
		switch {
		case k.RevokedAt != nil:
			state, revoke = badge("revoked", bad), pages.DeskCell{}
		case k.ExpiresAt != nil && !k.ExpiresAt.After(c.Now()):
			state, revoke = badge("expired", plain), pages.DeskCell{}
		}
		var team, budget pages.DeskCell
		if k.OrganizationID != nil {
			team = link(*k.OrganizationID, pathOf(organizationsPath, *k.OrganizationID))
		}
		if k.BudgetCredits != nil {
			budget = credits(creditcore.Amount(*k.BudgetCredits))
		}
		t.Rows = append(t.Rows, []pages.DeskCell{
			text(k.Name), code(k.Shown), userLink(k.UserID, k.Email), team, code(strings.Join(k.Scopes, " ")), budget, state, optionalTime(k.LastUsedAt), at(k.CreatedAt), revoke,
		})
	}
	out.Tables = []pages.DeskTable{pager(t, keysPath, v.Before, next, "user", v.User, "org", v.Org)}
	return out, nil
}

// changeKey revokes an API key.
func (d Deps) changeKey(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	if o.Action != "revokeKey" {
		return outcome{}, errUnknownAction
	}
	return outcome{done: "desk-key"}, c.Auth.RevokeAPIKeyOf(ctx, o.By, o.Item)
}
