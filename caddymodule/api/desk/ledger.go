package desk

import (
	"context"
	"errors"
	"math"
	"strconv"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

// ledgers lists the accounts that owe. One that is searched for is found among the
// accounts of users.
func (d Deps) ledgers(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	out := pages.Desk{Section: "ledger", Heading: "ledger", Notes: []string{"ledger"}, Links: []pages.DeskCell{{Word: "books", Link: booksPath}}, Search: []pages.DeskField{{Name: "q", Kind: "search", Value: v.Q, Max: 255}}}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	if v.Q != "" {
		list, _, err := c.Auth.FindUsers(ctx, operator(c, ""), authcore.UserSearch{Text: v.Q, Limit: pageSize})
		if err != nil {
			return out, err
		}
		t := pages.DeskTable{Title: "accounts", Columns: []string{"address", "name", "id"}}
		for _, u := range list {
			t.Rows = append(t.Rows, []pages.DeskCell{link(u.Email, pathOf(ledgerPath, u.ID)), text(u.Name), code(u.ID)})
		}
		out.Tables = append(out.Tables, t)
	}
	debtors, err := ledger.Debtors(ctx, v.Before, pageSize+1)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Title: "debtors", Columns: []string{"address", "balance", "debt"}}
	for _, b := range debtors[:min(len(debtors), pageSize)] {
		t.Rows = append(t.Rows, []pages.DeskCell{link(b.Email, pathOf(ledgerPath, b.UserID)), credits(b.Balance), credits(b.Debt)})
	}
	if v.Before != "" {
		t.Newest = ledgerPath
	}
	if len(debtors) > pageSize {
		t.Older = ledgerPath + queryOf("before", debtors[pageSize-1].UserID)
	}
	out.Tables = append(out.Tables, t)
	return out, nil
}

// account is an account of the ledger: what it is made of, its rows, what it owes,
// and where it is asked for, its audit.
func (d Deps) account(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	u, err := c.Auth.UserByID(ctx, operator(c, ""), v.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return pages.Desk{}, err
	}
	b, err := ledger.BalanceOf(ctx, u.ID)
	if err != nil {
		return pages.Desk{}, err
	}
	at := pathOf(ledgerPath, u.ID)
	out := pages.Desk{
		Section: "ledger", Heading: "account", About: u.Email, Up: ledgerPath,
		Links: []pages.DeskCell{{Word: "user", Link: pathOf(usersPath, u.ID)}, {Word: "alerts", Link: alertsPath + queryOf("user", u.ID)}, {Word: "audit", Link: at + "?audit=1"}},
		Facts: []pages.DeskFact{
			fact("balance", credits(b.Available)), fact("held", credits(b.Held)), fact("debt", credits(b.Debt)),
			fact("earned", credits(b.TotalEarned)), fact("spent", credits(b.TotalSpent)), fact("changed", pages.DeskCell{At: b.UpdatedAt}),
		},
	}
	if err := d.toppedUp(ctx, u.ID, &out); err != nil {
		return out, err
	}
	if v.Audit != "" {
		if err := audited(ctx, ledger, u.ID, &out); err != nil {
			return out, err
		}
	}
	if err := accountTables(ctx, ledger, u.ID, v.Before, &out); err != nil {
		return out, err
	}
	if b.Debt > 0 {
		out.Actions = []pages.DeskAction{{Name: "forgive", Fields: []pages.DeskField{{Name: "atMost", Kind: "text", Max: 32}}}}
	}
	return out, nil
}

// toppedUp adds the automatic top-up of an account, where it has one.
func (d Deps) toppedUp(ctx context.Context, userID string, out *pages.Desk) error {
	sales, err := d.Billing(ctx)
	if err != nil {
		return err
	}
	now, err := sales.TopUpOf(ctx, userID)
	if err != nil || now.Card == nil && now.MonthlyCap == 0 {
		return err
	}
	out.Facts = append(out.Facts, fact("topUp", yesNo(now.Enabled)), fact("topUpSpent", cents(now.Spent)), fact("topUpCap", cents(now.MonthlyCap)))
	if now.Card != nil {
		out.Facts = append(out.Facts, fact("topUpCard", text(now.Card.Brand+" "+now.Card.Last4)))
	}
	list, err := sales.TopUps(ctx, userID, pageSize)
	if err != nil {
		return err
	}
	t := pages.DeskTable{Title: "topUps", Columns: []string{"time", "state", "reason", "price", "id"}}
	for _, b := range list {
		state := badge(b.State, plain)
		switch b.State {
		case "bought":
			state = badge(b.State, good)
		case "confirm":
			state = badge(b.State, bad)
		}
		reason := pages.DeskCell{}
		if b.Reason != "" {
			reason = word("topUp-" + b.Reason)
		}
		t.Rows = append(t.Rows, []pages.DeskCell{at(b.CreatedAt), state, reason, cents(b.PriceEuroCents), code(b.ID)})
	}
	out.Tables = append(out.Tables, t)
	return nil
}

