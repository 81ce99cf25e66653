package creditcore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// A user who was made by other means than ours has no account at first. He is
// none the less known, however many requests open it at once.
func TestConcurrentFirstDebits(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for i := range 5 {
		user := l.user("user-"+strconv.Itoa(i), 0)
		concurrently(16, func(i int) {
			err := patiently(func() error {
				if i%2 == 0 {
					return second(l.debit(creditcore.Debit{UserID: user, Amount: 1}))
				}
				return second(l.Hold(t.Context(), creditcore.Hold{UserID: user, Amount: 1}))
			})
			if !short(err) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestDebitAnswersWithItsRow(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(10))
	r, err := l.Debit(t.Context(), creditcore.Debit{
		UserID: alice, Amount: 20, AppID: "todo", Description: "task", Operation: "task_create",
		Metadata: json.RawMessage(`{"b": 1, "a": [2]}`), Key: "k",
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := l.History(t.Context(), creditcore.Caller{UserID: alice}, 50, 0)
	if err != nil || len(list) != 2 {
		t.Fatalf("history: %d rows, %v", len(list), err)
	}
	sameJSON := cmp.Transformer("JSON", func(raw json.RawMessage) any {
		var v any
		_ = json.Unmarshal(raw, &v)
		return v
	})
	if diff := cmp.Diff(list[0], r.Entry, sameJSON, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("stored (-) and answered (+) row differ:\n%s", diff)
	}
	if r.Entry.Amount != -20 || r.Entry.BalanceAfter != 9980 || r.Balance.Available != 9980 || r.Balance.TotalSpent != 20 {
		t.Errorf("receipt: %+v", r)
	}
	again, err := l.Debit(t.Context(), creditcore.Debit{
		UserID: alice, Amount: 20, AppID: "todo", Description: "task", Operation: "task_create",
		Metadata: json.RawMessage(`{"a":[2],"b":1}`), Key: "k",
	})
	if err != nil || !again.Replayed || again.Entry.ID != r.Entry.ID {
		t.Errorf("replay: %+v, %v", again, err)
	}
	l.wantAvailable(alice, 9980)
}

// 64 uses of one credit on fifty: the check is the debit.
func TestConcurrentDebitsNeverOverdraw(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(50))
	var charged, refused atomic.Int32
	concurrently(64, func(int) {
		switch _, err := l.debit(creditcore.Debit{UserID: alice, Amount: creditcore.Credit}); {
		case err == nil:
			charged.Add(1)
		case short(err):
			refused.Add(1)
		default:
			t.Error(err)
		}
	})
	if charged.Load() != 50 || refused.Load() != 14 {
		t.Errorf("%d charged, %d refused", charged.Load(), refused.Load())
	}
	l.wantAvailable(alice, 0)
}

// Two services are two edges: their batches meet in the database only.
func TestOneKeyIsOneCharge(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	other := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: l.db.Pool})
	alice := l.user("alice", creditcore.Credits(50))
	var charged, replayed atomic.Int32
	concurrently(32, func(i int) {
		edge := l.Service
		if i%2 == 1 {
			edge = other
		}
		r, err := retried(func() (creditcore.Receipt, error) {
			return edge.Debit(t.Context(), creditcore.Debit{UserID: alice, Amount: creditcore.Credit, Key: "one"})
		})
		switch {
		case err != nil:
			t.Error(err)
		case r.Replayed:
			replayed.Add(1)
		default:
			charged.Add(1)
		}
	})
	if charged.Load() != 1 || replayed.Load() != 31 {
		t.Errorf("%d charged, %d replayed", charged.Load(), replayed.Load())
	}
	l.wantAvailable(alice, creditcore.Credits(49))
}

func TestSameKeyOtherBodyIsRefused(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice, bob := l.user("alice", creditcore.Credits(5)), l.user("bob", creditcore.Credits(5))
	first := creditcore.Debit{UserID: alice, Amount: creditcore.Credit, AppID: "a", Description: "d", Key: "k"}
	if _, err := l.Debit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*creditcore.Debit){
		"amount":      func(d *creditcore.Debit) { d.Amount = 2 * creditcore.Credit },
		"app":         func(d *creditcore.Debit) { d.AppID = "b" },
		"description": func(d *creditcore.Debit) { d.Description = "e" },
		"metadata":    func(d *creditcore.Debit) { d.Metadata = json.RawMessage(`{}`) },
		"moved text":  func(d *creditcore.Debit) { d.AppID, d.Description = "ad", "" },
	} {
		d := first
		change(&d)
		if _, err := l.Debit(t.Context(), d); !errors.Is(err, creditcore.ErrKeyReused) {
			t.Errorf("other %s: %v", name, err)
		}
	}
	d := first
	d.UserID = bob
	if r, err := l.Debit(t.Context(), d); err != nil || r.Replayed {
		t.Errorf("the key of another user: %+v, %v", r, err)
	}
	l.wantAvailable(alice, creditcore.Credits(4))
}

func TestRefusalStoresNothing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", 0)
	d := creditcore.Debit{UserID: alice, Amount: creditcore.Credit, Key: "k"}
	_, err := l.Debit(t.Context(), d)
	var insufficient *creditcore.InsufficientError
	if !errors.As(err, &insufficient) || insufficient.Required != 1000 || insufficient.Available != 0 {
		t.Fatalf("without credits: %v", err)
	}
	l.grant(creditcore.Grant{UserID: alice, Amount: 1500})
	if r, err := l.Debit(t.Context(), d); err != nil || r.Replayed {
		t.Errorf("the same key later: %+v, %v", r, err)
	}
	if _, err := l.Debit(t.Context(), creditcore.Debit{UserID: "nobody", Amount: 1}); !errors.Is(err, creditcore.ErrAccountNotFound) {
		t.Errorf("unknown user: %v", err)
	}
}

