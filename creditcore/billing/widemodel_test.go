package billing_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/topup"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/dbscope"
)

const (
	wideEdges   = 2
	wideWorkers = 12
	wideDaily   = 2500 // thousandths
	wideTrial   = 7500
	wideCoupon  = 12_500
	// wideCoupons is how often the coupon may be redeemed, less often than there are people.
	wideCoupons = 4
)

// wideEdge is one process: what of it charges, sells and gives.
type wideEdge struct {
	ledger  *creditcore.Service
	billing *billing.Service
	coupons *coupon.Service
}

// wide are two edges on one database, and what must be true of all of it.
type wide struct {
	*till
	edges  [wideEdges]wideEdge
	proofs *proof.Service
	prices priceHistory
	team   teamModel
	code   string // of the coupon
	// still is held for reading by who goes on with top-ups, for writing by who must see
	// the ledger between two of them.
	still    sync.RWMutex
	told     [wideEdges]atomic.Int64 // events of Stripe
	troubled atomic.Bool             // Stripe loses answers

	mu    sync.Mutex
	plans map[string][]planSince
}

// planSince is what a user is subscribed to, empty for nothing: from some time after began on.
type planSince struct {
	plan        string
	began, done time.Time
}

// open seals nothing.
type open struct{}

func (open) Seal(plain []byte) (string, error)    { return fmt.Sprintf("%x", plain), nil }
func (open) SealedByFirst(string) bool            { return true }
func (open) Open(text string) (p []byte, e error) { _, e = fmt.Sscanf(text, "%x", &p); return p, e }

// mailbox leaves out what stands behind a plus.
func mailbox(address string) coupon.Mailbox {
	local, domain, _ := strings.Cut(address, "@")
	local, _, _ = strings.Cut(local, "+")
	return coupon.Mailbox{Name: local + "@" + domain, Domain: domain, Registrable: domain, Public: true}
}