// changeLedger writes off what an account owes: all of it, or as much as the form
// says.
func (d Deps) changeLedger(ctx context.Context, c *endpoint.Call, o order) (outcome, error) {
	u, err := c.Auth.UserByID(ctx, o.By, o.ID)
	if err != nil {
		return outcome{}, err
	}
	if o.Action != "forgive" {
		return outcome{}, errUnknownAction
	}
	f := creditcore.Forgiveness{UserID: u.ID, Reason: o.Reason, By: o.By.Name}
	if o.AtMost != "" {
		if f.Amount, err = creditcore.ParseAmount(o.AtMost); err != nil || f.Amount <= 0 {
			return outcome{}, errAmount
		}
	}
	forgive, err := d.Forgive(ctx)
	if err != nil {
		return outcome{}, errors.Join(authcore.ErrUnavailable, err)
	}
	forgiven, err := forgive(ctx, o.By, f)
	if err == nil && forgiven == 0 {
		err = errNothingOwed
	}
	return outcome{done: "desk-forgiven"}, err
}

// audited adds what the audit of an account finds.
func audited(ctx context.Context, ledger *creditcore.Service, userID string, out *pages.Desk) error {
	report, err := ledger.AuditAccount(ctx, userID)
	if err != nil {
		return err
	}
	out.Facts = append(out.Facts, fact("audit", yesNo(len(report.Breaches) == 0)), fact("rows", text(strconv.FormatInt(report.Entries, 10))))
	if len(report.Breaches) == 0 {
		return nil
	}
	t := pages.DeskTable{Title: "breaches", Columns: []string{"what", "detail"}}
	for _, b := range report.Breaches[:min(len(report.Breaches), pageSize)] {
		t.Rows = append(t.Rows, []pages.DeskCell{text(b.Invariant), code(b.Detail)})
	}
	out.Tables = append(out.Tables, t)
	return nil
}

// accountTables adds the rows of an account, what it is made of and what it owes.
func accountTables(ctx context.Context, ledger *creditcore.Service, userID, before string, out *pages.Desk) error {
	who := creditcore.Caller{UserID: userID}
	sequence, err := strconv.ParseInt(before, 10, 64)
	if err != nil || sequence < 1 {
		before, sequence = "", math.MaxInt64
	}
	rows, err := ledger.HistoryBefore(ctx, who, pageSize+1, sequence)
	if err != nil {
		return err
	}
	entries := pages.DeskTable{Title: "entries", Columns: []string{"time", "number", "type", "app", "description", "amount", "after"}}
	for _, e := range rows[:min(len(rows), pageSize)] {
		entries.Rows = append(entries.Rows, []pages.DeskCell{
			{At: e.CreatedAt}, text(strconv.FormatInt(e.Sequence, 10)), word(string(e.Type)), code(e.AppID), text(e.Description), credits(e.Amount), credits(e.BalanceAfter),
		})
	}
	here := pathOf(ledgerPath, userID)
	if before != "" {
		entries.Newest = here
	}
	if len(rows) > pageSize {
		entries.Older = here + queryOf("before", strconv.FormatInt(rows[pageSize-1].Sequence, 10))
	}
	lots, err := ledger.Lots(ctx, who)
	if err != nil {
		return err
	}
	made := pages.DeskTable{Title: "lots", Columns: []string{"source", "left", "since", "until"}}
	for _, l := range lots {
		made.Rows = append(made.Rows, []pages.DeskCell{word(string(l.Source)), credits(l.Remaining), {At: l.CreatedAt}, optionalTime(l.ExpiresAt)})
	}
	debts, err := ledger.DebtsOf(ctx, userID, pageSize)
	if err != nil {
		return err
	}
	owed := pages.DeskTable{Title: "debts", Columns: []string{"time", "what", "amount", "reference", "reason", "by"}}
	for _, b := range debts {
		owed.Rows = append(owed.Rows, []pages.DeskCell{{At: b.CreatedAt}, word(b.Kind), credits(b.Amount), code(b.Reference), optional(b.Reason), optional(b.ForgivenBy)})
	}
	out.Tables = append(out.Tables, entries, made, owed)
	return nil
}
