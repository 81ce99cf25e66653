package desk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/bookkeeping"
)

const booksPath = "/admin/books"

// mostDays bounds what the page shows of a period. A file has all of it.
const mostDays = 92

var (
	errPeriod  = &endpoint.Error{Status: http.StatusBadRequest, Code: "INVALID_PERIOD", Message: "from and to must be days such as 2026-10-01, at most ten years apart, from no later than to"}
	errNoBooks = &endpoint.Error{Status: http.StatusNotFound, Code: "BOOKS_NOT_FOUND", Message: "The books are accounts, days and deferred"}
)

// bookRoutes are those of the books.
func (d Deps) bookRoutes(show func(string) endpoint.Rule) []endpoint.Route {
	file := show("The books of a period as a file")
	file.Media, file.Limit, file.Errors = "text/csv", endpoint.PerMinute(20), []*endpoint.Error{errNotAdmin, errPeriod, errNoBooks}
	return []endpoint.Route{
		endpoint.Get(booksPath, shownList(d, d.books), show("The books: what all accounts had and did, day by day")),
		endpoint.Get(booksPath+"/{kind}", endpoint.Handle(d.bookFile), file),
	}
}

// period reads the first and the last day of a form; last month where both are empty. to
// is the day behind the last.
func period(c *endpoint.Call, first, last string) (from, to time.Time, err error) {
	if first == "" && last == "" {
		year, month, _ := c.Now().UTC().Date()
		to = time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return to.AddDate(0, -1, 0), to, nil
	}
	if from, err = time.Parse(time.DateOnly, first); err == nil {
		to, err = time.Parse(time.DateOnly, last)
	}
	if err != nil || to.Before(from) {
		return from, to, errPeriod
	}
	return from, to.AddDate(0, 0, 1), nil
}

// books shows the days of a period that is asked for, which takes as long as the ledger has
// grown since, and leads to its files.
func (d Deps) books(ctx context.Context, c *endpoint.Call, v visit) (pages.Desk, error) {
	from, to, err := period(c, v.From, v.To)
	out := pages.Desk{Section: "ledger", Heading: "books", Up: ledgerPath, Notes: []string{"books"}}
	if err != nil {
		from, to, _ = period(c, "", "")
		out.Notes = append(out.Notes, "badPeriod")
	}
	first, last := from.Format(time.DateOnly), to.AddDate(0, 0, -1).Format(time.DateOnly)
	out.Search = []pages.DeskField{{Name: "from", Kind: "date", Value: first}, {Name: "to", Kind: "date", Value: last}}
	for _, kind := range bookkeeping.Kinds {
		out.Links = append(out.Links, pages.DeskCell{Word: "books-" + string(kind), Link: booksPath + "/" + string(kind) + queryOf("from", first, "to", last)})
	}
	if v.From == "" && v.To == "" {
		return out, nil
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return out, err
	}
	if most := from.AddDate(0, 0, mostDays); to.After(most) {
		to = most
		out.Notes = append(out.Notes, "moreDays")
	}
	t := pages.DeskTable{Columns: []string{"day", "entries", "opening", "bookPurchases", "bookGifts", "bookRefunds", "bookUsage", "bookExpiry", "bookAdjustments", "closing"}}
	err = ledger.DayTotals(ctx, from, to, func(day creditcore.DayTotal) error {
		m := day.Movements
		row := []pages.DeskCell{text(day.Day.UTC().Format(time.DateOnly)), text(fmt.Sprint(m.Entries))}
		for _, a := range []creditcore.Amount{m.Opening, m.Purchases, m.Gifts, m.Refunds, m.Usage, m.Expiry, m.Adjustments, m.Closing} {
			row = append(row, credits(a))
		}
		t.Rows = append(t.Rows, row)
		return nil
	})
	out.Tables = []pages.DeskTable{t}
	return out, err
}

// bookRequest names the books, and the first and the last day of a period.
type bookRequest struct {
	Kind string `path:"kind" rule:"max=16,string"`
	From string `query:"from" rule:"optional,max=32,string"`
	To   string `query:"to" rule:"optional,max=32,string"`
}

// bookFile answers with the books of a period as CSV. It is written as it is read.
func (d Deps) bookFile(ctx context.Context, c *endpoint.Call, req bookRequest) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, c.Request.URL.RequestURI()); away != nil || err != nil {
		return away, err
	}
	if !d.maySee(c) {
		return nil, errNotAdmin
	}
	kind := bookkeeping.Kind(req.Kind)
	if !kind.Known() {
		return nil, errNoBooks
	}
	from, to, err := period(c, req.From, req.To)
	if err == nil {
		err = creditcore.CheckPeriod(from, to)
	}
	if err != nil {
		return nil, errPeriod
	}
	ledger, err := d.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	name := "books-" + string(kind) + "-" + from.Format(time.DateOnly) + "-" + to.AddDate(0, 0, -1).Format(time.DateOnly) + ".csv"
	if kind == bookkeeping.Deferred {
		name = "books-deferred-" + c.Now().UTC().Format(time.DateOnly) + ".csv"
	}
	return endpoint.Download{
		Filename: name, ContentType: "text/csv; charset=utf-8",
		Content: func(w io.Writer) error { return bookkeeping.Write(ctx, w, ledger, kind, from, to) },
	}, nil
}
