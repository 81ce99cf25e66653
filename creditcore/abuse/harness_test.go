package abuse_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const day = 24 * time.Hour

// watch is an abuse service with a database, a ledger, gifts and a clock of its own.
type watch struct {
	*abuse.Service
	t      *testing.T
	db     *pgtest.Database
	ledger *creditcore.Service
	gifts  *gift.Service

	mu    sync.Mutex
	ahead time.Duration
	seen  map[string]int // what the observer was told, and what was recorded
	bills int
}

func newWatch(t *testing.T, change ...func(*abuse.Config)) *watch {
	t.Helper()
	return openWatch(t, pgtest.New(t), change...)
}

// openWatch is another edge on a database.
func openWatch(t *testing.T, db *pgtest.Database, change ...func(*abuse.Config)) *watch {
	t.Helper()
	s := &watch{t: t, db: db, seen: map[string]int{}}
	s.ledger = creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	cfg := abuse.Config{Threshold: abuse.DefaultThreshold, LookEvery: 10 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	s.Service = abuse.New(cfg, abuse.Deps{
		Pool: db.Pool, Now: s.now, Observer: abuse.Observer{Hold: s.saw},
		RecordTx: func(_ context.Context, _ pgx.Tx, userID string, held bool) error {
			s.saw(fmt.Sprintf("%s %t", userID, held))
			return nil
		},
	})
	s.gifts = gift.New(gift.Config{BaseURL: "https://auth.mana.how"}, gift.Deps{Pool: db.Pool, Ledger: s.ledger, HeldTx: s.HeldTx})
	return s
}

func (s *watch) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// pass lets time go by.
func (s *watch) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

func (s *watch) saw(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what]++
}

func (s *watch) told() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}

// patiently tries again where a busy machine had no time.
func (s *watch) patiently(what string, work func() error) {
	s.t.Helper()
	var err error
	for range 20 {
		if err = work(); !errors.Is(err, creditcore.ErrUnavailable) {
			break
		}
	}
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

func (s *watch) exec(sql string, args ...any) {
	s.t.Helper()
	s.patiently(sql, func() error {
		_, err := dbscope.DB{Pool: s.db.Pool, Error: wrapped}.Exec(s.t.Context(), dbscope.System(), sql, args...)
		return err
	})
}

func wrapped(err error) error {
	if dbscope.IsUnavailable(err) {
		return errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}

// text is what a query with one value gives.
func (s *watch) text(sql string, args ...any) string {
	s.t.Helper()
	r, err := dbscope.Row[struct{ Text string }](s.t.Context(), s.db.Pool, dbscope.System(), `SELECT coalesce((`+sql+`)::text, '') AS text`, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Text
}

// users makes users whose accounts are a year old.
func (s *watch) users(ids ...string) {
	s.t.Helper()
	s.exec(`INSERT INTO auth.users (id, name, email, email_verified, created_at) SELECT id, id, id || '@example.test', true, now() - interval '1 year' FROM unnest($1::text[]) AS id`, ids)
}

// aged makes an account as old as that.
func (s *watch) aged(id string, age time.Duration) {
	s.t.Helper()
	s.exec(`UPDATE auth.users SET created_at = now() - $2::interval WHERE id = $1`, id, age)
}

func (s *watch) inTx(what string, work func(context.Context, pgx.Tx) error) {
	s.t.Helper()
	s.patiently(what, func() error {
		return dbscope.DB{Pool: s.db.Pool, Error: wrapped}.InTx(s.t.Context(), dbscope.System(), work)
	})
}

// fund gives somebody credits of a source.
func (s *watch) fund(id string, credits int64, source creditcore.Source, reference string) {
	s.t.Helper()
	s.mu.Lock()
	s.bills++
	key := fmt.Sprintf("fund-%d-%s", s.bills, id)
	s.mu.Unlock()
	s.inTx("grant", func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.ledger.GrantTx(ctx, tx, creditcore.Grant{
			UserID: id, Amount: creditcore.Credits(credits), Type: creditcore.Gift, Source: source, AppID: "test", Description: "x", InternalKey: key, Reference: reference,
		})
		return err
	})
}

// give has somebody give paid credits to others, one portion each.
func (s *watch) give(from string, to ...string) {
	s.t.Helper()
	s.fund(from, int64(len(to)), creditcore.SourcePurchase, "")
	s.handOut(from, to...)
}

// giveTrial is give with promotional credits.
func (s *watch) giveTrial(from string, to ...string) {
	s.t.Helper()
	s.fund(from, int64(len(to)), creditcore.SourcePromotion, "")
	s.handOut(from, to...)
}

// handOut gives a credit to each.
func (s *watch) handOut(from string, to ...string) {
	s.t.Helper()
	var made gift.Made
	s.patiently("make a gift", func() (err error) {
		made, err = s.gifts.Create(s.t.Context(), creditcore.Caller{UserID: from}, gift.Order{Credits: creditcore.Credits(int64(len(to))), Portions: len(to), Type: gift.FirstCome})
		return err
	})
	for _, id := range to {
		s.patiently("redeem a gift", func() error {
			_, err := s.gifts.Redeem(s.t.Context(), creditcore.Caller{UserID: id}, gift.Claim{Code: string(made.Code)})
			return err
		})
	}
}

// refusedGift tries to make a gift, and reports whether that is held.
func (s *watch) refusedGift(from string) bool {
	s.t.Helper()
	s.fund(from, 1, creditcore.SourcePurchase, "")
	held := false
	s.patiently("make a gift", func() error {
		_, err := s.gifts.Create(s.t.Context(), creditcore.Caller{UserID: from}, gift.Order{Credits: creditcore.Credits(1)})
		if held = errors.Is(err, gift.ErrHeld); held {
			err = nil
		}
		return err
	})
	return held
}

// buy is a purchase of ten credits that was paid for, of which so many are spent.
func (s *watch) buy(id string, spent int64) (purchaseID string) {
	s.t.Helper()
	s.mu.Lock()
	s.bills++
	purchaseID = fmt.Sprintf("p%d-%s", s.bills, id)
	s.mu.Unlock()
	s.exec(`INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, status, completed_at) VALUES ($1, $2, 10000, 100, 'completed', now())`, purchaseID, id)
	s.fund(id, 10, creditcore.SourcePurchase, "purchase:"+purchaseID)
	if spent > 0 {
		s.patiently("spend", func() error {
			_, err := s.ledger.Debit(s.t.Context(), creditcore.Debit{UserID: id, Amount: creditcore.Credits(spent), AppID: "app"})
			return err
		})
	}
	return purchaseID
}

func (s *watch) move(id, purchaseID, key string) creditcore.Clawback {
	return creditcore.Clawback{UserID: id, Reference: "purchase:" + purchaseID, Amount: creditcore.Credits(10), AppID: "stripe", Description: "x", InternalKey: key + purchaseID}
}

// reverse has the money of a purchase go back.
func (s *watch) reverse(id, purchaseID string) {
	s.t.Helper()
	s.inTx("reverse", func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.ledger.ClawbackTx(ctx, tx, s.move(id, purchaseID, "back:")); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE credits.purchases SET reversed_credits = 10000, clawed_back = 10000, reversed_euro_cents = 100, updated_at = now() WHERE id = $1`, purchaseID)
		return err
	})
}

// win has a dispute be won, so that the money comes again.
func (s *watch) win(id, purchaseID string) {
	s.t.Helper()
	s.inTx("reinstate", func(ctx context.Context, tx pgx.Tx) error {
		if err := s.ledger.ReinstateTx(ctx, tx, s.move(id, purchaseID, "again:")); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE credits.purchases SET reversed_credits = 0, clawed_back = 0, reversed_euro_cents = 0, updated_at = now() WHERE id = $1`, purchaseID)
		return err
	})
}

