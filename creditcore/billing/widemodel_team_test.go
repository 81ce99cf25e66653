package billing_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
)

const (
	teamID    = "team"
	teamOwner = "owner"
	teamKey   = "team-key"
	// teamBudget is what the key of the organisation may spend, of its account and of its
	// owner's, whoever asks.
	teamBudget = 60_000
	// teamShare is what a member may spend to whom nothing else is allotted.
	teamShare = 25_000
)

// teamRow is what a row of the organisation's ledger must say.
type teamRow struct {
	amount creditcore.Amount
	by     string
}

// teamModel is the organisation that all drivers share.
type teamModel struct {
	mu     sync.Mutex
	rows   map[string]teamRow
	shared creditcore.Amount // spent by the key
	own    creditcore.Amount // of that of the owner's account
}

// memberModel is what a driver's user spends of the organisation's account. Nobody else
// changes that.
type memberModel struct {
	allotted creditcore.Amount // 0 for what every member may
	spent    creditcore.Amount
	holds    []holdModel
	charges  []*chargeModel
}

func (m memberModel) left() creditcore.Amount {
	if m.allotted == 0 {
		return teamShare - m.spent
	}
	return m.allotted - m.spent
}

var teamAccount = creditcore.OrganizationAccount(teamID)

func ofTeam() creditcore.Caller {
	return creditcore.Caller{UserID: teamOwner, Role: "user", Organization: teamID}
}

func (w *wide) newTeam() {
	w.t.Helper()
	w.team.rows = map[string]teamRow{}
	w.exec(`INSERT INTO auth.organizations (id, name) VALUES ($1, $1)`, teamID)
	w.user(teamOwner)
	w.give(teamOwner, 500)
	w.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('0', $1, $2, 'owner')`, teamID, teamOwner)
	w.exec(`INSERT INTO auth.api_keys (id, user_id, organization_id, name, key_prefix, key_hash, budget_credits, budget_period)
		VALUES ($1, $2, $3, 'key', 'sk_live_', $1, $4, 'total')`, teamKey, teamOwner, teamID, int64(teamBudget))
	if _, err := w.ledger.Allot(w.t.Context(), ofTeam(), creditcore.Allotment{Credits: teamShare, Period: creditcore.PerMonth}); err != nil {
		w.t.Fatal(err)
	}
}

func (m *teamModel) join(w *wide, user string) {
	w.t.Helper()
	w.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ($2, $1, $2, 'member')`, teamID, user)
}

// wrote is a row that must be in the ledger of the organisation.
func (m *teamModel) wrote(r creditcore.Receipt, amount creditcore.Amount, by string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[r.Entry.ID] = teamRow{amount, by}
}

func (d *wideDriver) teamGrant() error {
	n, key := d.amount(creditcore.Credits(40)), d.name()
	var r creditcore.Receipt
	err := patiently(func() (err error) {
		r, err = d.edge().ledger.Grant(d.t.Context(), creditcore.Grant{
			UserID: teamAccount, Amount: n, Type: creditcore.Purchase, Source: creditcore.SourcePurchase, AppID: "app", InternalKey: key, By: teamOwner,
		})
		return err
	})
	d.team.wrote(r, n, teamOwner)
	return err
}

// wantMember compares whether a member was refused with what is left to them. What the
// account has is everybody's: who is refused for that is told that it is less.
func (d *wideDriver) wantMember(n creditcore.Amount, err error) error {
	var short *creditcore.InsufficientError
	refused := errors.As(err, &short)
	switch left := d.member.left(); {
	case err == nil && n > left:
		return fmt.Errorf("%s of %s left was spent", n, left)
	case refused && short.OfAllotment && (n <= left || short.Available != max(0, left)):
		return fmt.Errorf("%s of %s left was refused: %+v", n, left, short)
	case refused && (short.Required != n || short.Available >= n || short.OfKey || short.Organization != teamID):
		return fmt.Errorf("%s was refused: %+v", n, short)
	case refused:
		return nil
	}
	return err
}

func (d *wideDriver) teamCharge() error {
	x := creditcore.Debit{UserID: d.user, Organization: teamID, Amount: d.amount(d.member.left() + 3), AppID: "app", Key: d.name()}
	edge := d.rng.IntN(wideEdges)
	if d.rng.IntN(2) == 0 {
		c, err := d.ask(d.rng, "chat", 0)
		if d.calls = append(d.calls, c); err != nil || c.cost == 0 {
			return err
		}
		x.Amount, x.Price, x.Metadata, edge = c.cost, c.name, c.noted(), c.edge
	}
	r, err := d.debit(edge, x)
	if err == nil {
		d.team.wrote(r, -x.Amount, d.user)
	}
	if wrong := d.wantMember(x.Amount, err); wrong != nil || err != nil {
		return wrong
	}
	d.member.spent += x.Amount
	d.member.charges = append(d.member.charges, &chargeModel{id: r.Entry.ID, left: x.Amount})
	return nil
}

func (d *wideDriver) teamHold() error {
	n := d.amount(min(d.member.left()+3, creditcore.Credits(8)))
	var h creditcore.Held
	err := patiently(func() (err error) {
		h, err = d.edge().ledger.Hold(d.t.Context(), creditcore.Hold{UserID: d.user, Organization: teamID, Amount: n, AppID: "app", TTL: 2 * time.Hour})
		return err
	})
	if wrong := d.wantMember(n, err); wrong != nil || err != nil {
		return wrong
	}
	d.member.spent += n
	d.member.holds = append(d.member.holds, holdModel{id: h.ID, amount: n})
	return nil
}

