package creditcore_test

import (
	"errors"
	"slices"
	"testing"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// Of debits under one key that are in one batch the first charges; the others
// replay it, or are refused where they are other requests. None fails the batch.
func TestTwinsInOneBatch(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 100), l.user("bob", 100)
	debit := func(user string, amount creditcore.Amount, key string) creditcore.Debit {
		return creditcore.Debit{UserID: user, Amount: amount, AppID: "app", Key: key}
	}
	receipts, errs, err := l.DebitTogether(t.Context(), debit(alice, 10, "k"), debit(alice, 10, "k"), debit(alice, 20, "k"),
		debit(alice, 1, ""), debit(alice, 1, ""), debit(alice, 10, "other"), debit(bob, 10, "k"))
	if err != nil {
		t.Fatal(err)
	}
	for i, replayed := range []bool{false, true, false, false, false, false, false} {
		if wantErr := i == 2; wantErr != errors.Is(errs[i], creditcore.ErrKeyReused) || !wantErr && errs[i] != nil || receipts[i].Replayed != replayed {
			t.Errorf("%d: %+v, %v", i, receipts[i], errs[i])
		}
	}
	if receipts[1].Entry.ID != receipts[0].Entry.ID {
		t.Errorf("the twin got %s, want %s", receipts[1].Entry.ID, receipts[0].Entry.ID)
	}
	l.wantAvailable(alice, 78)
	l.wantAvailable(bob, 90)
}

// Holds and settlements that come together have the outcomes that they would
// have one after the other, the plain ones and those that are not.
func TestHoldsAndSettlementsInOneBatch(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob, carol, dave := l.user("alice", 100), l.user("bob", 5), l.user("carol", 100), l.user("dave", 100)
	hold := func(user string, amount creditcore.Amount, key, app string) creditcore.Hold {
		return creditcore.Hold{UserID: user, Amount: amount, Key: key, AppID: app}
	}
	a, c, d := l.hold(hold(alice, 10, "", "")), l.hold(hold(carol, 10, "", "")), l.hold(hold(dave, 90, "", ""))
	free := l.hold(hold(alice, 3, "", ""))
	served, err := l.DebitServed(t.Context(), creditcore.Debit{UserID: dave, Amount: 17, AppID: "app"}, "late")
	if err != nil || served.Owed != 7 { // the settlement frees credits, which pay that
		t.Fatalf("served: %+v, %v", served, err)
	}

	became, ids, err := l.Together(t.Context(),
		[]creditcore.Hold{
			hold(alice, 20, "k", "app"), hold(alice, 20, "k", "app"), hold(alice, 20, "k", "other"), hold(alice, 1, "", ""), hold(alice, 90, "", ""),
			hold(bob, 5, "k", "app"), hold(bob, 1, "", ""), hold("nobody", 1, "", ""),
		},
		[]creditcore.Settlement{
			{alice, a.ID, 4}, {alice, a.ID, 6}, {alice, free.ID, 0}, {alice, c.ID, 1}, {alice, "no-such-hold", 1}, {carol, c.ID, 99}, {dave, d.ID, 80},
		})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"settled", "replayed", "settled", "replayed", "no_hold", "held", "replayed", "key_reused", "held", "insufficient", // alice
		"held", "insufficient", // bob
		"settled",    // carol, before what stands under alice's name
		"settled",    // dave
		"no_account", // nobody
	}
	if !slices.Equal(became, want) {
		t.Errorf("they became\n%q, want\n%q", became, want)
	}
	if ids[5] == "" || ids[5] != ids[6] {
		t.Errorf("the twin hold is %q, want %q", ids[6], ids[5])
	}
	l.wantAvailable(alice, 100-4-20-1)
	l.wantAvailable(bob, 0)
	l.wantAvailable(carol, 90)
	l.wantAvailable(dave, 100-17+7-80-7)
	for i, n := range map[string]int{a.ID: 1, c.ID: 1, d.ID: 1, free.ID: 0} {
		rows, err := dbscope.Row[struct{ Count int }](t.Context(), l.db.Pool, dbscope.System(), `SELECT count(*) FROM credits.transactions WHERE hold_id = $1`, i)
		if err != nil || rows.Count != n {
			t.Errorf("%d ledger rows of a hold, want %d, %v", rows.Count, n, err)
		}
	}
	l.sound()
}