func newWide(t *testing.T) *wide {
	t.Helper()
	w := &wide{till: newTill(t), plans: map[string][]planSince{}}
	for i := range w.edges {
		ledger := creditcore.New(creditcore.Config{Prices: configPrices(), Daily: wideDaily}, creditcore.Deps{Pool: w.db.Pool})
		w.edges[i] = wideEdge{
			ledger,
			billing.New(billing.Config{
				SecretKey: w.stripe.Key, APIURL: w.stripe.URL, WebhookSecrets: []string{w.stripe.WebhookSecret}, BaseURL: "https://auth.mana.how",
			}, billing.Deps{Pool: w.db.Pool, Ledger: ledger, Now: w.stripe.Now}),
			coupon.New(coupon.Config{Mailbox: mailbox, Trial: &coupon.Trial{Credits: wideTrial, Life: 90 * time.Hour}}, coupon.Deps{Pool: w.db.Pool, Ledger: ledger, Sealer: open{}}),
		}
		if err := w.prices.read(t.Context(), i, ledger); err != nil {
			t.Fatal(err)
		}
	}
	w.proofs = proof.New(proof.Deps{Pool: w.db.Pool, Notary: paper{}})
	for _, plan := range modelPlans {
		w.exec(`INSERT INTO subscriptions.plans (id, name) VALUES ($1, $1)`, plan)
	}
	_, code, err := w.edges[0].coupons.Create(t.Context(), "", coupon.Terms{Name: "Model", Credits: wideCoupon, CreditsLife: 80 * time.Hour, MaxRedemptions: wideCoupons}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.code = code
	return w
}

// Accounts, their keys, top-ups and an organisation's allotments are as the model says, on
// two edges at once, while prices, plans, budgets and cards change. Each of twelve workers
// drives an account of its own, half of which follow every lot and half of which are topped
// up, and spends as a member of the organisation that all share. Two people each have two
// accounts between them.
func TestEverythingFollowsTheModel(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text := os.Getenv("MANA_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("MANA_TEST_SEED=%d", seed)
	steps, margin := 30, time.Minute
	if os.Getenv("MANA_SOAK") != "" {
		steps, margin = 900, 15*time.Minute
	}
	awayFromMidnight(margin)
	w := newWide(t)
	w.newTeam()
	drivers := make([]*wideDriver, wideWorkers)
	for i := range drivers {
		drivers[i] = w.newDriver(i, rand.New(rand.NewPCG(seed, uint64(i))))
	}
	ctx, stop := context.WithCancel(t.Context())
	var jobs, workers sync.WaitGroup
	jobs.Go(func() { w.publish(ctx, rand.New(rand.NewPCG(seed, 1000))) })
	for i := range w.edges {
		jobs.Go(func() { w.topUps(ctx, i, rand.New(rand.NewPCG(seed, 2000+uint64(i)))) })
	}
	for i, d := range drivers {
		workers.Go(func() {
			for step := 0; step < steps && !t.Failed(); step++ {
				if d.step(step); i == 0 && step == steps/2 {
					w.root(-1)
				}
			}
		})
	}
	workers.Wait()
	stop()
	jobs.Wait()
	if !t.Failed() {
		w.wantAll(drivers)
	}
}

// root makes the root of a day from today.
func (w *wide) root(days int) {
	err := patiently(func() error {
		_, _, err := w.proofs.MakeRoot(w.t.Context(), time.Now().AddDate(0, 0, days))
		return err
	})
	if err != nil {
		w.t.Errorf("root: %v", err)
	}
}

// wantAll goes on with top-ups until nothing is due, and compares everything.
func (w *wide) wantAll(drivers []*wideDriver) {
	for _, d := range drivers {
		if d.finish(); d.card != "" {
			w.stripe.CardIs(d.card, "works")
		}
	}
	for i := range 6 {
		w.exec(`UPDATE credits.top_ups SET due_at = clock_timestamp() WHERE state = 'open'`)
		for _, e := range w.stripe.Events() {
			w.tell(w.t.Context(), i%wideEdges, e)
		}
		if err := w.edges[i%wideEdges].billing.TopUpDue(w.t.Context()); err != nil && !w.troubled.Load() {
			w.t.Errorf("top up: %v", err)
		}
	}
	var calls []call
	redeemed, trials := 0, map[string]int{}
	for _, d := range drivers {
		d.wantEnd()
		calls = append(calls, d.calls...)
		redeemed += d.redeemed
		if d.model.trial {
			trials[d.person]++
		}
	}
	w.checkCalls(calls)
	w.team.want(w, drivers)
	if n := w.count(`SELECT redeemed FROM credits.coupons`); n != int64(redeemed) || redeemed > wideCoupons {
		w.t.Errorf("the coupon was redeemed %d times, and counted %d, of %d", redeemed, n, wideCoupons)
	}
	for i := range wideWorkers / 2 {
		if person := personOf(i); trials[person] != 1 {
			w.t.Errorf("%s had %d trials", person, trials[person])
		}
	}
	w.root(0)
	if breaches, err := w.edges[0].coupons.Audit(w.t.Context()); err != nil || len(breaches) > 0 {
		w.t.Errorf("the coupons: %+v, %v", breaches, err)
	}
	w.t.Logf("%d prices were asked for, and the price book changed %d times", len(calls), len(w.prices.changes))
}

// plansOf are what a user may have been taken for subscribed to: an edge believes for ten
// seconds what it has read, which took it five at most.
func (w *wide) plansOf(user string, began, ended time.Time) (plans []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := append([]planSince{{}}, w.plans[user]...)
	for i, p := range list {
		if p.began.After(ended) {
			break
		}
		if i+1 == len(list) || list[i+1].done.Add(15*time.Second).After(began) {
			plans = append(plans, p.plan)
		}
	}
	return plans
}

// subscribe changes what a user is subscribed to, empty for nothing.
func (w *wide) subscribe(user, plan string) error {
	since := planSince{plan: plan, began: time.Now()}
	err := patiently(func() error {
		return w.inTx(w.t.Context(), func(tx pgx.Tx) error {
			_, err := tx.Exec(w.t.Context(), `UPDATE subscriptions.subscriptions SET status = 'canceled' WHERE user_id = $1`, user)
			if err == nil && plan != "" {
				_, err = tx.Exec(w.t.Context(), `INSERT INTO subscriptions.subscriptions (user_id, plan_id) VALUES ($1, $2)`, user, plan)
			}
			return err
		})
	})
	since.done = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plans[user] = append(w.plans[user], since)
	return err
}

// try is a statement that may find no time.
func (w *wide) try(sql string, args ...any) error {
	_, err := dbscope.Exec(w.t.Context(), w.db.Pool, dbscope.System(), sql, args...)
	if dbscope.IsUnavailable(err) {
		err = errors.Join(creditcore.ErrUnavailable, err)
	}
	return err
}

// one is the row of a query that has one.
func one[T any](w *wide, sql string, args ...any) (T, error) {
	return dbscope.Row[T](w.t.Context(), w.db.Pool, dbscope.System(), sql, args...)
}

// unavailable is an error of a busy machine.
func unavailable(err error) bool {
	return errors.Is(err, creditcore.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || dbscope.IsUnavailable(err)
}

// patiently tries again while there is no time, as clients do.
func patiently(change func() error) (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = change(); !unavailable(err) {
			break
		}
	}
	return err
}

// awayFromMidnight waits where the day, of which there are credits and budgets, is about to end.
func awayFromMidnight(margin time.Duration) {
	for time.Now().UTC().Truncate(24*time.Hour).Add(24*time.Hour).Sub(time.Now()) < margin {
		time.Sleep(time.Second)
	}
}

// refillable agrees to top-ups of an account, with a card that works.
func (d *wideDriver) refillable() {
	d.card = d.saveCard(d.caller())
	d.model.refill = &refillModel{threshold: creditcore.Credits(100), most: 4 * packCents, bought: map[string]time.Time{}}
	err := d.SetTopUp(d.t.Context(), d.caller(), topup.Change{Enabled: true, Threshold: d.model.refill.threshold, PackageID: packageID, MonthlyCap: d.model.refill.most})
	if err != nil {
		d.t.Fatal(err)
	}
	d.model.refill.low, d.model.refill.dips = true, 1 // of an account without credits
}
