package desk

import (
	"context"
	"strconv"
	"time"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
)

// hoursShown is how far the charts reach back.
const hoursShown = 24

// signIns and refusals are the events that the charts count.
var (
	signIns  = []string{"login_success"}
	refusals = []string{"login_failed", "two_factor_failed", "account_locked", "refresh_reuse", "passkey_cloned"}
)

// overview is how things stand: the last day by the hour, what waits, and what
// admins did last.
func (d Deps) overview(ctx context.Context, c *endpoint.Call, _ visit) (pages.Desk, error) {
	v := pages.Desk{Section: "overview", Heading: "overview", Links: []pages.DeskCell{{Word: "search", Link: searchPath}}}
	op := operator(c, "")
	first := c.Now().UTC().Truncate(time.Hour).Add(-(hoursShown - 1) * time.Hour)
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return v, err
	}
	events := func(title string, types []string) func(context.Context) (pages.DeskChart, error) {
		return func(ctx context.Context) (pages.DeskChart, error) {
			hours, err := c.Auth.EventHours(ctx, op, first, types...)
			return eventChart(title, first, hours), err
		}
	}
	for _, draw := range []func(context.Context) (pages.DeskChart, error){
		events("signIns", signIns), events("refusals", refusals),
		func(ctx context.Context) (pages.DeskChart, error) {
			used, err := ledger.UsageHours(ctx, first)
			return usageChart(first, used), err
		},
	} {
		chart, ok, err := inTime(ctx, draw)
		if err != nil {
			return v, err
		}
		if !ok {
			v.Notes = append(v.Notes, "chartsLeftOut")
			break
		}
		v.Charts = append(v.Charts, chart)
	}
	if d.Pace != nil {
		pace := d.Pace()
		v.Charts = append(v.Charts, paceChart("answersP99", pace.Answers), paceChart("hashWaitP99", pace.HashWaits))
	}
	if v.Facts, err = d.standing(ctx, c, ledger); err != nil {
		return v, err
	}
	done, _, err := c.Auth.SearchEvents(ctx, op, audit.Filter{Type: audit.AdminAction, Limit: 10})
	if err != nil {
		return v, err
	}
	actions := pages.DeskTable{Title: "adminActions", Columns: []string{"time", "admin", "what", "detail"}}
	for _, e := range done {
		actions.Rows = append(actions.Rows, []pages.DeskCell{at(e.CreatedAt), userOf(e), code(e.Type), object(e.Metadata)})
	}
	v.Tables = []pages.DeskTable{actions}
	return v, nil
}

// chartWait is how long a chart may take to add up. That of a day with millions of
// rows is left out, and those after it, not the page.
const chartWait = 2 * time.Second

// inTime is what draw returns, or not ok where it takes longer than [chartWait].
func inTime(ctx context.Context, draw func(context.Context) (pages.DeskChart, error)) (chart pages.DeskChart, ok bool, err error) {
	short, cancel := context.WithTimeout(ctx, chartWait)
	defer cancel()
	chart, err = draw(short)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return pages.DeskChart{}, false, nil
	}
	return chart, err == nil, err
}

// standing are the facts that should be as they are when nothing is wrong.
func (d Deps) standing(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service) ([]pages.DeskFact, error) {
	var facts []pages.DeskFact
	box, err := d.Outbox(ctx)
	if err != nil {
		return nil, err
	}
	if box != nil {
		waiting, dead, oldest, err := box.Counts(ctx)
		if err != nil {
			return nil, err
		}
		facts = append(facts, fact("waiting", link(strconv.Itoa(waiting), outboxPath)), fact("dead", link(strconv.Itoa(dead), outboxPath)))
		if waiting > 0 {
			facts = append(facts, fact("oldest", text(oldest.Round(time.Second).String())))
		}
	}
	alerts, err := alertsOfTheWeek(ctx, ledger, c.Now())
	if err != nil {
		return nil, err
	}
	facts = append(facts, alerts)
	age, hears := c.Auth.Listening()
	facts = append(facts, fact("listening", yesNo(hears)), fact("heard", text(age.Round(time.Millisecond).String())))
	edges, err := ledger.Edges(ctx, pageSize)
	if err != nil {
		return nil, err
	}
	alive := 0
	for _, e := range edges {
		if isAlive(e, c.Now()) {
			alive++
		}
	}
	return append(facts, fact("edgesAlive", link(strconv.Itoa(alive), edgesPath))), nil
}

// blankHours are the hours of a chart, from the first.
func blankHours(first time.Time) (hours []time.Time, values []int64, written []string) {
	for i := range hoursShown {
		hours = append(hours, first.Add(time.Duration(i)*time.Hour))
		written = append(written, "0")
	}
	return hours, make([]int64, hoursShown), written
}

func eventChart(title string, first time.Time, counts []audit.Hour) pages.DeskChart {
	hours, values, written := blankHours(first)
	var total int64
	for _, n := range counts {
		if i := int(n.At.Sub(first) / time.Hour); i >= 0 && i < hoursShown {
			values[i], written[i] = n.N, strconv.FormatInt(n.N, 10)
			total += n.N
		}
	}
	return pages.DeskChart{Title: title, Total: strconv.FormatInt(total, 10), Chart: pages.NewChart(hours, values, written)}
}

func usageChart(first time.Time, used []creditcore.UsageHour) pages.DeskChart {
	hours, values, written := blankHours(first)
	var total creditcore.Amount
	for _, u := range used {
		if i := int(u.At.Sub(first) / time.Hour); i >= 0 && i < hoursShown {
			values[i], written[i] = int64(u.Used), u.Used.String()
			total += u.Used
		}
	}
	return pages.DeskChart{Title: "creditsUsed", Total: total.String(), Chart: pages.NewChart(hours, values, written)}
}
