package credit

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

// accountPath is the page of somebody's credits.
const accountPath = "/account/credits"

// entriesOfPage is how many rows of the ledger a page shows.
const entriesOfPage = 25

type historyRequest struct {
	Type   string `query:"type" rule:"optional,max=32,string"`
	App    string `query:"app" rule:"optional,max=255,string"`
	From   string `query:"from" rule:"optional,max=10,string"`
	To     string `query:"to" rule:"optional,max=10,string"`
	Before string `query:"before" rule:"optional,max=19,string"`
	Paid   string `query:"purchase" rule:"optional,string"`
	// Organization is whose account it is, empty for that of who is signed in.
	Organization string `query:"organization" rule:"optional,max=64,string"`
}

// errRange refuses days in the wrong order.
var errRange = &endpoint.Error{Status: http.StatusBadRequest, Code: "FIELD_range", Message: "from must not be after to"}

// filter reads what of the ledger is wanted. What cannot be read is an
// [*endpoint.Error], whose code names its text on the page.
func (q historyRequest) filter(c *endpoint.Call) (f creditcore.HistoryFilter, err error) {
	refuse := func(code string) error {
		return &endpoint.Error{Status: http.StatusBadRequest, Code: code, Message: "Invalid filter"}
	}
	if text := c.FieldText(); text != "" {
		return f, refuse(text)
	}
	f.Type, f.App = creditcore.EntryType(q.Type), q.App
	if q.Type != "" && !slices.Contains(creditcore.EntryTypes, f.Type) {
		return creditcore.HistoryFilter{}, refuse("FIELD_type_oneof")
	}
	if q.Before != "" {
		if f.Before, err = strconv.ParseInt(q.Before, 10, 64); err != nil || f.Before < 1 {
			return creditcore.HistoryFilter{}, refuse("VALIDATION_ERROR")
		}
	}
	if q.From != "" {
		at, ok := validate.ISODate(q.From)
		if !ok {
			return creditcore.HistoryFilter{}, refuse("FIELD_from_isodate")
		}
		f.From = &at
	}
	if q.To != "" {
		at, ok := validate.ISODate(q.To)
		if !ok {
			return creditcore.HistoryFilter{}, refuse("FIELD_to_isodate")
		}
		at = at.AddDate(0, 0, 1)
		f.Until = &at
	}
	if f.From != nil && f.Until != nil && !f.From.Before(*f.Until) {
		return creditcore.HistoryFilter{}, errRange
	}
	return f, nil
}

