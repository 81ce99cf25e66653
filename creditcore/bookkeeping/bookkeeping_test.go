package bookkeeping_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/bookkeeping"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestWrite(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	for _, sql := range []string{
		`INSERT INTO auth.users (id, name, email) VALUES ('ada', 'Ada', 'ada@example.test')`,
		`INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, status, completed_at) VALUES ('p1', 'ada', 8000, 99, 'completed', '2026-03-01T10:00:00Z')`,
	} {
		if _, err := dbscope.Exec(t.Context(), db.Pool, dbscope.System(), sql); err != nil {
			t.Fatal(err)
		}
	}
	write := func(kind bookkeeping.Kind, from, to string) string {
		t.Helper()
		var out strings.Builder
		begin, _ := time.Parse(time.DateOnly, from)
		end, _ := time.Parse(time.DateOnly, to)
		if err := bookkeeping.Write(t.Context(), &out, ledger, kind, begin, end); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(out.String(), "\r\n", "\n")
	}
	const movements = "entries,opening,purchases,gifts,refunds,usage,expiry,adjustments,closing\n"
	for kind, want := range map[bookkeeping.Kind]string{
		bookkeeping.Accounts: "day,account," + movements,
		bookkeeping.Days:     "day,accounts," + movements + "2026-03-01,0,0,0,0,0,0,0,0,0,0\n",
		bookkeeping.Deferred: "account,source,sale,paidAt,expiresAt,sold,left,euros\n",
	} {
		if got := write(kind, "2026-03-01", "2026-03-02"); got != want {
			t.Errorf("%s of an empty ledger:\n%s", kind, got)
		}
	}

	_, err := ledger.Grant(t.Context(), creditcore.Grant{UserID: "ada", Amount: 8000, Type: creditcore.Purchase, Source: creditcore.SourcePurchase, AppID: "shop", Reference: "purchase:p1"})
	if err == nil {
		_, err = ledger.Debit(t.Context(), creditcore.Debit{UserID: "ada", Amount: 1, AppID: "chat"})
	}
	if err != nil {
		t.Fatal(err)
	}
	db.Tamper(t, `UPDATE credits.transactions SET created_at = '2026-03-01T23:59:59Z'::timestamptz + (sequence - 1) * interval '1 day'`)
	for kind, want := range map[bookkeeping.Kind]string{
		bookkeeping.Accounts: "day,account," + movements + "2026-03-01,ada,1,0,8,0,0,0,0,0,8\n2026-03-02,ada,1,8,0,0,0,-0.001,0,0,7.999\n",
		bookkeeping.Days:     "day,accounts," + movements + "2026-03-01,1,1,0,8,0,0,0,0,0,8\n2026-03-02,1,1,8,0,0,0,-0.001,0,0,7.999\n2026-03-03,0,0,7.999,0,0,0,0,0,0,7.999\n",
		bookkeeping.Deferred: "account,source,sale,paidAt,expiresAt,sold,left,euros\nada,purchase,p1,2026-03-01T10:00:00Z,,8,7.999,0.98988\n",
	} {
		if got := write(kind, "2026-03-01", "2026-03-04"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", kind, got, want)
		}
	}

	var out strings.Builder
	if err := bookkeeping.Write(t.Context(), &out, ledger, bookkeeping.Days, time.Now(), time.Now()); !errors.Is(err, creditcore.ErrPeriod) || out.Len() > 0 {
		t.Errorf("no period: %v, %q", err, &out)
	}
	if err := bookkeeping.Write(t.Context(), &out, ledger, "diary", time.Now(), time.Now()); err == nil {
		t.Error("an unknown kind is written")
	}
}
