package api_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/stripetest"
)

// finance reads the books at the desk.
type finance struct {
	*site
	boss header
}

// books are the lines of a file, by the names of their columns.
func (f finance) books(kind, query string) (lines []map[string]string) {
	f.Helper()
	got := f.send("GET", "/admin/books/"+kind+query, nil, f.boss).status(200)
	if got.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(got.header.Get("Content-Disposition"), `attachment; filename="books-`+kind+"-") {
		f.Errorf("%s: %v", kind, got.header)
	}
	rows, err := csv.NewReader(strings.NewReader(got.body)).ReadAll()
	if err != nil || len(rows) == 0 {
		f.Fatalf("%s: %v\n%s", kind, err, got.body)
	}
	for _, row := range rows[1:] {
		line := map[string]string{}
		for i, name := range rows[0] {
			line[name] = row[i]
		}
		lines = append(lines, line)
	}
	return lines
}

// total adds a column up, in thousandths.
func (f finance) total(lines []map[string]string, column string) (sum creditcore.Amount) {
	f.Helper()
	for _, line := range lines {
		digits, negative := strings.CutPrefix(line[column], "-")
		a, err := creditcore.ParseAmount(digits)
		if err != nil {
			f.Fatalf("%s: %q", column, line[column])
		}
		if negative {
			a = -a
		}
		sum += a
	}
	return sum
}

// What a finance person takes from the desk adds up with itself, with the audit of the
// ledger, and with what Stripe was paid and paid back.
func TestBooksAgreeWithStripeAndTheAudit(t *testing.T) {
	t.Parallel()
	s, bank, packageID := storefront(t)
	f := finance{site: s}
	bossID, _ := s.member("boss@example.test")
	s.exec(`UPDATE auth.users SET role = 'admin' WHERE id = $1`, bossID)
	f.boss = s.cookie("boss@example.test")
	var intents []string
	for i, charge := range []string{"0.007", "250", "999.9"} {
		email := fmt.Sprint("buyer", i, "@example.test")
		_, token := s.member(email)
		secret := s.send("POST", buyURL, map[string]any{"packageId": packageID}, token).status(201).text("clientSecret")
		intent, _, _ := strings.Cut(secret, "_secret_")
		s.events(bank, bank.Pay(intent)...)
		intents = append(intents, intent)
		s.send("POST", "/api/v1/credits/use", `{"amount":`+charge+`,"appId":"chat","description":"A talk"}`, token).status(201)
	}
	s.events(bank, bank.Refund(intents[1], 333)...)

	// The day may change meanwhile: the books are those of two.
	now := time.Now().UTC()
	query := "?from=" + now.AddDate(0, 0, -1).Format(time.DateOnly) + "&to=" + now.AddDate(0, 0, 1).Format(time.DateOnly)
	days, accounts, deferred := f.books("days", query), f.books("accounts", query), f.books("deferred", "")
	if len(days) != 3 || len(accounts) < 3 {
		t.Fatalf("%d days, %d lines", len(days), len(accounts))
	}
	for _, column := range []string{"entries", "purchases", "gifts", "refunds", "usage", "expiry", "adjustments"} {
		if d, a := f.total(days, column), f.total(accounts, column); d != a {
			t.Errorf("%s: the days come to %s, the accounts to %s", column, d, a)
		}
	}
	sold, back, used := f.total(days, "purchases"), f.total(days, "adjustments"), f.total(days, "usage")
	if want := creditcore.Credits(3000); sold != want || used != -1_249_907 || back != -333_000 {
		t.Errorf("sold %s, taken back %s, used %s", sold, back, used)
	}
	balances := f.total(days[2:], "closing")
	if balances != sold+back+used {
		t.Errorf("in the end there are %s", balances)
	}
	report, err := s.Ledger.Audit(t.Context())
	if err != nil || len(report.Breaches) > 0 || f.total(days, "entries") != creditcore.Amount(report.Entries)*creditcore.Credit {
		t.Errorf("the audit: %+v, %v", report, err)
	}

	// What is deferred and what is earned is the money that Stripe has.
	var paid int64
	for i, intent := range intents {
		paid += stripetest.Object[struct {
			AmountReceived int64 `json:"amount_received"`
		}](bank, intent).AmountReceived
		if i == 1 {
			paid -= 333
		}
	}
	if paid != 3*999-333 || f.total(deferred, "left") != balances {
		t.Errorf("Stripe has %d cents; %s credits are deferred, %s are there", paid, f.total(deferred, "left"), balances)
	}
	want := []string{"9.98993", "4.16375", "0.00100"} // of 9.99 for 999.993 of 1000 credits, of 6.66 for 417 of 667, of 9.99 for 0.1
	var got []string
	for _, line := range deferred {
		got = append(got, line["euros"])
	}
	for _, euros := range want {
		if !strings.Contains(strings.Join(got, " "), euros) {
			t.Errorf("deferred %v, want %v", got, want)
		}
	}
}

func TestBooksPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	english := with("Accept-Language", "en")
	today := time.Now().UTC().Format(time.DateOnly)
	page := o.send("GET", "/admin/books?from="+today+"&to="+today, nil, o.boss, english).status(200)
	for _, want := range []string{today, "/admin/books/accounts?from=" + today, "/admin/books/deferred?from="} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q:\n%s", want, page.body)
		}
	}
	page = o.send("GET", "/admin/books?from=2020-01-01&to=2021-12-31", nil, o.boss, english).status(200)
	if !strings.Contains(page.body, "first 92 days") || strings.Contains(page.body, "2020-04-02") || !strings.Contains(page.body, "2020-04-01") {
		t.Errorf("a long period: %s", page.body)
	}
	for path, status := range map[string]int{
		"/days?from=2026-01-02&to=2026-01-01": 400, "/days?from=x&to=2026-01-01": 400, "/days?from=1900-01-01&to=2026-01-01": 400,
		"/diary": 404, "/days": 200, "/deferred": 200,
	} {
		if got := o.send("GET", "/admin/books"+path, nil, o.boss); got.code != status {
			t.Errorf("%s: %d %s", path, got.code, got.body)
		}
		o.send("GET", "/admin/books"+path, nil, o.user).status(403)
		o.send("GET", "/admin/books"+path, nil).status(303)
	}
	o.send("GET", "/admin/books/days", nil, o.support).status(200)
}