func TestBadDebitsAreNamed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(5))
	for name, d := range map[string]creditcore.Debit{
		"amount":           {UserID: alice},
		"amount must":      {UserID: alice, Amount: -1},
		"amount must not":  {UserID: alice, Amount: creditcore.MaxAmount + 1},
		"userId":           {Amount: 1},
		"idempotencyKey":   {UserID: alice, Amount: 1, Key: strings.Repeat("ü", 256)},
		"metadata must":    {UserID: alice, Amount: 1, Metadata: json.RawMessage(`[1]`)},
		"metadata":         {UserID: alice, Amount: 1, Metadata: json.RawMessage(`{"a":"` + strings.Repeat("x", 2<<20) + `"}`)},
		"metadata must be": {UserID: alice, Amount: 1, Metadata: json.RawMessage(`{"a":"\u0000"}`)},
		"appId":            {UserID: alice, Amount: 1, AppID: "a\x00b"},
		"description":      {UserID: alice, Amount: 1, Description: "\xff"},
	} {
		if _, err := l.Debit(t.Context(), d); !errors.Is(err, creditcore.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.wantAvailable(alice, creditcore.Credits(5))
}

// One item that PostgreSQL refuses must not take the batch with it.
func TestOneFaultyDebitFailsAlone(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(100))
	var failed atomic.Int32
	concurrently(40, func(i int) {
		d := creditcore.Debit{UserID: alice, Amount: creditcore.Credit}
		if i == 20 {
			d.Metadata = json.RawMessage(`{"n": 1e999999}`) // beyond PostgreSQL's numeric
		}
		if err := patiently(func() error { return second(l.Debit(t.Context(), d)) }); err != nil {
			failed.Add(1)
		}
	})
	if failed.Load() != 1 {
		t.Errorf("%d failed", failed.Load())
	}
	l.wantAvailable(alice, creditcore.Credits(61))
}

// A debit that waits can be called off; nothing is charged then.
func TestCancelledDebitIsNotCharged(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(5))
	blocked, release := make(chan struct{}), make(chan struct{})
	go func() {
		_ = dbscope.InTx(context.Background(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
			err := l.LockTx(context.Background(), tx, alice)
			close(blocked)
			<-release
			return err
		})
	}()
	<-blocked
	first := make(chan error, 1)
	go func() {
		_, err := l.debit(creditcore.Debit{UserID: alice, Amount: 1000})
		first <- err
	}()
	time.Sleep(50 * time.Millisecond) // the first is on its way now
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := l.Debit(ctx, creditcore.Debit{UserID: alice, Amount: 1000}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("called off: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	l.wantAvailable(alice, creditcore.Credits(4))
}

// Who waits behind others at a busy account hears in time that there is no
// getting through, and is not charged.
func TestDebitWaitsForItsTurnInBounds(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	alice := l.user("alice", creditcore.Credits(5))
	err := dbscope.InTx(t.Context(), l.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		if err := l.LockTx(t.Context(), tx, alice); err != nil {
			return err
		}
		first := make(chan error, 1)
		go func() {
			_, err := l.debit(creditcore.Debit{UserID: alice, Amount: 1000})
			first <- err
		}()
		time.Sleep(50 * time.Millisecond) // the first is on its way now
		began := time.Now()
		_, err := l.debit(creditcore.Debit{UserID: alice, Amount: 1000})
		if took := time.Since(began); !errors.Is(err, creditcore.ErrUnavailable) || took > 3*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		if err := <-first; !errors.Is(err, creditcore.ErrUnavailable) {
			t.Errorf("the first: %v", err)
		}
		return errors.New("undo")
	})
	if err == nil || err.Error() != "undo" {
		t.Fatal(err)
	}
}

func TestLedgerIsAppendOnly(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.user("alice", creditcore.Credits(5))
	admin, err := pgx.Connect(t.Context(), l.db.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, sql := range []string{
		`UPDATE credits.transactions SET amount = 1`, `DELETE FROM credits.transactions`, `TRUNCATE credits.transactions CASCADE`,
	} {
		if _, err := admin.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s by the superuser: %v", sql, err)
		}
	}
}
