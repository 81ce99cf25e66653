package creditcore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
)

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 1000), l.user("bob", 1000)
	for range 9 {
		l.spend(alice, 1)
	}
	l.spend(bob, 1)
	sequences := func(limit, offset int) (out []int64) {
		list, err := l.History(t.Context(), creditcore.Caller{UserID: alice}, limit, offset)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			out = append(out, e.Sequence)
		}
		return out
	}
	for name, c := range map[string]struct {
		limit, offset int
		want          []int64
	}{
		"first page":      {3, 0, []int64{10, 9, 8}},
		"next page":       {3, 3, []int64{7, 6, 5}},
		"past the end":    {3, 20, nil},
		"negative limit":  {-1, 0, []int64{10}},
		"negative offset": {2, -5, []int64{10, 9}},
		"all":             {100, 0, []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
	} {
		if diff := cmp.Diff(c.want, sequences(c.limit, c.offset)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(100))
	use := func(app, operation string, n creditcore.Amount) creditcore.Receipt {
		r, err := l.Debit(t.Context(), creditcore.Debit{UserID: alice, Amount: n, AppID: app, Operation: operation})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	use("chat", "ai_chat", 5000)
	back := use("chat", "ai_chat", 2000)
	use("chat", "ai_image", 10_000)
	use("todo", "task_create", 20)
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 500, EntryID: back.Entry.ID}); err != nil {
		t.Fatal(err)
	}
	today := time.Now()
	day := today.UTC().Format(time.DateOnly)
	for by, want := range map[creditcore.UsageGroup][]creditcore.UsageLine{
		creditcore.ByApp:       {{Key: "chat", Credits: 17_000, Refunded: 500, Requests: 3}, {Key: "todo", Credits: 20, Requests: 1}},
		creditcore.ByOperation: {{Key: "ai_image", Credits: 10_000, Requests: 1}, {Key: "ai_chat", Credits: 7000, Refunded: 500, Requests: 2}, {Key: "task_create", Credits: 20, Requests: 1}},
		creditcore.ByDay:       {{Key: day, Credits: 17_020, Refunded: 500, Requests: 4}},
	} {
		got, err := l.Usage(t.Context(), creditcore.Caller{UserID: alice}, today.AddDate(0, 0, -1), today, by)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("by %s: %v (-want +got):\n%s", by, err, diff)
		}
	}
	if got, err := l.Usage(t.Context(), creditcore.Caller{UserID: alice}, today.AddDate(0, 0, -9), today.AddDate(0, 0, -8), creditcore.ByApp); err != nil || len(got) != 0 {
		t.Errorf("another week: %v, %v", got, err)
	}
	if _, err := l.Usage(t.Context(), creditcore.Caller{UserID: alice}, today, today, "user_id"); !errors.Is(err, creditcore.ErrInvalid) {
		t.Errorf("another group: %v", err)
	}
}

// A page begins after the row that the last one ended with, whatever was added
// meanwhile, and is the page of the same offset.
func TestHistoryByCursor(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := creditcore.Caller{UserID: l.user("alice", 1000)}
	bob := creditcore.Caller{UserID: l.user("bob", 1000)}
	for range 25 {
		l.spend(alice.UserID, 1)
	}
	var all []int64
	for before := int64(1 << 62); ; {
		page, err := l.HistoryBefore(t.Context(), alice, 7, before)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		same, err := l.History(t.Context(), alice, 7, len(all)*2)
		if err != nil || len(same) > 0 && same[0].Sequence != page[0].Sequence {
			t.Errorf("offset %d begins elsewhere than before %d: %v", len(all)*2, before, err)
		}
		for _, e := range page {
			all = append(all, e.Sequence)
			l.spend(alice.UserID, 1) // the offset moves by each
		}
		before = page[len(page)-1].Sequence
	}
	if len(all) != 26 || all[0] != 26 || all[25] != 1 {
		t.Errorf("%v", all)
	}
	if page, err := l.HistoryBefore(t.Context(), bob, 50, 1<<62); err != nil || len(page) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	for _, before := range []int64{1, 0, -5} {
		if page, err := l.HistoryBefore(t.Context(), alice, 50, before); err != nil || len(page) != 0 {
			t.Errorf("before %d: %+v, %v", before, page, err)
		}
	}
}

// Holds that were resolved long ago are deleted, a few at a time; open ones and
// ledger rows stay.
func TestOldHoldsArePruned(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 1000)
	old := l.hold(creditcore.Hold{UserID: alice, Amount: 5})
	if _, err := l.Settle(t.Context(), old.ID, 5, nil); err != nil {
		t.Fatal(err)
	}
	open := l.hold(creditcore.Hold{UserID: alice, Amount: 7})
	time.Sleep(20 * time.Millisecond)
	s := creditcore.New(creditcore.Config{KeepHolds: time.Millisecond}, creditcore.Deps{Pool: l.db.Pool})
	s.Prune(t.Context())
	if _, err := l.Release(t.Context(), old.ID); err != creditcore.ErrHoldNotFound {
		t.Errorf("a hold that is long resolved: %v", err)
	}
	l.Prune(t.Context()) // keeps for two days
	if _, err := l.Settle(t.Context(), open.ID, 7, nil); err != nil {
		t.Error(err)
	}
	l.wantAvailable(alice, 988)
}
