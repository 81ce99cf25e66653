package desk

import (
	"context"
	"strings"
	"time"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/keyset"
)

// events lists what happened, by type, account, address and day.
func (d Deps) events(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "events", Heading: "events", Search: []pages.DeskField{
		{Name: "type", Kind: "search", Value: v.Type, Max: 64}, {Name: "user", Kind: "search", Value: v.User, Max: 255},
		{Name: "ip", Kind: "search", Value: v.IP, Max: 64}, {Name: "from", Kind: "date", Value: v.From}, {Name: "to", Kind: "date", Value: v.To},
	}}
	who, err := userNamed(ctx, c, v.User)
	if err != nil {
		return out, err
	}
	f := audit.Filter{UserID: who, Type: strings.TrimSpace(v.Type), IPAddress: addressOf(v.IP), Before: eventCursor(v.Before), Limit: pageSize}
	if from, err := time.Parse(time.DateOnly, v.From); err == nil {
		f.Since = from
	}
	if to, err := time.Parse(time.DateOnly, v.To); err == nil {
		f.Until = to.AddDate(0, 0, 1) // the day is the last
	}
	list, next, err := c.Auth.SearchEvents(ctx, operator(c, ""), f)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"time", "what", "address", "ip", "agent", "detail"}}
	for _, e := range list {
		t.Rows = append(t.Rows, []pages.DeskCell{at(e.CreatedAt), code(e.Type), userOf(e), optional(e.IPAddress), optional(e.UserAgent), object(e.Metadata)})
	}
	out.Tables = []pages.DeskTable{pager(t, eventsPath, v.Before, next, "type", v.Type, "user", v.User, "ip", v.IP, "from", v.From, "to", v.To)}
	return out, nil
}

// eventCursor reads a cursor whose id is an event's.
func eventCursor(before string) keyset.Cursor {
	c := keyset.Parse(before)
	if !isUUID(c.ID) {
		return keyset.Cursor{}
	}
	return c
}

// isUUID reports whether a text has the form of a UUID (RFC 9562).
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// userOf leads to the account of an event.
func userOf(e audit.Entry) pages.DeskCell {
	if e.UserID == nil {
		return pages.DeskCell{}
	}
	email := *e.UserID
	if e.Email != nil {
		email = *e.Email
	}
	return userLink(*e.UserID, email)
}
