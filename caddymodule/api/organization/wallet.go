package organization

import (
	"context"
	"strings"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

// entriesOfTeam is how many rows of the ledger the page of an organisation shows.
const entriesOfTeam = 10

// everyone stands in a form for every plain member to whom nothing is allotted by
// name.
const everyone = "everyone"

// show fills in what the organisation has, what who looks may know of it, and what
// the members may spend.
func (w wallets) show(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, members []organization.Member, view *pages.Team) error {
	who, _, err := c.ReadFor(ctx, view.ID)
	if err != nil {
		return err
	}
	b, err := ledger.Balance(ctx, who)
	if err != nil {
		return err
	}
	v := &view.Wallet
	v.Balance, v.Held, v.Debt = b.Available.String(), unlessZero(b.Held), unlessZero(b.Debt)
	if v.Sells, err = w.sells(ctx); err != nil {
		return err
	}
	common, err := ledger.DefaultAllotment(ctx, who)
	if err != nil {
		return err
	}
	if common != nil {
		v.Default = pages.Allotment{Credits: common.Credits.String(), Period: string(common.Period)}
	}
	shares, err := ledger.Shares(ctx, who)
	if err != nil {
		return err
	}
	byUser, names := make(map[string]pages.Share, len(shares)), make(map[string]string, len(members))
	for _, s := range shares {
		byUser[s.UserID] = shareOf(s)
	}
	v.Share = byUser[c.UserID]
	for i, m := range members {
		view.Members[i].Share = byUser[m.UserID]
		if names[m.UserID] = m.Name; m.Name == "" {
			names[m.UserID] = m.Email
		}
	}
	return showEntries(ctx, ledger, who, view, names)
}

// showEntries shows the last rows of the ledger, to a plain member their own.
func showEntries(ctx context.Context, ledger *creditcore.Service, who creditcore.Caller, view *pages.Team, names map[string]string) error {
	filter := creditcore.HistoryFilter{}
	if !view.Manages {
		filter.SpentBy = who.UserID
	}
	entries, err := ledger.HistoryOf(ctx, who, filter, entriesOfTeam)
	for _, e := range entries {
		view.Wallet.Entries = append(view.Wallet.Entries, pages.Entry{
			At: e.CreatedAt, Type: string(e.Type), App: e.AppID, Operation: e.Operation, Description: e.Description,
			Amount: e.Amount.String(), Incoming: e.Amount > 0, By: names[endpoint.TextOf(e.SpentBy)],
		})
	}
	return err
}

func unlessZero(a creditcore.Amount) string {
	if a == 0 {
		return ""
	}
	return a.String()
}

func shareOf(s creditcore.Share) pages.Share {
	shown := pages.Share{Common: s.Default, Spent: s.Spent.String()}
	if s.Credits != nil && s.Period != nil {
		shown.Allotment = pages.Allotment{Credits: s.Credits.String(), Period: string(*s.Period)}
	}
	if s.Left != nil {
		shown.Left = s.Left.String()
	}
	return shown
}

// allot says what a member may spend, as a form has it.
func allot(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req teamFormRequest) error {
	who, userID, err := allottee(ctx, c, req)
	if err != nil {
		return err
	}
	// In German a comma stands before the decimals.
	credits, err := creditcore.ParseAmount(strings.Replace(strings.TrimSpace(req.Credits), ",", ".", 1))
	if err != nil || credits <= 0 || credits > creditcore.MaxAmount || len(c.FieldErrors) > 0 {
		return errCredits
	}
	switch period := creditcore.Period(req.Period); period {
	case creditcore.PerDay, creditcore.PerMonth, creditcore.InTotal:
		_, err = ledger.Allot(ctx, who, creditcore.Allotment{UserID: userID, Credits: credits, Period: period})
		return err
	}
	return errUnknownAction
}

// unallot takes back what was allotted to a member.
func unallot(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req teamFormRequest) error {
	who, userID, err := allottee(ctx, c, req)
	if err != nil {
		return err
	}
	return ledger.Unallot(ctx, who, userID)
}

// allottee is who changes an allotment, as an owner or admin, and whose it is:
// empty for everyone's.
func allottee(ctx context.Context, c *endpoint.Call, req teamFormRequest) (who creditcore.Caller, userID string, err error) {
	if who, err = c.ManageFor(ctx, req.ID); err != nil || req.Member == everyone {
		return who, "", err
	}
	members, err := c.Auth.Members(ctx, c.Caller, req.ID)
	for _, m := range members {
		if m.ID == req.Member {
			return who, m.UserID, nil
		}
	}
	if err == nil {
		err = organization.ErrMemberNotFound
	}
	return who, "", err
}
