package desk

import (
	"context"
	"errors"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

// search finds what has exactly this id, address or code. The id of a request is in
// the log of the edge that answered it, and nowhere else; the page says so.
func (d Deps) search(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	q := strings.TrimSpace(v.Q)
	out := pages.Desk{Section: "overview", Heading: "search", Up: overviewPath, Search: []pages.DeskField{{Name: "q", Kind: "search", Value: v.Q, Max: 255}}}
	if q == "" {
		out.Notes = []string{"search"}
		return out, nil
	}
	found, err := d.find(ctx, c, q)
	if err != nil {
		return out, err
	}
	if isRequestID(q) {
		out.Notes = []string{"request"}
		out.Facts = []pages.DeskFact{fact("logLine", code(`"request_id":"`+q+`"`))}
	}
	out.Tables = []pages.DeskTable{{Title: "found", Columns: []string{"type", "what", "created"}, Rows: found}}
	return out, nil
}

// find looks the text up in every table that has such a name, each by its key.
func (d Deps) find(ctx context.Context, c *endpoint.Call, q string) (rows [][]pages.DeskCell, err error) {
	op := operator(c, "")
	switch u, err := c.Auth.UserByIDOrEmail(ctx, op, q); {
	case err == nil:
		rows = append(rows, []pages.DeskCell{word("account"), userLink(u.ID, u.Email), at(u.CreatedAt)})
	case !errors.Is(err, authcore.ErrUserNotFound):
		return nil, err
	}
	switch o, err := c.Auth.OrganizationByIDOrSlug(ctx, op, q); {
	case err == nil:
		rows = append(rows, []pages.DeskCell{word("organization"), link(o.Name, pathOf(organizationsPath, o.ID)), at(o.CreatedAt)})
	case !errors.Is(err, organization.ErrNotFound):
		return nil, err
	}
	if isUUID(q) {
		e, err := c.Auth.EventByID(ctx, op, q)
		if err != nil {
			return nil, err
		}
		if e != nil {
			rows = append(rows, []pages.DeskCell{word("event"), code(e.Type), at(e.CreatedAt)})
		}
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	switch e, err := ledger.EntryOf(ctx, q); {
	case err == nil:
		rows = append(rows, []pages.DeskCell{word("entry"), link(string(e.Type)+" "+e.Amount.String(), pathOf(ledgerPath, e.UserID)), at(e.CreatedAt)})
	case !errors.Is(err, creditcore.ErrEntryNotFound):
		return nil, err
	}
	gifts, err := d.Gifts(ctx)
	if err != nil {
		return nil, err
	}
	switch g, err := gifts.Find(ctx, q); {
	case err == nil:
		rows = append(rows, []pages.DeskCell{word("gift"), link(string(g.Code), giftsPath+queryOf("user", g.CreatorID)), at(g.CreatedAt)})
	case !errors.Is(err, gift.ErrNotFound):
		return nil, err
	}
	return rows, nil
}

// isRequestID reports whether a text has the form of the id that a request which
// failed is logged under: 26 characters of base32 (RFC 4648, section 6).
func isRequestID(text string) bool {
	if len(text) != 26 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