// query is the filter in an address, from the row of a sequence on where that is
// above zero.
func (q historyRequest) query(before int64) string {
	values := url.Values{}
	for name, value := range map[string]string{"type": q.Type, "app": q.App, "from": q.From, "to": q.To, "organization": q.Organization} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if before > 0 {
		values.Set("before", strconv.FormatInt(before, 10))
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// accountPage shows what somebody has, what they used, and their ledger.
func (d Deps) accountPage(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req historyRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, c.Request.URL.RequestURI()); away != nil || err != nil {
		return away, err
	}
	return d.showAccount(ctx, c, ledger, req, nil)
}

// showAccount shows the page, with what was refused of its other form.
func (d Deps) showAccount(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req historyRequest, refusal *endpoint.Error) (endpoint.Answer, error) {
	sells, err := d.Sells(ctx)
	if err != nil {
		return nil, err
	}
	who, err := c.ManageFor(ctx, req.Organization)
	if err != nil {
		return nil, err
	}
	view := pages.Credits{Sells: sells, Paid: req.Paid == "success", Organization: req.Organization, Done: sso.DoneOf(c, "saved")}
	status := http.StatusOK
	var filter creditcore.HistoryFilter
	if refusal != nil {
		status, view.Error = refusal.Status, refusal.Code
	} else if filter, err = req.filter(c); err != nil {
		refused := c.Known(err)
		status, view.Error = refused.Status, refused.Code
		req = historyRequest{Organization: who.Organization}
	}
	if err := d.showTopUp(ctx, who, &view); err != nil {
		return nil, err
	}
	if err := showBalance(ctx, who, ledger, &view); err != nil {
		return nil, err
	}
	if err := showAlerts(ctx, who, ledger, &view); err != nil {
		return nil, err
	}
	if err := showUsage(ctx, c, who, ledger, &view); err != nil {
		return nil, err
	}
	if err := showHistory(ctx, c, who, ledger, &view, req, filter); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

// showTopUp says whether the account is topped up by itself.
func (d Deps) showTopUp(ctx context.Context, who creditcore.Caller, view *pages.Credits) error {
	if !view.Sells {
		return nil
	}
	sales, err := d.Billing(ctx)
	if err != nil {
		return err
	}
	now, err := sales.TopUp(ctx, who)
	if err != nil {
		return err
	}
	view.ToppedUp = now.Enabled
	view.TopUpWaits = now.Running != nil && (now.Running.Confirm || now.Running.Reason == "declined")
	return nil
}

// shownUnlessZero is an amount, empty where it is nothing.
func shownUnlessZero(a creditcore.Amount) string {
	if a == 0 {
		return ""
	}
	return a.String()
}

func showBalance(ctx context.Context, who creditcore.Caller, ledger *creditcore.Service, view *pages.Credits) error {
	b, err := ledger.Balance(ctx, who)
	if err != nil {
		return err
	}
	view.Balance, view.Held, view.Debt = b.Available.String(), shownUnlessZero(b.Held), shownUnlessZero(b.Debt)
	lots, err := ledger.Lots(ctx, who)
	if err != nil {
		return err
	}
	for _, l := range lots {
		shown := pages.Lot{Source: string(l.Source), Left: l.Remaining.String(), CreatedAt: l.CreatedAt}
		if l.ExpiresAt != nil {
			shown.ExpiresAt = *l.ExpiresAt
		}
		if l.RollsOver != nil {
			shown.RollsOver = l.RollsOver.String()
		}
		view.Lots = append(view.Lots, shown)
	}
	return nil
}

// showUsage adds up the days that a report covers by default.
func showUsage(ctx context.Context, c *endpoint.Call, who creditcore.Caller, ledger *creditcore.Service, view *pages.Credits) error {
	to := dayOf(c.Now())
	from := to.AddDate(0, 0, 1-usageDays)
	byDay, err := ledger.Usage(ctx, who, from, to, creditcore.ByDay)
	if err != nil {
		return err
	}
	byApp, err := ledger.Usage(ctx, who, from, to, creditcore.ByApp)
	if err != nil {
		return err
	}
	view.ByApp, view.ByDay = usageLines(byApp), usageLines(byDay)
	spent := make(map[string]creditcore.Amount)
	for _, l := range byDay {
		spent[l.Key] = max(0, l.Credits-l.Refunded)
	}
	var days []time.Time
	var values []int64
	var written []string
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		amount := spent[day.Format(time.DateOnly)]
		days, values, written = append(days, day), append(values, int64(amount)), append(written, amount.String())
	}
	view.Chart = pages.NewChart(days, values, written)
	return nil
}

func usageLines(lines []creditcore.UsageLine) []pages.UsageLine {
	list := make([]pages.UsageLine, len(lines))
	for i, l := range lines {
		list[i] = pages.UsageLine{Name: l.Key, Credits: l.Credits.String(), Refunded: shownUnlessZero(l.Refunded), Requests: l.Requests}
	}
	return list
}

// showHistory shows a page of the ledger, and offers the apps that were used for
// as long as a report goes back.
func showHistory(ctx context.Context, c *endpoint.Call, who creditcore.Caller, ledger *creditcore.Service, view *pages.Credits, req historyRequest, filter creditcore.HistoryFilter) error {
	entries, err := ledger.HistoryOf(ctx, who, filter, entriesOfPage+1)
	if err != nil {
		return err
	}
	if len(entries) > entriesOfPage {
		entries = entries[:entriesOfPage]
		view.Older = req.query(entries[entriesOfPage-1].Sequence)
	}
	if filter.Before > 0 {
		view.Newest = req.query(0)
		if view.Newest == "" {
			view.Newest = "?"
		}
	}
	view.Export = req.query(0)
	names, err := memberNames(ctx, c, who)
	if err != nil {
		return err
	}
	for _, e := range entries {
		view.Entries = append(view.Entries, pages.Entry{
			At: e.CreatedAt, Type: string(e.Type), App: e.AppID, Operation: e.Operation, Description: e.Description,
			Amount: e.Amount.String(), Balance: e.BalanceAfter.String(), Incoming: e.Amount > 0, By: names[endpoint.TextOf(e.SpentBy)],
		})
	}
	to := dayOf(c.Now())
	apps, err := ledger.Usage(ctx, who, to.AddDate(0, 0, -maxUsageDays), to, creditcore.ByApp)
	if err != nil {
		return err
	}
	view.Filter = pages.HistoryFilter{Type: req.Type, App: req.App, From: req.From, To: req.To}
	for _, t := range creditcore.EntryTypes {
		view.Filter.Types = append(view.Filter.Types, string(t))
	}
	for _, a := range apps[:min(len(apps), mostApps)] {
		if a.Key != "" {
			view.Filter.Apps = append(view.Filter.Apps, a.Key)
		}
	}
	return nil
}

// memberNames are what the members of the organisation are called whose account it
// is; those who are no members any more have no name.
func memberNames(ctx context.Context, c *endpoint.Call, who creditcore.Caller) (map[string]string, error) {
	if who.Organization == "" {
		return nil, nil //nolint:nilnil // on a user's account nobody else spends
	}
	members, err := c.Auth.Members(ctx, c.Caller, who.Organization)
	names := make(map[string]string, len(members))
	for _, m := range members {
		if names[m.UserID] = m.Name; m.Name == "" {
			names[m.UserID] = m.Email
		}
	}
	return names, err
}

// mostApps bounds the apps that the filter offers.
const mostApps = 20
