package billing_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

// modelPlans are what a user may be subscribed to.
var modelPlans = []string{"Pro", "Team"}

// modelPrices are the names that charges ask for. The last one is in some versions only.
var modelPrices = []string{"chat", "token", "film"}

// configPrices stand where no version has the name.
func configPrices() creditcore.Prices {
	return creditcore.NewPrices(
		creditcore.Price{Name: "chat", Credits: 1700, Per: 1, Tiers: []creditcore.Tier{{Above: 3, Credits: 900}}},
		creditcore.Price{Name: "token", Credits: 11, Per: 1000, Unit: "tokens", Plans: []creditcore.PlanPrice{{Plan: "pro", Credits: 7}}},
	)
}

// bookChange is a version that was published, or with withdrawn one that was taken back:
// somewhere between began and done.
type bookChange struct {
	began, done time.Time
	version     int64
	effective   time.Time
	prices      creditcore.Prices
	withdrawn   bool
}

// bookReading is when an edge read the price book.
type bookReading struct{ began, done time.Time }

// priceHistory is what the price book was at which time, and when each edge read it. What it
// says is for who asks once all is over.
type priceHistory struct {
	mu       sync.Mutex
	changes  []bookChange
	readings [wideEdges][]bookReading
}

// read has an edge read the price book.
func (h *priceHistory) read(ctx context.Context, i int, ledger *creditcore.Service) error {
	began := time.Now()
	if err := ledger.LoadPrices(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readings[i] = append(h.readings[i], bookReading{began, time.Now()})
	return nil
}

// edgeBook is what an edge may have known of the price book: each change for certain since
// known, and what is in force by behind later than the database says, as long as its slowest
// reading took.
type edgeBook struct {
	changes []bookChange
	known   []time.Time
	behind  time.Duration
}

func (h *priceHistory) of(edge int) edgeBook {
	b := edgeBook{changes: h.changes}
	for _, r := range h.readings[edge] {
		b.behind = max(b.behind, r.done.Sub(r.began))
	}
	for _, c := range h.changes {
		known := c.done.Add(24 * time.Hour)
		for _, r := range h.readings[edge] {
			if !r.began.Before(c.done) && r.done.Before(known) {
				known = r.done
			}
		}
		b.known = append(b.known, known)
	}
	return b
}

// inForce are the versions by which the edge may have priced what began and ended then: those
// in force at some time between, by what it had read for certain or may have read.
func (b edgeBook) inForce(began, ended time.Time) []int64 {
	var list []int64
	certain := 0
	for certain < len(b.changes) && !b.known[certain].After(began) {
		certain++
	}
	for n := certain; n <= len(b.changes) && (n == certain || !b.changes[n-1].began.After(ended)); n++ {
		from := began.Add(-b.behind)
		list = append(list, versionAt(b.changes[:n], from), versionAt(b.changes[:n], ended))
		for _, c := range b.changes[:n] {
			if c.effective.After(from) && !c.effective.After(ended) {
				list = append(list, versionAt(b.changes[:n], c.effective))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// versionAt is the version in force: of those whose time has come, and that were not
// withdrawn, the one whose time came last, and of such the last one. 0 is the config's.
func versionAt(changes []bookChange, at time.Time) int64 {
	withdrawn := make(map[int64]bool)
	var best bookChange
	for _, c := range slices.Backward(changes) { // a version is withdrawn after it was published
		if c.withdrawn {
			withdrawn[c.version] = true
		} else if !withdrawn[c.version] && !c.effective.After(at) &&
			cmp.Or(c.effective.Compare(best.effective), cmp.Compare(c.version, best.version)) > 0 {
			best = c
		}
	}
	return best.version
}

// named is the price of a name where a version is in force: its own, or the config's.
func (h *priceHistory) named(version int64, name string) (creditcore.Price, bool) {
	i := slices.IndexFunc(h.changes, func(c bookChange) bool { return c.version == version && !c.withdrawn })
	if i >= 0 {
		if p, err := h.changes[i].prices.Named(name); err == nil {
			p.Version = version
			return p, true
		}
	}
	p, err := configPrices().Named(name)
	return p, err == nil
}

// modelCost is what a quantity costs: each part of it by the tier it lies in, all of it
// rounded up to a thousandth once.
func modelCost(p creditcore.Price, plan string, quantity creditcore.Amount) creditcore.Amount {
	credits, tiers := p.Credits, p.Tiers
	for _, other := range p.Plans {
		if plan != "" && strings.EqualFold(other.Plan, plan) {
			credits, tiers = other.Credits, other.Tiers
		}
	}
	sum, from := creditcore.Amount(0), creditcore.Amount(0)
	for i := 0; i <= len(tiers) && from < quantity; i++ {
		to := creditcore.Amount(math.MaxInt64)
		if i < len(tiers) {
			to = creditcore.Credits(tiers[i].Above)
		}
		sum += credits * (min(quantity, to) - from)
		if from = to; i < len(tiers) {
			credits = tiers[i].Credits
		}
	}
	unit := creditcore.Credits(p.Per)
	return (sum + unit - 1) / unit
}

// randomTerms are a price of so much for each per, with up to three tiers.
func randomTerms(rng *rand.Rand, per int64) (creditcore.Amount, []creditcore.Tier) {
	credits := 1 + creditcore.Amount(rng.Int64N(2500))
	var tiers []creditcore.Tier
	for above := int64(0); rng.IntN(2) == 0 && len(tiers) < 3; {
		above += 1 + rng.Int64N(8*per)
		tiers = append(tiers, creditcore.Tier{Above: above, Credits: 1 + creditcore.Amount(rng.Int64N(2500))})
	}
	return credits, tiers
}

func randomPrices(rng *rand.Rand) creditcore.Prices {
	var list []creditcore.Price
	for _, name := range modelPrices {
		if rng.IntN(4) == 0 && len(list) > 0 {
			continue
		}
		p := creditcore.Price{Name: name, Per: []int64{1, 7, 1000}[rng.IntN(3)]}
		p.Credits, p.Tiers = randomTerms(rng, p.Per)
		for _, plan := range modelPlans {
			if rng.IntN(3) == 0 {
				other := creditcore.PlanPrice{Plan: strings.ToLower(plan)}
				other.Credits, other.Tiers = randomTerms(rng, p.Per)
				p.Plans = append(p.Plans, other)
			}
		}
		list = append(list, p)
	}
	return creditcore.NewPrices(list...)
}

// randomQuantity is often where a tier begins, a thousandth to either side of it, or just there.
func randomQuantity(rng *rand.Rand, p creditcore.Price) creditcore.Amount {
	tiers := p.Tiers
	for _, plan := range p.Plans {
		tiers = append(slices.Clone(tiers), plan.Tiers...)
	}
	if len(tiers) > 0 && rng.IntN(3) > 0 {
		return creditcore.Credits(tiers[rng.IntN(len(tiers))].Above) - 1 + creditcore.Amount(rng.Int64N(3))
	}
	return 1 + creditcore.Amount(rng.Int64N(20*p.Per*int64(creditcore.Credit)))
}

// publish changes the price book until ctx ends: tables in force at once or a moment later,
// some of which are withdrawn before. Each edge learns of a change after a while of its own.
func (w *wide) publish(ctx context.Context, rng *rand.Rand) {
	var told sync.WaitGroup
	defer told.Wait()
	for last := int64(0); ctx.Err() == nil; {
		c := bookChange{began: time.Now(), prices: randomPrices(rng)}
		soon := time.Duration(rng.IntN(400)) * time.Millisecond
		err := w.inTx(ctx, func(tx pgx.Tx) error {
			draft := creditcore.PriceDraft{Prices: c.prices, Reason: "the model", By: "cli:model", After: last}
			if soon > 200*time.Millisecond {
				draft.EffectiveAt = time.Now().Add(soon).Truncate(time.Microsecond)
			}
			v, err := w.edges[0].ledger.PublishPricesTx(ctx, tx, draft)
			c.version, c.effective = v.Version, v.EffectiveAt
			return err
		})
		switch {
		case ctx.Err() != nil, errors.Is(err, creditcore.ErrUnavailable), errors.Is(err, creditcore.ErrPricesPast):
			continue
		case err != nil:
			w.t.Errorf("publish prices: %v", err)
			return
		}
		last = c.version
		w.changed(ctx, &told, rng, c)
		if wait(ctx, time.Duration(rng.IntN(250))*time.Millisecond); soon > 200*time.Millisecond && rng.IntN(3) == 0 {
			back := bookChange{began: time.Now(), version: c.version, effective: c.effective, withdrawn: true}
			err := w.inTx(ctx, func(tx pgx.Tx) error {
				return w.edges[1].ledger.WithdrawPricesTx(ctx, tx, c.version, "cli:model", "the model")
			})
			switch {
			case err == nil:
				w.changed(ctx, &told, rng, back)
			case ctx.Err() == nil && !errors.Is(err, creditcore.ErrPriceVersionBound) && !errors.Is(err, creditcore.ErrUnavailable):
				w.t.Errorf("withdraw prices: %v", err)
			}
		}
	}
}

// changed notes a change, and has the edges read it.
func (w *wide) changed(ctx context.Context, told *sync.WaitGroup, rng *rand.Rand, c bookChange) {
	c.done = time.Now()
	w.prices.mu.Lock()
	w.prices.changes = append(w.prices.changes, c)
	w.prices.mu.Unlock()
	for i, e := range w.edges {
		late := time.Duration(rng.IntN(60)) * time.Millisecond
		told.Go(func() {
			wait(ctx, late)
			if err := patiently(func() error { return w.prices.read(ctx, i, e.ledger) }); err != nil && ctx.Err() == nil {
				w.t.Errorf("read prices: %v", err)
			}
		})
	}
}

// call is a price as an edge told it for a user, and when it was asked: the zero one where
// it said that there is none of the name.
type call struct {
	edge         int
	began, ended time.Time
	user, name   string
	price        creditcore.Price
	quantity     creditcore.Amount
	cost         creditcore.Amount
}

// checkCalls compares what the edges asked for quantities with what the versions they named
// say, and those versions with the ones in force.
func (w *wide) checkCalls(calls []call) {
	var books [wideEdges]edgeBook
	for i := range books {
		books[i] = w.prices.of(i)
	}
	for _, c := range calls {
		if err := w.checkCall(c, books[c.edge].inForce(c.began, c.ended)); err != nil {
			w.t.Errorf("%s by edge %d from %v to %v: %v", c.user, c.edge, c.began, c.ended, err)
			return
		}
	}
}

func (w *wide) checkCall(c call, versions []int64) error {
	var stated []creditcore.Price
	for _, v := range versions {
		p, ok := w.prices.named(v, c.name)
		if !ok && c.cost == 0 {
			return nil
		}
		if ok && c.cost > 0 && p.Version == c.price.Version {
			stated = append(stated, p)
		}
	}
	if stated == nil {
		return fmt.Errorf("%s is of version %d, in force were %v", c.name, c.price.Version, versions)
	}
	var costs []creditcore.Amount
	for _, plan := range w.plansOf(c.user, c.began, c.ended) {
		if cost := modelCost(stated[0], plan, c.quantity); strings.EqualFold(c.price.Plan, planOfPrice(stated[0], plan)) {
			costs = append(costs, cost)
		}
	}
	if !slices.Contains(costs, c.cost) {
		return fmt.Errorf("%s of %s cost %s for plan %q; by version %d that is one of %v: %s", c.quantity, c.name, c.cost, c.price.Plan, c.price.Version, costs, stated[0])
	}
	return nil
}

// planOfPrice is the plan whose price it is for the subscribers of one, empty for everybody's.
func planOfPrice(p creditcore.Price, plan string) string {
	if slices.ContainsFunc(p.Plans, func(o creditcore.PlanPrice) bool { return strings.EqualFold(o.Plan, plan) }) {
		return plan
	}
	return ""
}

// wait waits, at most until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (w *wide) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return dbscope.InTx(ctx, w.db.Pool, dbscope.System(), do)
}
