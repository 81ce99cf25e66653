package desk

import (
	"context"
	"strconv"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/keyset"
)

// seriousAlerts are those that the overview counts: money is missing, or does not come any
// more.
var seriousAlerts = []creditcore.AlertKind{
	creditcore.AlertDebt, creditcore.AlertRenewalFailed, creditcore.AlertTopUpFailed, creditcore.AlertTopUpOff,
}

const (
	// alertDays is how far back they are counted.
	alertDays = 7
	// mostAlerts bounds how far.
	mostAlerts = 1000
	// alertWord is before a kind of alerts where it is looked up as a word.
	alertWord = "alert."
)

// alerts lists what the owners of accounts were told, by kind and account. With a user and
// an organisation it is what the organisation's account told of that member alone.
func (d Deps) alerts(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	kinds := []string{""}
	for _, k := range creditcore.AlertKinds() {
		kinds = append(kinds, string(k))
	}
	out := pages.Desk{Section: "alerts", Heading: "alerts", Notes: []string{"alerts"}, Search: []pages.DeskField{
		{Name: "kind", Kind: "select", Value: v.Kind, Options: kinds, Words: alertWord},
		{Name: "user", Kind: "search", Value: v.User, Max: 255}, {Name: "org", Kind: "search", Value: v.Org, Max: 255},
	}}
	who, err := userNamed(ctx, c, v.User)
	if err != nil {
		return out, err
	}
	q := creditcore.AlertQuery{Kind: creditcore.AlertKind(v.Kind), AccountID: who, Before: keyset.Parse(v.Before), Limit: pageSize}
	if v.Org != "" {
		q.AccountID, q.UserID = creditcore.OrganizationAccount(v.Org), who
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	list, next, err := ledger.AlertPage(ctx, q)
	if err != nil {
		return out, err
	}
	t := pages.DeskTable{Columns: []string{"time", "what", "user", "numbers", "concerns"}}
	for _, a := range list {
		concerns := pages.DeskCell{}
		if a.UserID != nil {
			concerns = userLink(*a.UserID, a.UserEmail)
		}
		t.Rows = append(t.Rows, []pages.DeskCell{at(a.CreatedAt), word(alertWord + string(a.Kind)), accountLink(a.AccountID, a.Owner, a.Owner), numbersOf(a.Alert), concerns})
	}
	out.Tables = []pages.DeskTable{pager(t, alertsPath, v.Before, next, "kind", v.Kind, "user", v.User, "org", v.Org)}
	return out, nil
}

// numbersOf are what an alert tells, each with what it is.
func numbersOf(a creditcore.Alert) pages.DeskCell {
	n, err := a.Numbers()
	if err != nil {
		return object(a.Data) // of another version
	}
	var parts []pages.DeskFact
	for _, f := range []struct {
		label  string
		amount *creditcore.Amount
	}{{"balance", n.Balance}, {"threshold", n.Threshold}, {"required", n.Required}, {"credits", n.Credits}, {"budget", n.Budget}} {
		if f.amount != nil {
			parts = append(parts, fact(f.label, credits(*f.amount)))
		}
	}
	if n.Period != "" {
		parts = append(parts, fact("period", word("period-"+string(n.Period))))
	}
	if n.KeyID != "" {
		parts = append(parts, fact("key", code(n.KeyID)))
	}
	if n.ExpiresAt != nil {
		parts = append(parts, fact("firstEnd", at(*n.ExpiresAt)))
	}
	if n.EuroCents > 0 {
		parts = append(parts, fact("price", cents(n.EuroCents)))
	}
	if n.CapEuroCents > 0 {
		parts = append(parts, fact("topUpCap", cents(n.CapEuroCents)))
	}
	if n.Reason != "" {
		parts = append(parts, fact("reason", word("topUp-"+n.Reason)))
	}
	return pages.DeskCell{Parts: parts}
}

// alertsOfTheWeek is a line of how many serious alerts there were, each leading to them.
func alertsOfTheWeek(ctx context.Context, ledger *creditcore.Service, now time.Time) (pages.DeskFact, error) {
	counts, err := ledger.CountAlerts(ctx, now.AddDate(0, 0, -alertDays), mostAlerts, seriousAlerts...)
	line := pages.DeskCell{}
	for _, k := range seriousAlerts {
		n := strconv.Itoa(counts[k])
		if counts[k] == mostAlerts {
			n += "+"
		}
		line.Parts = append(line.Parts, fact("alert-"+string(k), link(n, alertsPath+queryOf("kind", string(k)))))
	}
	return fact("alertsOfTheWeek", line), err
}
