package creditcore_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
)

// A rehearsal says what charges would have cost by other prices, less what was
// given back, and changes nothing.
func TestRehearse(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	ada, bob := l.user("ada", 100*creditcore.Credit), l.user("bob", 100*creditcore.Credit)
	l.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ('p', 'Pro')`)
	l.exec(`INSERT INTO subscriptions.subscriptions (user_id, plan_id) VALUES ($1, 'p')`, bob)
	use := func(user, app, metadata string, amount creditcore.Amount) creditcore.Receipt {
		t.Helper()
		r, err := l.debit(creditcore.Debit{UserID: user, AppID: app, Amount: amount, Metadata: json.RawMessage(metadata)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	use(ada, "old", `{"price":"chat","quantity":1}`, 7000)
	l.exec(`SELECT pg_sleep(0.01)`)
	since := time.Now().Add(time.Hour) // set below, by the clock of the database
	if err := l.db.Pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&since); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		use(ada, "chat", `{"price":"chat","quantity":1}`, 5000)
	}
	use(bob, "chat", `{"price":"token","quantity":1500.5}`, 3001)
	use(bob, "image", `{"price":"gone","quantity":2}`, 4000)  // no price of the new table
	use(bob, "image", `{"price":"chat"}`, 1234)               // of no quantity
	use(bob, "image", `{"price":"chat","quantity":"x"}`, 100) // of one that is none
	use(ada, "image", ``, 2000)
	half := use(ada, "chat", `{"price":"chat","quantity":2}`, 10_000)
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: ada, EntryID: half.Entry.ID, Amount: 5000, AppID: "chat"}); err != nil {
		t.Fatal(err)
	}
	table := creditcore.NewPrices(
		creditcore.Price{Name: "chat", Credits: 4000, Per: 1, Plans: []creditcore.PlanPrice{{Plan: "basic", Credits: 1}}},
		creditcore.Price{Name: "token", Credits: 1000, Per: 1, Unit: "tokens", Plans: []creditcore.PlanPrice{{Plan: "pro", Credits: 1, Tiers: []creditcore.Tier{{Above: 1499, Credits: 2000}}}}}, // 1.499 and 3
	)
	for by, want := range map[creditcore.RehearsalGroup][]creditcore.Rehearsed{
		creditcore.RehearseByUser: {
			{Key: "ada@example.com", Charges: 5, Fixed: 1, Paid: 22_000, Would: 18_000}, // 3×4 + 2×4÷2 + 2
			{Key: "bob@example.com", Charges: 4, Fixed: 3, Paid: 8335, Would: 9833},     // 4.499 for the tokens
		},
		creditcore.RehearseByApp: {
			{Key: "chat", Charges: 5, Paid: 23_001, Would: 20_499},
			{Key: "image", Charges: 4, Fixed: 4, Paid: 7334, Would: 7334},
		},
		creditcore.RehearseByPlan: {
			{Key: "", Charges: 5, Fixed: 1, Paid: 22_000, Would: 18_000},
			{Key: "Pro", Charges: 4, Fixed: 3, Paid: 8335, Would: 9833},
		},
		creditcore.RehearseByPrice: {
			{Key: "chat", Charges: 6, Fixed: 2, Paid: 21_334, Would: 17_334},
			{Key: "token", Charges: 1, Paid: 3001, Would: 4499},
			{Key: "", Charges: 1, Fixed: 1, Paid: 2000, Would: 2000},
			{Key: "gone", Charges: 1, Fixed: 1, Paid: 4000, Would: 4000},
		},
	} {
		got, err := l.Rehearse(t.Context(), since, table, by)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s (-want +got)\n%s", by, diff)
		}
	}
	if _, err := l.Rehearse(t.Context(), since, table, "moon"); !errors.Is(err, creditcore.ErrInvalid) {
		t.Error(err)
	}
	l.wantAvailable(ada, 71_000)
}
