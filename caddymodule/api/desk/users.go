package desk

import (
	"context"
	"strconv"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/keyset"
)

// users lists accounts.
func (d Deps) users(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "users", Heading: "users", Search: []pages.DeskField{{Name: "q", Kind: "search", Value: v.Q, Max: 255}}}
	list, next, err := c.Auth.FindUsers(ctx, operator(c, ""), authcore.UserSearch{Text: v.Q, Before: keyset.Parse(v.Before), Limit: pageSize})
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"address", "name", "role", "state", "created", "active"}}
	for _, u := range list {
		t.Rows = append(t.Rows, []pages.DeskCell{userLink(u.ID, u.Email), text(u.Name), roleOf(u.User), stateOf(u.User), at(u.CreatedAt), optionalTime(u.LastActiveAt)})
	}
	out.Tables = []pages.DeskTable{pager(t, usersPath, v.Before, next, "q", v.Q)}
	return out, nil
}

func roleOf(u authcore.User) pages.DeskCell {
	if u.Role == principal.RoleUser {
		return word(string(u.Role))
	}
	return badge(string(u.Role), plain)
}

func stateOf(u authcore.User) pages.DeskCell {
	switch {
	case u.DisabledAt != nil:
		return badge("disabled", bad)
	case !u.EmailVerified:
		return badge("unverified", plain)
	}
	return badge("active", good)
}

// userEvents is how many events the page of an account has.
const userEvents = 15

