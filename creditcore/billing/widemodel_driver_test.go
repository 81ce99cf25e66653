package billing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/migrations/functions"
)

// wideDriver takes one account through random steps, and its owner's part of the
// organisation.
type wideDriver struct {
	*wide
	rng      *rand.Rand
	n        int
	user     string
	person   string // who has another account beside
	card     string // of who is topped up
	model    *accountModel
	holds    []holdModel
	keyed    []keyedCharge
	calls    []call
	refunded map[string]int64 // cents of each top-up
	redeemed int
	refusals []coupon.Refusal
	member   memberModel
	unseen   bool // that lots have ended: what comes next finds it
}

type holdModel struct {
	id, key string
	amount  creditcore.Amount
}

// keyedCharge is a charge by a price that may come again under its key.
type keyedCharge struct {
	creditcore.Debit
	id       string
	quantity creditcore.Amount
}

func personOf(i int) string { return fmt.Sprintf("person-%d", i%(wideWorkers/2)) }

func (w *wide) newDriver(i int, rng *rand.Rand) *wideDriver {
	d := &wideDriver{wide: w, rng: rng, user: fmt.Sprintf("user-%02d", i), person: personOf(i), refunded: map[string]int64{}}
	d.model = newAccountModel(d.user)
	err := w.inTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(w.t.Context(), `INSERT INTO auth.users (id, name, email, email_verified) VALUES ($1, $1, $2, true)`, d.user, fmt.Sprintf("%s+%d@mail.test", d.person, i))
		if err == nil {
			err = w.edges[0].coupons.PromiseTx(w.t.Context(), tx, d.user)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.team.join(w, d.user)
	if i < wideWorkers/2 {
		d.model.followsLots = true
	} else {
		d.refillable()
	}
	return d
}

func (d *wideDriver) caller() creditcore.Caller {
	return creditcore.Caller{UserID: d.user, Email: d.user + "@mail.test", Role: "user"}
}

func (d *wideDriver) edge() wideEdge { return d.edges[d.rng.IntN(wideEdges)] }

func (d *wideDriver) name() string {
	d.n++
	return fmt.Sprintf("%s-%d", d.user, d.n)
}

func (d *wideDriver) amount(limit creditcore.Amount) creditcore.Amount {
	return 1 + creditcore.Amount(d.rng.Int64N(int64(max(limit, 1))))
}

// wideMove is what a driver does, so often among others.
type wideMove struct {
	name  string
	often int
	do    func(*wideDriver) error
}

var wideMoves = []wideMove{
	{"grant", 4, (*wideDriver).grant}, {"charge", 4, (*wideDriver).chargePrice}, {"batch", 3, (*wideDriver).batch}, {"again", 3, (*wideDriver).again},
	{"hold", 3, (*wideDriver).hold}, {"resolve", 4, (*wideDriver).resolve}, {"refund", 2, (*wideDriver).refund}, {"compensate", 1, (*wideDriver).compensate},
	{"budget", 2, (*wideDriver).budget}, {"probe", 3, (*wideDriver).probe}, {"coupon", 1, (*wideDriver).redeem}, {"plan", 1, (*wideDriver).plan},
	{"team grant", 1, (*wideDriver).teamGrant}, {"team charge", 3, (*wideDriver).teamCharge}, {"team hold", 1, (*wideDriver).teamHold},
	{"team resolve", 2, (*wideDriver).teamResolve}, {"team refund", 1, (*wideDriver).teamRefund}, {"allot", 1, (*wideDriver).allot}, {"shared key", 2, (*wideDriver).sharedKey},
}

var lotMoves = []wideMove{{"pass time", 5, (*wideDriver).passTime}}

var topUpMoves = []wideMove{
	{"spend", 10, (*wideDriver).spendMuch}, {"card", 2, (*wideDriver).changeCard}, {"agree", 2, (*wideDriver).agree},
	{"next day", 1, (*wideDriver).nextDay}, {"money back", 2, (*wideDriver).moneyBack},
}

func (d *wideDriver) step(step int) {
	move := wideMove{"trial", 1, (*wideDriver).askTrial}
	if step > 0 {
		moves := slices.Concat(wideMoves, lotMoves)
		if d.model.refill != nil {
			moves = slices.Concat(wideMoves, topUpMoves)
		}
		all := 0
		for _, m := range moves {
			all += m.often
		}
		n := d.rng.IntN(all)
		for _, m := range moves {
			if n -= m.often; n < 0 {
				move = m
				break
			}
		}
	}
	err := d.follow(d.model)
	d.model.begin()
	d.unseen = false
	if err == nil {
		err = move.do(d)
	}
	if err == nil && !d.unseen {
		err = d.compare()
	}
	if err != nil {
		d.t.Errorf("step %d of %s, %s: %v", step, d.user, move.name, err)
	}
}

// compare compares the balance with the model's, which top-ups may change meanwhile.
func (d *wideDriver) compare() error {
	m := d.model
	for try := 0; ; try++ {
		var b creditcore.Balance
		err := patiently(func() (err error) {
			b, err = d.edge().ledger.BalanceOf(d.t.Context(), d.user)
			return err
		})
		if err == nil {
			err = d.follow(m)
		}
		if due := m.expire(time.Now()); err == nil && (m.dying != 0 || due != 0) {
			err = fmt.Errorf("%s did not expire", m.dying+due)
		}
		switch {
		case err != nil:
			return err
		case b.Available == m.available() && b.Held == m.held && b.Debt == m.debt && b.TotalEarned == m.earned && b.TotalSpent == m.spent+m.held &&
			(m.debt == 0 || m.available() == 0):
			return nil
		case m.refill == nil || try == 200:
			return fmt.Errorf("%+v; the model has %s available, %s held, %s owed, %s earned, %s spent", b, m.available(), m.held, m.debt, m.earned, m.spent)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// finish resolves what is open.
func (d *wideDriver) finish() {
	var err error
	for err == nil && len(d.holds) > 0 {
		err = d.resolve()
	}
	for err == nil && len(d.member.holds) > 0 {
		err = d.teamResolve()
	}
	if err != nil {
		d.t.Errorf("the holds of %s: %v", d.user, err)
	}
}

// wantEnd compares all that the account came to.
func (d *wideDriver) wantEnd() {
	m := d.model
	if err := d.compare(); err != nil || len(m.claims) > 0 {
		d.t.Errorf("the end of %s: %v; %d rows are missing", d.user, err, len(m.claims))
	}
	if m.given+m.bought-m.returned != m.used+m.expired+m.balance {
		d.t.Errorf("%s: %s given + %s bought − %s taken back is not %s used + %s expired + %s left", d.user, m.given, m.bought, m.returned, m.used, m.expired, m.balance)
	}
	spent, err := d.edges[0].ledger.KeySpending(d.t.Context(), d.caller())
	for id, k := range m.keys {
		if err != nil || spent[id] != k.spent {
			d.t.Errorf("a key of %s spent %s, %v; the model has %s", d.user, spent[id], err, k.spent)
		}
	}
	if m.refill != nil {
		d.wantRefilled()
		back := d.count(`SELECT coalesce(sum(reversed_credits), 0) FROM credits.purchases WHERE user_id = $1`, d.user)
		if creditcore.Amount(back) != m.returned+m.debt {
			d.t.Errorf("%s: money of %s credits went back, %s were taken and %s are owed", d.user, creditcore.Amount(back), m.returned, m.debt)
		}
		return
	}
	d.exec(`SELECT `+functions.Schema+`.burn($1) FROM (SELECT `+functions.Schema+`.account($1)) AS locked`, d.user)
	type lot struct{ Remaining creditcore.Amount }
	rows, err := dbscope.Rows[lot](d.t.Context(), d.db.Pool, dbscope.System(), `SELECT remaining FROM credits.lots WHERE user_id = $1 AND remaining > 0 ORDER BY remaining`, d.user)
	var want []lot
	for _, l := range m.lots {
		if l.remaining > 0 {
			want = append(want, lot{l.remaining})
		}
	}
	slices.SortFunc(want, func(a, b lot) int { return int(a.Remaining - b.Remaining) })
	if err != nil || !slices.Equal(rows, want) {
		d.t.Errorf("lots of %s: %v, %v; the model has %v", d.user, rows, err, want)
	}
}

// grant gives credits: where lots are followed, of any source and mostly with an end.
func (d *wideDriver) grant() error {
	g := creditcore.Grant{UserID: d.user, Amount: d.amount(creditcore.Credits(60)), Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin", InternalKey: d.name()}
	c := claim{amount: g.Amount}
	if d.model.followsLots {
		g.Priority = d.rng.IntN(3) - 1
		g.Source = []creditcore.Source{creditcore.SourceAdmin, creditcore.SourceSubscription, creditcore.SourceGift}[d.rng.IntN(3)]
		if d.rng.IntN(4) > 0 {
			c.ends = time.Now().Add(time.Duration(1+d.rng.IntN(200*60))*time.Minute + time.Duration(d.n)*time.Millisecond).Truncate(time.Microsecond)
			g.ExpiresAt = &c.ends
		}
	}
	var r creditcore.Receipt
	err := patiently(func() (err error) {
		r, err = d.edge().ledger.Grant(d.t.Context(), g)
		return err
	})
	if err != nil {
		return err
	}
	d.model.claims[r.Entry.ID] = c
	return d.follow(d.model)
}

// ask asks an edge for what a random quantity costs.
func (d *wideDriver) ask(rng *rand.Rand, name string, quantity creditcore.Amount) (call, error) {
	c := call{edge: rng.IntN(wideEdges), user: d.user, name: name, quantity: quantity}
	err := patiently(func() (err error) {
		c.began = time.Now()
		c.price, err = d.edges[c.edge].ledger.PriceFor(d.t.Context(), d.user, name)
		c.ended = time.Now()
		return err
	})
	if errors.Is(err, creditcore.ErrPriceUnknown) {
		return c, nil
	}
	if err == nil {
		if c.quantity == 0 {
			c.quantity = randomQuantity(rng, c.price)
		}
		c.cost, err = c.price.Cost(c.quantity)
	}
	return c, err
}

// noted is the metadata of a charge by a price.
func (c call) noted() json.RawMessage {
	fields := map[string]any{creditcore.MetadataPrice: c.name, creditcore.MetadataQuantity: c.quantity}
	if c.price.Version > 0 {
		fields[creditcore.MetadataPriceVersion] = c.price.Version
	}
	if c.price.Plan != "" {
		fields[creditcore.MetadataPricePlan] = c.price.Plan
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return raw
}

func (c call) debit(key, apiKey string) creditcore.Debit {
	return creditcore.Debit{UserID: c.user, Amount: c.cost, AppID: "app", Operation: c.name, Metadata: c.noted(), Key: key, APIKey: apiKey, Price: c.name}
}

// someKey is one of the account's API keys, or none.
func (d *wideDriver) someKey() string {
	keys := []string{"", ""}
	for id := range d.model.keys {
		keys = append(keys, id)
	}
	slices.Sort(keys)
	return keys[d.rng.IntN(len(keys))]
}

// debit charges an account.
func (w *wide) debit(edge int, x creditcore.Debit) (r creditcore.Receipt, err error) {
	err = patiently(func() (err error) {
		r, err = w.edges[edge].ledger.Debit(w.t.Context(), x)
		return err
	})
	return r, err
}

// charged sees to it that a charge was made, or refused for a reason.
func (d *wideDriver) charged(x creditcore.Debit, r creditcore.Receipt, err error) error {
	if err == nil {
		d.model.claims[r.Entry.ID] = claim{amount: x.Amount, key: x.APIKey}
	}
	return d.refused(x, err)
}

// refused sees to it that what was refused lacked something.
func (d *wideDriver) refused(x creditcore.Debit, err error) error {
	if after := d.follow(d.model); after != nil {
		return after
	}
	var short *creditcore.InsufficientError
	if errors.As(err, &short) {
		err = d.model.wantShort(short, x.Amount, x.APIKey)
	}
	return err
}

func (d *wideDriver) chargePrice() error {
	c, err := d.ask(d.rng, modelPrices[d.rng.IntN(len(modelPrices))], 0)
	if d.calls = append(d.calls, c); err != nil || c.cost == 0 {
		return err
	}
	x := c.debit(d.name(), d.someKey())
	r, err := d.debit(c.edge, x)
	if err == nil {
		d.keyed = append(d.keyed, keyedCharge{x, r.Entry.ID, c.quantity})
	}
	return d.charged(x, r, err)
}

// batch makes many charges side by side, as POST /credits/use/batch does, on both edges.
func (d *wideDriver) batch() error {
	type made struct {
		call
		creditcore.Debit
		creditcore.Receipt
		err error
	}
	items := make([]made, 2+d.rng.IntN(6))
	var all sync.WaitGroup
	for i := range items {
		rng, name, key, apiKey := rand.New(rand.NewPCG(d.rng.Uint64(), 0)), modelPrices[d.rng.IntN(len(modelPrices))], d.name(), d.someKey()
		all.Go(func() {
			it := &items[i]
			if it.call, it.err = d.ask(rng, name, 0); it.err == nil && it.cost > 0 {
				it.Debit = it.call.debit(key, apiKey)
				it.Receipt, it.err = d.debit(it.edge, it.Debit)
			}
		})
	}
	all.Wait()
	for _, it := range items {
		if d.calls = append(d.calls, it.call); it.err == nil && it.cost > 0 {
			d.model.claims[it.Entry.ID] = claim{amount: it.Debit.Amount, key: it.Debit.APIKey}
		}
	}
	for _, it := range items {
		if it.cost == 0 && it.err == nil {
			continue
		}
		if err := d.refused(it.Debit, it.err); err != nil {
			return err
		}
	}
	return nil
}

// again repeats a charge under its key, which has the price of then; another quantity is
// another request.
func (d *wideDriver) again() error {
	if len(d.keyed) == 0 {
		return nil
	}
	k := d.keyed[d.rng.IntN(len(d.keyed))]
	quantity := k.quantity
	if d.rng.IntN(4) == 0 {
		quantity++
	}
	c, err := d.ask(d.rng, k.Price, quantity)
	if d.calls = append(d.calls, c); err != nil || c.cost == 0 {
		return err
	}
	r, err := d.debit(c.edge, c.debit(k.Key, k.APIKey))
	whole := slices.ContainsFunc(d.model.charges, func(c *chargeModel) bool { return c.id == k.id && c.left == 0 })
	switch {
	case quantity != k.quantity && errors.Is(err, creditcore.ErrKeyReused),
		quantity == k.quantity && whole && errors.Is(err, creditcore.ErrKeyRefunded),
		quantity == k.quantity && !whole && err == nil && r.Replayed && r.Entry.ID == k.id && r.Entry.Amount == -k.Amount:
		return nil
	}
	return fmt.Errorf("%s of %s again, which was %s, and %s: %+v, %w", c.quantity, k.Price, k.quantity, k.Amount, r, err)
}

// hold reserves what a price comes to, or any amount.
func (d *wideDriver) hold() error {
	m, key := d.model, d.someKey()
	h := creditcore.Hold{UserID: d.user, Amount: d.amount(m.available() + 3), AppID: "app", TTL: 2 * time.Hour, APIKey: key}
	edge := d.rng.IntN(wideEdges)
	if d.rng.IntN(2) == 0 {
		c, err := d.ask(d.rng, "chat", 0)
		if d.calls = append(d.calls, c); err != nil || c.cost == 0 {
			return err
		}
		h.Amount, h.Price, h.Metadata, edge = c.cost, c.name, c.noted(), c.edge
	}
	var held creditcore.Held
	err := patiently(func() (err error) {
		held, err = d.edges[edge].ledger.Hold(d.t.Context(), h)
		return err
	})
	if err != nil {
		return d.refused(creditcore.Debit{Amount: h.Amount, APIKey: key}, err)
	}
	if err := d.follow(m); err != nil {
		return err
	}
	if k := m.keys[key]; k != nil {
		if k.spent += h.Amount; k.budget > 0 && k.left() < 0 {
			return fmt.Errorf("the budget %s of the key is exceeded by %s", k.budget, -k.left())
		}
	}
	if m.held += h.Amount; m.available() < 0 {
		return fmt.Errorf("%s more is held than there is", -m.available())
	}
	d.holds = append(d.holds, holdModel{held.ID, key, h.Amount})
	return nil
}

// resolve settles a hold for some of it, or gives it back.
func (d *wideDriver) resolve() error {
	if len(d.holds) == 0 {
		return nil
	}
	m, i := d.model, d.rng.IntN(len(d.holds))
	h := d.holds[i]
	d.holds = slices.Delete(d.holds, i, i+1)
	charge := creditcore.Amount(d.rng.Int64N(int64(h.amount) + 1))
	if d.rng.IntN(3) == 0 {
		charge = 0
	}
	var r creditcore.Receipt
	err := patiently(func() (err error) {
		if edge := d.edge().ledger; charge > 0 || d.rng.IntN(2) == 0 {
			r, err = edge.Settle(d.t.Context(), h.id, charge, nil)
		} else {
			_, err = edge.Release(d.t.Context(), h.id)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case charge > 0:
		m.claims[r.Entry.ID] = claim{amount: charge, key: h.key, hold: h.amount}
	default:
		m.held -= h.amount
		if k := m.keys[h.key]; k != nil {
			k.spent -= h.amount
		}
	}
	return d.follow(m)
}

// refund gives back some of a charge, at times more than there is of it.
func (d *wideDriver) refund() error {
	if len(d.model.charges) == 0 {
		return nil
	}
	c := d.model.charges[d.rng.IntN(len(d.model.charges))]
	n, key := d.amount(c.left+2), d.name()
	var r creditcore.Receipt
	err := patiently(func() (err error) {
		r, err = d.edge().ledger.Refund(d.t.Context(), creditcore.Refund{UserID: d.user, Amount: n, EntryID: c.id, AppID: "app", Key: key})
		return err
	})
	if n > c.left && errors.Is(err, creditcore.ErrRefundExceeds) {
		return nil
	}
	if err == nil {
		d.model.claims[r.Entry.ID] = claim{amount: n}
		err = d.follow(d.model)
	}
	return err
}

// compensate charges for a request that comes to nothing.
func (d *wideDriver) compensate() error {
	x := creditcore.Debit{UserID: d.user, Amount: d.amount(d.model.available()), AppID: "app", Key: d.name(), APIKey: d.someKey()}
	r, err := d.debit(d.rng.IntN(wideEdges), x)
	if charged := d.charged(x, r, err); charged != nil || err != nil {
		return charged
	}
	d.model.claims["of "+r.Entry.ID] = claim{amount: x.Amount}
	err = patiently(func() error {
		_, err := d.edge().ledger.Compensate(d.t.Context(), r)
		return err
	})
	if err == nil {
		err = d.follow(d.model)
	}
	return err
}

// budget makes a key, or gives one another budget, which is often nearly spent.
func (d *wideDriver) budget() error {
	m, id := d.model, d.someKey()
	if id == "" {
		if len(m.keys) == 3 {
			return nil
		}
		id = d.name()
		if err := patiently(func() error {
			return d.try(`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash) VALUES ($1, $2, 'key', 'sk_live_', $1)`, id, d.user)
		}); err != nil {
			return err
		}
		m.keys[id] = &keyModel{}
	}
	k := m.keys[id]
	budget := max(1, k.spent-creditcore.Credit+d.amount(creditcore.Credits(12)))
	err := patiently(func() error {
		return d.try(`UPDATE auth.api_keys SET budget_credits = $2, budget_period = $3 WHERE id = $1`, id, int64(budget), []string{"day", "month", "total"}[d.rng.IntN(3)])
	})
	k.budget = budget
	return err
}

// probe spends what a budget leaves, or what the account has, to the thousandth, and one more.
func (d *wideDriver) probe() error {
	key := d.someKey()
	left := d.model.available() - d.model.ending(time.Now())
	if k := d.model.keys[key]; k != nil && k.budget > 0 {
		left = min(left, k.left())
	}
	for _, more := range []creditcore.Amount{1, 0} {
		if left+more <= 0 {
			continue
		}
		d.model.begin()
		x := creditcore.Debit{UserID: d.user, Amount: left + more, AppID: "app", Key: d.name(), APIKey: key}
		r, err := d.debit(d.rng.IntN(wideEdges), x)
		if err := d.charged(x, r, err); err != nil {
			return err
		}
		if more == 0 && err != nil {
			return fmt.Errorf("%s was left, and refused: %w", left, err)
		}
	}
	return nil
}

// askTrial asks both edges at once for the trial, while the person's other account does.
func (d *wideDriver) askTrial() error {
	var errs [wideEdges]error
	together(wideEdges, func(i int) {
		errs[i] = patiently(func() error {
			_, err := d.edges[i].coupons.GiveTrial(d.t.Context(), d.user)
			return err
		})
	})
	return errors.Join(errs[:]...)
}

// redeem takes the coupon, if there are any left and the person did not yet.
func (d *wideDriver) redeem() error {
	var r coupon.Redemption
	err := patiently(func() (err error) {
		r, err = d.edge().coupons.Redeem(d.t.Context(), coupon.Claim{UserID: d.user, Code: d.code})
		return err
	})
	if refusal := coupon.Refusal(""); errors.As(err, &refusal) && (refusal == coupon.Used || refusal == coupon.Depleted) {
		d.refusals = append(d.refusals, refusal)
		return nil
	}
	if err != nil {
		return err
	}
	d.redeemed++
	d.model.claims[r.TransactionID] = claim{amount: wideCoupon, ends: *r.ExpiresAt}
	return d.follow(d.model)
}

// plan subscribes them to something else.
func (d *wideDriver) plan() error {
	if d.rng.IntN(3) > 0 {
		return nil
	}
	return d.subscribe(d.user, append([]string{""}, modelPlans...)[d.rng.IntN(3)])
}

// passTime brings the end of all lots that end before some hours from now. At times nobody
// looks, so that a charge or whatever comes next is the first to find it.
func (d *wideDriver) passTime() error {
	hours := []int{3, 10, 30, 60, 76, 85, 120, 300}[d.rng.IntN(8)]
	now := time.Now().Truncate(time.Microsecond)
	until := now.Add(time.Duration(hours) * time.Hour)
	err := patiently(func() error {
		return d.inTx(d.t.Context(), func(tx pgx.Tx) error {
			for _, sql := range []string{
				`SELECT ` + functions.Schema + `.account($1) WHERE $2::timestamptz < $3::timestamptz`,
				`SELECT ` + functions.Schema + `.burn($1) WHERE $2::timestamptz < $3::timestamptz`,
				`UPDATE credits.lots SET expires_at = $2 WHERE user_id = $1 AND expires_at > $2 AND expires_at <= $3`,
				`UPDATE credits.balances SET next_expiry = (SELECT min(expires_at) FROM credits.lots WHERE user_id = $1 AND remaining > 0)
				 WHERE user_id = $1 AND $2::timestamptz < $3::timestamptz`,
			} {
				if _, err := tx.Exec(d.t.Context(), sql, d.user, now, until); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for _, l := range d.model.lots {
		if l.ends.After(now) && !l.ends.After(until) {
			l.ends = now
		}
	}
	d.unseen = d.rng.IntN(3) > 0
	return err
}

// spendMuch brings an account below its threshold, if it is not there.
func (d *wideDriver) spendMuch() error {
	much := d.model.available() - d.amount(d.model.refill.threshold)
	if much <= 0 {
		return nil
	}
	x := creditcore.Debit{UserID: d.user, Amount: much, AppID: "app", Key: d.name()}
	r, err := d.debit(d.rng.IntN(wideEdges), x)
	return d.charged(x, r, err)
}
