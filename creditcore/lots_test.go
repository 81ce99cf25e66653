package creditcore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
)

// What Lots shows is what the lots hold once they are charged, in that order.
func TestLotsAreShownAsTheyWillBeBurnt(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 0), l.user("bob", 7)
	at := func(hours int) *time.Time { v := time.Now().Add(time.Duration(hours) * time.Hour); return &v }
	for _, g := range []creditcore.Grant{
		{Amount: 1000, Source: creditcore.SourcePurchase},
		{Amount: 500, Source: creditcore.SourceGift},
		{Amount: 300, Source: creditcore.SourceSubscription, ExpiresAt: at(48)},
		{Amount: 200, Source: creditcore.SourceAdmin, ExpiresAt: at(24)},
	} {
		g.UserID, g.Type, g.AppID = alice, creditcore.Gift, "test"
		if _, err := l.Grant(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	shown := func(user string) (list []string) {
		t.Helper()
		lots, err := l.Lots(t.Context(), creditcore.Caller{UserID: user})
		if err != nil {
			t.Fatal(err)
		}
		for _, lot := range lots {
			list = append(list, string(lot.Source)+" "+lot.Remaining.String())
		}
		return list
	}
	if diff := cmp.Diff([]string{"admin 0.2", "subscription 0.3", "gift 0.5", "purchase 1"}, shown(alice)); diff != "" {
		t.Error(diff)
	}
	l.spend(alice, 350)
	want := []string{"subscription 0.15", "gift 0.5", "purchase 1"}
	if diff := cmp.Diff(want, shown(alice)); diff != "" {
		t.Error(diff)
	}
	// A grant charges what was spent; nothing of the order changes by that.
	if _, err := l.Grant(t.Context(), creditcore.Grant{UserID: alice, Amount: 1, Type: creditcore.Gift, Source: creditcore.SourcePurchase, AppID: "test"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(want, "purchase 0.001"), shown(alice)); diff != "" {
		t.Error(diff)
	}
	l.spend(alice, 1651)
	if got := shown(alice); got != nil {
		t.Errorf("all is spent, but %v", got)
	}
	if got := shown(bob); len(got) != 1 {
		t.Errorf("bob has %v", got)
	}
}

func TestHistoryFilter(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 1000)
	l.user("bob", 1000)
	for i := range 6 {
		if _, err := l.Debit(t.Context(), creditcore.Debit{UserID: alice, Amount: 1, AppID: []string{"chat", "todo"}[i%2]}); err != nil {
			t.Fatal(err)
		}
	}
	now, hour := time.Now(), time.Hour
	before, after := now.Add(-hour), now.Add(hour)
	for name, c := range map[string]struct {
		filter creditcore.HistoryFilter
		limit  int
		want   []int64
	}{
		"all":          {creditcore.HistoryFilter{}, 100, []int64{7, 6, 5, 4, 3, 2, 1}},
		"app":          {creditcore.HistoryFilter{App: "chat"}, 100, []int64{6, 4, 2}},
		"type":         {creditcore.HistoryFilter{Type: creditcore.Usage}, 2, []int64{7, 6}},
		"page":         {creditcore.HistoryFilter{Type: creditcore.Usage, Before: 6}, 2, []int64{5, 4}},
		"both":         {creditcore.HistoryFilter{Type: creditcore.Purchase, App: "chat"}, 100, nil},
		"from":         {creditcore.HistoryFilter{From: &before}, 1, []int64{7}},
		"from later":   {creditcore.HistoryFilter{From: &after}, 1, nil},
		"until":        {creditcore.HistoryFilter{Until: &after}, 1, []int64{7}},
		"until before": {creditcore.HistoryFilter{Until: &before}, 1, nil},
		"no limit":     {creditcore.HistoryFilter{}, 0, []int64{7}},
	} {
		list, err := l.HistoryOf(t.Context(), creditcore.Caller{UserID: alice}, c.filter, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range list {
			got = append(got, e.Sequence)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := l.HistoryOf(t.Context(), creditcore.Caller{UserID: alice}, creditcore.HistoryFilter{App: "a\x00"}, 1); err == nil {
		t.Error("a NUL is no fault")
	}
}