// user is an account. That it was looked at is recorded.
func (d Deps) user(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	op := operator(c, "")
	account, err := c.Auth.AccountDataOf(ctx, op, v.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	u := account.User
	out := pages.Desk{Section: "users", Heading: "user", About: u.Email, Up: usersPath, Links: []pages.DeskCell{
		{Word: "ledger", Link: pathOf(ledgerPath, u.ID)}, {Word: "events", Link: eventsPath + queryOf("user", u.ID)},
		{Word: "keys", Link: keysPath + queryOf("user", u.ID)}, {Word: "gifts", Link: giftsPath + queryOf("user", u.ID)},
		{Word: "sales", Link: salesPath + queryOf("user", u.ID)}, {Word: "abuse", Link: pathOf(abusePath, u.ID)},
	}}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	balance, err := ledger.BalanceOf(ctx, u.ID)
	if err != nil {
		return out, err
	}
	out.Facts = []pages.DeskFact{
		fact("id", code(u.ID)), fact("name", text(u.Name)), fact("role", roleOf(u)), fact("state", stateOf(u)),
		fact("verified", yesNo(u.EmailVerified)), fact("factor", yesNo(account.TwoFactor || u.SecondFactor)),
		fact("created", at(u.CreatedAt)), fact("lastLogin", optionalTime(account.LastLoginAt)),
		fact("ways", text(strconv.Itoa(account.Accounts))), fact("balance", credits(balance.Available)), fact("held", credits(balance.Held)), fact("debt", credits(balance.Debt)),
	}
	if out.Tables, err = userTables(ctx, c, op, u); err != nil {
		return out, err
	}
	out.Actions = userActions(u)
	return out, nil
}

// userTables are the sessions, memberships and newest events of an account.
func userTables(ctx context.Context, c *endpoint.Call, op principal.Operator, u authcore.User) ([]pages.DeskTable, error) {
	live, err := c.Auth.UserSessions(ctx, op, u.ID)
	if err != nil {
		return nil, err
	}
	sessions := pages.DeskTable{Title: "sessions", Columns: []string{"device", "ip", "agent", "created", "active"}}
	for _, s := range live[:min(len(live), pageSize)] {
		sessions.Rows = append(sessions.Rows, []pages.DeskCell{optional(s.DeviceName), optional(s.IPAddress), optional(s.UserAgent), at(s.CreatedAt), at(s.LastActivityAt)})
	}
	joined, err := c.Auth.JoinedBy(ctx, op, u.ID)
	if err != nil {
		return nil, err
	}
	memberships := pages.DeskTable{Title: "memberships", Columns: []string{"organization", "role", "since"}}
	for _, m := range joined {
		memberships.Rows = append(memberships.Rows, []pages.DeskCell{link(m.Name, pathOf(organizationsPath, m.OrganizationID)), word(string(m.Role)), at(m.Since)})
	}
	happened, _, err := c.Auth.SearchEvents(ctx, op, audit.Filter{UserID: u.ID, Limit: userEvents})
	if err != nil {
		return nil, err
	}
	events := pages.DeskTable{Title: "events", Columns: []string{"time", "what", "ip", "agent", "detail"}}
	for _, e := range happened {
		events.Rows = append(events.Rows, []pages.DeskCell{at(e.CreatedAt), code(e.Type), optional(e.IPAddress), optional(e.UserAgent), object(e.Metadata)})
	}
	return []pages.DeskTable{sessions, memberships, events}, nil
}

// userActions are what an admin may do to an account.
func userActions(u authcore.User) []pages.DeskAction {
	var roles []string
	for _, r := range principal.Roles {
		roles = append(roles, string(r))
	}
	bar := pages.DeskAction{Name: "disable", Danger: true}
	if u.DisabledAt != nil {
		bar = pages.DeskAction{Name: "enable"}
	}
	list := []pages.DeskAction{
		{Name: "grant", Key: ids.New(), Fields: []pages.DeskField{
			{Name: "amount", Kind: "text", Required: true, Max: 32}, {Name: "expires", Kind: "date"},
		}},
		{Name: "role", Fields: []pages.DeskField{{Name: "role", Kind: "select", Value: string(u.Role), Options: roles}}},
		{Name: "sessions"},
	}
	if u.SecondFactor {
		list = append(list, pages.DeskAction{Name: "factor"})
	}
	return append(list, bar, pages.DeskAction{Name: "export"},
		pages.DeskAction{Name: "erase", Danger: true, Fields: []pages.DeskField{{Name: "confirm", Kind: "text", Required: true, Max: 255}}})
}

// changeUser does what a form of an account's page asks for. An admin neither bars
// nor erases themselves, nor changes their own role, so that one is left.
func (d Deps) changeUser(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	u, err := c.Auth.UserByID(ctx, o.By, o.ID)
	if err != nil {
		return outcome{}, err
	}
	if u.ID == c.UserID && (o.Action == "role" || o.Action == "disable" || o.Action == "enable" || o.Action == "erase") {
		return outcome{}, errYourself
	}
	switch o.Action {
	case "role":
		role := principal.Role(o.Role)
		if !role.Valid() {
			return outcome{}, errRole
		}
		if role != u.Role {
			_, err = c.Auth.SetRole(ctx, o.By, u.ID, role)
		}
		return outcome{done: "desk-role"}, err
	case "disable":
		_, err = c.Auth.SetDisabled(ctx, o.By, u.ID, true)
		return outcome{done: "desk-disabled"}, err
	case "enable":
		_, err = c.Auth.SetDisabled(ctx, o.By, u.ID, false)
		return outcome{done: "desk-enabled"}, err
	case "sessions":
		_, err = c.Auth.RevokeUserSessions(ctx, o.By, u.ID)
		return outcome{done: "desk-sessions"}, err
	case "factor":
		return outcome{done: "desk-factor"}, c.Auth.ResetTwoFactor(ctx, o.By, u.ID)
	case "grant":
		return d.grant(ctx, c, u, o)
	case "export":
		return d.export(ctx, c, u, o)
	case "erase":
		if !strings.EqualFold(strings.TrimSpace(o.Confirm), u.Email) {
			return outcome{}, errConfirmation
		}
		return d.erase(ctx, c, u, o)
	}
	return outcome{}, errUnknownAction
}
