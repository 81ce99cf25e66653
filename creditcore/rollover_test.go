package creditcore_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

func (l *ledger) rollOver(user string, upTo creditcore.Amount, until *time.Time) {
	l.t.Helper()
	err := dbscope.InTx(l.t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		return l.RollOverTx(l.t.Context(), tx, creditcore.RollOver{UserID: user, UpTo: upTo, Until: *until})
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// month grants credits of a subscription, which end in an hour.
func (l *ledger) month(user, name string, n creditcore.Amount) {
	l.t.Helper()
	l.grant(creditcore.Grant{UserID: user, Amount: n, Source: creditcore.SourceSubscription, Reference: name, ExpiresAt: in(time.Hour)})
}

// What a month leaves lives on up to a bound, with all that came before it.
func TestRollOver(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	l.month(alice, "first", 10)
	l.grant(creditcore.Grant{UserID: alice, Amount: 3, Source: creditcore.SourceGift, Reference: "gift", ExpiresAt: in(time.Hour)})
	l.grant(creditcore.Grant{UserID: alice, Amount: 2, Reference: "for ever"})
	l.rollOver(alice, 6, in(48*time.Hour))
	found, err := l.Lots(t.Context(), creditcore.Caller{UserID: alice})
	if err != nil || len(found) != 3 || found[0].RollsOver == nil || *found[0].RollsOver != 6 || found[0].RollsTo == nil || found[1].RollsOver != nil {
		t.Errorf("lots: %+v, %v", found, err)
	}
	l.spend(alice, 1)
	l.due(alice)
	l.wantAvailable(alice, 8)
	l.wantLots(alice, amounts{"first": 6, "gift": 0, "for ever": 2})

	l.month(alice, "second", 5)
	l.rollOver(alice, 6, in(96*time.Hour))
	l.spend(alice, 1) // of the second month, which ends first
	l.wantLots(alice, amounts{"first": 6, "second": 4, "gift": 0, "for ever": 2})
	l.due(alice)
	l.wantLots(alice, amounts{"first": 2, "second": 4, "gift": 0, "for ever": 2})
	l.wantAvailable(alice, 8)

	l.due(alice) // nothing rolls any more
	l.wantAvailable(alice, 2)
	l.sound()
}

// What is over when more comes is over, and a later bound takes the place of an
// earlier one.
func TestRollOverIsForWhatLives(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 0), l.user("bob", 0)
	l.month(alice, "over", 10)
	l.exec(`UPDATE credits.lots SET expires_at = now() - interval '1 second' WHERE user_id = $1`, alice)
	l.rollOver(alice, 10, in(48*time.Hour))
	l.exec(`UPDATE credits.balances SET next_expiry = now() WHERE user_id = $1`, alice)
	l.wantAvailable(alice, 0)

	l.month(bob, "month", 10)
	l.rollOver(bob, 9, in(48*time.Hour))
	l.rollOver(bob, 4, in(96*time.Hour))
	l.rollOver(bob, 9, in(time.Minute)) // ends before the month does
	l.rollOver(bob, 0, in(192*time.Hour))
	l.due(bob)
	l.wantAvailable(bob, 4)
	l.exec(`UPDATE credits.balances SET next_expiry = now() WHERE user_id = $1`, bob)
	l.wantAvailable(bob, 4)
	l.sound()
}

// Whoever was given credits of somebody's subscription has them until those end.
func TestGivenMonthsDoNotRollOver(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", 0), l.user("bob", 0)
	l.month(alice, "month", 10)
	var gift creditcore.Receipt
	err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) (err error) {
		gift, err = l.ReserveTx(t.Context(), tx, creditcore.Debit{UserID: alice, Amount: 4, Type: creditcore.Gift, AppID: "gift"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.grant(creditcore.Grant{UserID: bob, Amount: 4, Gift: gift.Entry.ID, Reference: "gift:1"})
	l.month(bob, "own", 2)
	for _, user := range []string{alice, bob} {
		l.rollOver(user, 100, in(48*time.Hour))
		l.due(user)
	}
	l.wantAvailable(alice, 6)
	l.wantAvailable(bob, 2)
}

// Credits that a hold reserves at the end of their month count as spent if they are,
// and as left if they are not.
func TestRollOverBesideHolds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		held, settled creditcore.Amount
		during, after creditcore.Amount // of 16, in months of 6 and 10, of which 8 may live on
	}{
		"nothing held":                    {0, 0, 8, 8},
		"a little, spent":                 {2, 2, 8, 8},
		"a little, given back":            {2, 0, 8, 8},
		"more than the older, spent":      {7, 7, 8, 8},
		"more than the older, given back": {7, 0, 8, 8},
		"more than lives on, spent":       {12, 12, 4, 4},
		"more than lives on, in part":     {12, 3, 4, 8},
		"more than lives on, given back":  {12, 0, 4, 8},
		"everything, spent":               {16, 16, 0, 0},
		"everything, given back":          {16, 0, 0, 8},
		"everything, all but a few of it": {16, 13, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			alice := l.user("alice", 0)
			l.month(alice, "older", 6)
			l.month(alice, "newer", 10)
			var h creditcore.Held
			if tt.held > 0 {
				h = l.hold(creditcore.Hold{UserID: alice, Amount: tt.held})
			}
			l.rollOver(alice, 8, in(48*time.Hour))
			l.due(alice)
			l.wantAvailable(alice, tt.during)
			if tt.held > 0 {
				if _, err := l.Settle(t.Context(), h.ID, tt.settled, nil); err != nil {
					t.Fatal(err)
				}
			}
			l.wantAvailable(alice, tt.after)
			l.wantAvailable(alice, tt.after)
			l.due(alice)
			l.wantAvailable(alice, 0)
			l.sound()
		})
	}
}

// Owners are told of what ends, not of what lives on.
func TestRollOverIsNoEnd(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for user, upTo := range map[string]creditcore.Amount{"some": 4_000, "all": 12_000, "none": 0} {
		l.user(user, 0)
		l.month(user, "month", 10_000)
		l.exec(`UPDATE credits.lots SET created_at = now() - interval '30 days' WHERE user_id = $1`, user)
		l.rollOver(user, upTo, in(48*time.Hour))
	}
	l.exec(`SELECT `+functions.Schema+`.warn_expiring(100, $1)`, 7*24*time.Hour)
	texts := func(sql, user string) []string {
		list, err := dbscope.Rows[struct{ Text string }](t.Context(), l.db.Pool, dbscope.System(), sql, user)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, row := range list {
			texts = append(texts, row.Text)
		}
		return texts
	}
	for user, want := range map[string]string{"some": "6", "all": "", "none": "10"} {
		list := texts(`SELECT data->>'credits' AS text FROM credits.alerts WHERE account_id = $1 AND kind = 'expiring'`, user)
		got := ""
		if len(list) > 0 {
			got = list[0]
		}
		if got != want || len(list) > 1 {
			t.Errorf("%s: %q, want %q", user, list, want)
		}
	}
	l.due("all")
	l.wantAvailable("all", 10_000)
	if told := texts(`SELECT expiry_told::text AS text FROM credits.lots WHERE user_id = $1`, "all"); len(told) != 1 || told[0] != "false" {
		t.Errorf("of what lives on its owner is not told again: %v", told)
	}
}
