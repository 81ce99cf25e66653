package desk

import (
	"context"
	"strconv"
	"strings"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/keyset"
)

// organizations lists them, by a part of name or slug.
func (d Deps) organizations(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "organizations", Heading: "organizations", Search: []pages.DeskField{{Name: "q", Kind: "search", Value: v.Q, Max: 255}}}
	list, next, err := c.Auth.OrganizationPage(ctx, operator(c, ""), v.Q, keyset.Parse(v.Before), pageSize)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"name", "slug", "owners", "members", "created"}}
	for _, o := range list {
		t.Rows = append(t.Rows, []pages.DeskCell{
			link(o.Name, pathOf(organizationsPath, o.ID)), optional(o.Slug), text(strings.Join(o.Owners, ", ")), text(strconv.Itoa(o.Members)), at(o.CreatedAt),
		})
	}
	out.Tables = []pages.DeskTable{pager(t, organizationsPath, v.Before, next, "q", v.Q)}
	return out, nil
}

// organization is one of them, with members and invitations.
func (d Deps) organization(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	op := operator(c, "")
	o, err := c.Auth.OrganizationByIDOrSlug(ctx, op, v.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	members, err := c.Auth.MembersOf(ctx, op, o.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	invitations, err := c.Auth.InvitationsOf(ctx, op, o.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	out := pages.Desk{
		Section: "organizations", Heading: "organization", About: text(o.Name).Text, Up: organizationsPath,
		Links: []pages.DeskCell{{Word: "keys", Link: keysPath + queryOf("org", o.ID)}},
		Facts: []pages.DeskFact{
			fact("id", code(o.ID)), fact("slug", optional(o.Slug)), fact("created", at(o.CreatedAt)), fact("detail", object(o.Metadata)),
		},
		Actions: []pages.DeskAction{{Name: "deleteOrganization", Danger: true}},
	}
	people := pages.DeskTable{Title: "members", Columns: []string{"address", "name", "role", "since"}}
	for _, m := range members {
		people.Rows = append(people.Rows, []pages.DeskCell{userLink(m.UserID, m.Email), text(m.Name), word(string(m.Role)), at(m.CreatedAt)})
	}
	invited := pages.DeskTable{Title: "invitations", Columns: []string{"address", "role", "by", "until"}}
	for _, i := range invitations {
		invited.Rows = append(invited.Rows, []pages.DeskCell{text(i.Email), word(string(i.Role)), text(i.InviterName), at(i.ExpiresAt)})
	}
	out.Tables = []pages.DeskTable{people, invited}
	return out, nil
}

// changeOrganization deletes an organisation.
func (d Deps) changeOrganization(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	if o.Action != "deleteOrganization" {
		return outcome{}, errUnknownAction
	}
	found, err := c.Auth.OrganizationByIDOrSlug(ctx, o.By, o.ID)
	if err == nil && found.ID != o.ID {
		err = organization.ErrNotFound
	}
	if err == nil {
		err = c.Auth.RemoveOrganization(ctx, o.By, found.ID)
	}
	return outcome{done: "desk-organization", at: organizationsPath}, err
}
