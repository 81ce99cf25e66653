package creditcore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/creditcore"
	"mana.how/edge/migrations/functions"
)

// rollUp adds up the usage there is, as if it were old enough.
func (l *ledger) rollUp() {
	l.t.Helper()
	l.exec(`SELECT ` + functions.Schema + `.roll_up_usage(5000, interval '0')`)
}

func (l *ledger) usage(user string, by creditcore.UsageGroup) []creditcore.UsageLine {
	l.t.Helper()
	now := time.Now()
	list, err := l.Usage(l.t.Context(), creditcore.Caller{UserID: user}, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1), by)
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

// Usage is exact at any time: before it is added up, in between and after.
func TestUsageIsExactBeforeAndAfterItIsAddedUp(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 1000)
	charge := func(app, operation string, amount creditcore.Amount) creditcore.Receipt {
		r, err := l.debit(creditcore.Debit{UserID: alice, Amount: amount, AppID: app, Operation: operation})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := charge("a", "x", 10)
	charge("a", "y", 20)
	l.rollUp()
	charge("b", "x", 5)
	if _, err := l.Compensate(t.Context(), a); err != nil { // of what is added up already
		t.Fatal(err)
	}
	want := []creditcore.UsageLine{{Key: "a", Credits: 30, Refunded: 10, Requests: 2}, {Key: "b", Credits: 5, Requests: 1}}
	for _, when := range []string{"between", "after", "again"} {
		if diff := cmp.Diff(want, l.usage(alice, creditcore.ByApp)); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
		l.rollUp()
	}
	byOperation := []creditcore.UsageLine{{Key: "y", Credits: 20, Requests: 1}, {Key: "x", Credits: 15, Refunded: 10, Requests: 2}}
	if diff := cmp.Diff(byOperation, l.usage(alice, creditcore.ByOperation)); diff != "" {
		t.Error(diff)
	}
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 21, AppID: "a"}); err != creditcore.ErrRefundExceeds {
		t.Errorf("more than is left of an app's charges: %v", err)
	}
	if _, err := l.Refund(t.Context(), creditcore.Refund{UserID: alice, Amount: 20, AppID: "a"}); err != nil {
		t.Error(err)
	}
	l.rollUp()
	if got := l.usage(alice, creditcore.ByApp); got[0].Refunded != 30 {
		t.Errorf("%+v", got)
	}
}

// The same while charges and the job are under way, on several processes.
func TestUsageIsExactWhileItIsAddedUp(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i := range 4 {
		l.user(fmt.Sprint("user-", i), 100_000)
	}
	ctx, stop := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	for range 2 {
		jobs.Go(func() {
			for ctx.Err() == nil {
				l.rollUp()
			}
		})
	}
	var last [4]int64
	concurrently(4, func(i int) {
		user := fmt.Sprint("user-", i)
		for range 60 {
			if _, err := l.debit(creditcore.Debit{UserID: user, Amount: 2}); err != nil {
				t.Error(err)
			}
			last[i]++
			got := l.usage(user, creditcore.ByDay)
			if len(got) != 1 || got[0].Requests != last[i] || got[0].Credits != creditcore.Amount(2*last[i]) {
				t.Errorf("after %d charges: %+v", last[i], got)
				return
			}
		}
	})
	stop()
	jobs.Wait()
}