// cheat is a purchase whose money goes back after its credits were spent.
func (s *watch) cheat(id string, times int) (purchases []string) {
	s.t.Helper()
	for range times {
		p := s.buy(id, 10)
		s.reverse(id, p)
		// What is owed would be paid by the next purchase.
		s.inTx("forgive", func(ctx context.Context, tx pgx.Tx) error {
			_, _, err := s.ledger.ForgiveTx(ctx, tx, creditcore.Forgiveness{UserID: id, Reason: "for the test", By: "test"})
			return err
		})
		purchases = append(purchases, p)
	}
	return purchases
}

// card has users have bought with a card, so long ago.
func (s *watch) card(fingerprint string, ago time.Duration, ids ...string) {
	s.t.Helper()
	s.exec(`INSERT INTO credits.cards (fingerprint, user_id, first_seen_at, last_seen_at) SELECT $1, id, now() - $3::interval, now() - $3::interval FROM unnest($2::text[]) AS id`, fingerprint, ids, ago)
}

func (s *watch) score() {
	s.t.Helper()
	s.patiently("score", func() error { return s.Score(s.t.Context()) })
}

func (s *watch) of(id string) abuse.Score {
	s.t.Helper()
	var found abuse.Score
	s.patiently("read a score", func() (err error) {
		found, err = s.ScoreOf(s.t.Context(), id)
		return err
	})
	return found
}

// points are those of somebody's signals.
type points map[abuse.Kind]int

// wants scores, and compares the points of somebody.
func (s *watch) wants(id string, want points) abuse.Score {
	s.t.Helper()
	s.score()
	return s.still(id, want)
}

// still is wants without scoring.
func (s *watch) still(id string, want points) abuse.Score {
	s.t.Helper()
	found, got, sum := s.of(id), points{}, 0
	for _, one := range found.Signals {
		got[one.Kind] = one.Points
		sum += one.Points
	}
	if want == nil {
		want = points{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s (-want +got)\n%s", id, diff)
	}
	if found.Score != min(sum, 200) {
		s.t.Errorf("%s has the score %d for %v", id, found.Score, got)
	}
	return found
}

func (s *watch) spend(id string, credits int64) error {
	_, err := s.ledger.Debit(s.t.Context(), creditcore.Debit{UserID: id, Amount: creditcore.Credits(credits), AppID: "app"})
	return err
}

// concurrently runs n calls that begin together.
func concurrently(n int, call func(i int)) {
	var begin, end sync.WaitGroup
	begin.Add(1)
	for i := range n {
		end.Go(func() {
			begin.Wait()
			call(i)
		})
	}
	begin.Done()
	end.Wait()
}