func (d *wideDriver) teamResolve() error {
	if len(d.member.holds) == 0 {
		return nil
	}
	i := d.rng.IntN(len(d.member.holds))
	h := d.member.holds[i]
	d.member.holds = slices.Delete(d.member.holds, i, i+1)
	charge := creditcore.Amount(d.rng.Int64N(int64(h.amount) + 1))
	var r creditcore.Receipt
	err := patiently(func() (err error) {
		r, err = d.edge().ledger.Settle(d.t.Context(), h.id, charge, nil)
		return err
	})
	d.member.spent -= h.amount - charge
	if charge > 0 {
		d.team.wrote(r, -charge, d.user)
		d.member.charges = append(d.member.charges, &chargeModel{id: r.Entry.ID, left: charge})
	}
	return err
}

func (d *wideDriver) teamRefund() error {
	if len(d.member.charges) == 0 {
		return nil
	}
	c := d.member.charges[d.rng.IntN(len(d.member.charges))]
	n, key := d.amount(c.left+2), d.name()
	var r creditcore.Receipt
	err := patiently(func() (err error) {
		r, err = d.edge().ledger.Refund(d.t.Context(), creditcore.Refund{UserID: teamAccount, Amount: n, EntryID: c.id, AppID: "app", Key: key, SpentBy: d.user})
		return err
	})
	if n > c.left && errors.Is(err, creditcore.ErrRefundExceeds) {
		return nil
	}
	if n > c.left {
		return fmt.Errorf("%s came back of %s: %w", n, c.left, err)
	}
	c.left -= n
	d.member.spent -= n
	d.team.wrote(r, n, d.user)
	return err
}

// allot has the owner allot something to the member, often less than was spent, or nothing.
func (d *wideDriver) allot() error {
	n := max(1, d.member.spent-creditcore.Credit+d.amount(creditcore.Credits(20)))
	if d.member.allotted > 0 && d.rng.IntN(3) == 0 {
		n = 0
	}
	d.member.allotted = n
	return patiently(func() error {
		if n == 0 {
			return d.edge().ledger.Unallot(d.t.Context(), ofTeam(), d.user)
		}
		_, err := d.edge().ledger.Allot(d.t.Context(), ofTeam(), creditcore.Allotment{
			UserID: d.user, Credits: n, Period: []creditcore.Period{creditcore.PerDay, creditcore.PerMonth, creditcore.InTotal}[d.rng.IntN(3)],
		})
		return err
	})
}

// sharedKey charges by the key that all drivers use, the organisation's account or its
// owner's own.
func (d *wideDriver) sharedKey() error {
	x := creditcore.Debit{UserID: teamOwner, Organization: teamID, Amount: d.amount(2500), AppID: "app", Key: d.name(), APIKey: teamKey}
	if d.rng.IntN(2) == 0 {
		x.Organization = ""
	}
	r, err := d.debit(d.rng.IntN(wideEdges), x)
	var short *creditcore.InsufficientError
	if errors.As(err, &short) && short.Required == x.Amount && short.Available < x.Amount && !short.OfAllotment && short.Organization == x.Organization {
		return nil
	}
	if err != nil {
		return err
	}
	d.team.mu.Lock()
	defer d.team.mu.Unlock()
	if d.team.shared += x.Amount; x.Organization == "" {
		d.team.own += x.Amount
	} else {
		d.team.rows[r.Entry.ID] = teamRow{-x.Amount, teamOwner}
	}
	return nil
}

// want compares the organisation's ledger, and what each has spent, with what was done.
func (m *teamModel) want(w *wide, drivers []*wideDriver) {
	type row struct {
		ID, By        string
		Amount, After creditcore.Amount
	}
	rows, err := dbscope.Rows[row](w.t.Context(), w.db.Pool, dbscope.System(),
		`SELECT id, coalesce(spent_by, '') AS by, amount, balance_after AS after FROM credits.transactions WHERE user_id = $1 ORDER BY sequence`, teamAccount)
	if err != nil || len(rows) != len(m.rows) {
		w.t.Errorf("the organisation has %d rows, %v; the model has %d", len(rows), err, len(m.rows))
	}
	var balance creditcore.Amount
	for _, r := range rows {
		want := m.rows[r.ID]
		if balance += r.Amount; r.Amount != want.amount || r.By != want.by || r.After != balance || balance < 0 {
			w.t.Errorf("row %+v of the organisation, which has %s; the model has %+v", r, balance, want)
		}
	}
	b, err := w.ledger.BalanceOf(w.t.Context(), teamAccount)
	if err != nil || b.Available != balance || b.Held != 0 {
		w.t.Errorf("the organisation has %+v, %v; the model has %s", b, err, balance)
	}
	shares, err := w.ledger.Shares(w.t.Context(), ofTeam())
	for _, s := range shares {
		i := slices.IndexFunc(drivers, func(d *wideDriver) bool { return d.user == s.UserID })
		if i >= 0 && s.Spent != drivers[i].member.spent {
			w.t.Errorf("%s spent %s of the organisation's account, the model has %s", s.UserID, s.Spent, drivers[i].member.spent)
		}
	}
	if err != nil || len(shares) != len(drivers)+1 {
		w.t.Errorf("%d shares, %v", len(shares), err)
	}
	spent, err := w.ledger.KeySpending(w.t.Context(), creditcore.Caller{UserID: teamOwner})
	if err != nil || spent[teamKey] != m.shared || m.shared > teamBudget {
		w.t.Errorf("the key of the organisation spent %s, %v; the model has %s of %s", spent[teamKey], err, m.shared, creditcore.Amount(teamBudget))
	}
	if got := w.balance(teamOwner); got != creditcore.Credits(500)-m.own {
		w.t.Errorf("the owner has %s, and spent %s", got, m.own)
	}
}
