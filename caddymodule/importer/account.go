package importer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// accountsSQL reads each user's balance with its ledger.
const accountsSQL = `
	SELECT jsonb_build_object('user_id', u.id, 'balance', to_jsonb(b), 'entries', (
		SELECT jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id) FROM credits.transactions AS t WHERE t.user_id::text = u.id::text))
	FROM auth.users AS u
	LEFT JOIN credits.balances AS b ON b.user_id::text = u.id::text
	ORDER BY u.id::text COLLATE "C"`

// accountBatch is how many accounts one transaction carries over.
const accountBatch = 100

// accounts carries balances and ledgers over. The balance of the source is what its
// users saw, so it counts: where the ledger does not lead to it, an opening entry, or
// one at the end, makes up for the difference. What is below zero becomes a debt.
func (r *run) accounts(ctx context.Context) error {
	return r.src.each(ctx, "user_id", accountsSQL, accountBatch, func(list []sourceRow) error {
		err := r.inBatch(ctx, "credits.balances", func(tx pgx.Tx, t *tally) error { return r.writeAccounts(ctx, tx, t, list) })
		if _, refused := refusal(err); !refused {
			return err
		}
		for _, in := range list {
			one := []sourceRow{in}
			err := r.inBatch(ctx, "credits.balances", func(tx pgx.Tx, t *tally) error { return r.writeAccounts(ctx, tx, t, one) })
			if reason, refused := refusal(err); refused {
				err = r.inBatch(ctx, "credits.balances", func(_ pgx.Tx, t *tally) error { t.refuse(in.id, reason); return nil })
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// account is an account of the ledger as it stands here, and what is added to it.
type account struct {
	UserID      string
	Balance     int64
	Debt        int64
	TotalEarned int64
	Sequence    int64
	Version     int64

	fresh      bool
	lots       []*lot
	entries    []row
	usage      []row
	debts      []row
	refunds    bool
	createdAt  any
	internal   map[string]bool
	clientKeys map[string]bool
}

// lot is what came in with one entry.
type lot struct {
	ID          string
	Remaining   int64
	Promotional bool
	Sequence    int64
	burnt       int64 // by this import
	row         row   // of a new one
}

func (r *run) writeAccounts(ctx context.Context, tx pgx.Tx, t *tally, list []sourceRow) error {
	// What adds usage up must not see half of it.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('credits.usage_stats'))`); err != nil {
		return err
	}
	var keys, changed []string
	for _, in := range list {
		keys = append(keys, in.id)
	}
	before, err := imported(ctx, tx, "credits.balances", keys)
	if err != nil {
		return err
	}
	for _, in := range list {
		if before[in.id].source != in.digest {
			changed = append(changed, in.id)
		}
	}
	here, err := standing(ctx, tx, changed)
	if err != nil {
		return err
	}
	var written []*account
	var digests []string
	for _, in := range list {
		known, was := before[in.id]
		a := here[in.id]
		switch {
		case !r.people[in.id] && !r.closed[in.id]:
			if in.row.has("balance") || in.row.has("entries") {
				t.refuse(in.id, "its user was not carried over")
			}
			continue
		case was && known.source == in.digest:
			t.count.Unchanged++
			continue
		case was && (a == nil || known.written != a.mark()):
			t.count.Kept++
			t.refuse(in.id, "the account was used here and at the source since it was carried over: the balance here stands, that of the source is "+in.row.object("balance").text("balance"))
			continue
		case !was && a != nil && a.Sequence > 0:
			t.refuse(in.id, "there is an account with a ledger here already")
			continue
		}
		if a == nil {
			a = &account{UserID: in.id, fresh: true}
		}
		done, err := doneEntries(ctx, tx, was, in.id)
		if err != nil {
			return err
		}
		a.post(t, in, done)
		if was {
			t.count.Updated++
		} else {
			t.count.Created++
		}
		written, digests = append(written, a), append(digests, in.digest)
	}
	return save(ctx, tx, written, digests)
}

// mark changes with every entry of the account.
func (a *account) mark() string { return fmt.Sprintf("%d:%d", a.Sequence, a.Version) }

// entryTypes are those that the ledger knows.
var entryTypes = []string{"purchase", "usage", "refund", "gift", "expiry", "adjustment", "bonus", "gift_reserve", "gift_release", "gift_receive"}

// post adds what is new of the source's ledger, and makes the balance that of the
// source.
func (a *account) post(t *tally, in sourceRow, done map[string]bool) {
	balance := in.row.object("balance")
	a.createdAt = balance["created_at"]
	a.internal, a.clientKeys = make(map[string]bool), make(map[string]bool)
	listed, _ := in.row["entries"].([]any)
	var fresh []row
	var total, lowest int64
	for _, each := range listed {
		e := row(each.(map[string]any))
		id := e.text("id")
		if done[id] {
			continue
		}
		amount := credits(t, in.id, "amount of entry "+id, e.text("amount"))
		status := e.text("status")
		switch {
		case amount == 0:
			t.mend(in.id, "entry "+id+": is of nothing, and was left out")
			continue
		case status != "completed":
			t.mend(in.id, "entry "+id+": is "+status+", and was left out")
			continue
		}
		kind := e.text("type")
		if !oneOf(kind, entryTypes...) || kind == "usage" && amount > 0 {
			t.mend(in.id, "entry "+id+": type "+kind+" cannot be of such an amount here, and became adjustment")
			kind = "adjustment"
		}
		e["type"], e["amount"] = kind, amount
		total += amount
		lowest = min(lowest, total)
		fresh = append(fresh, e)
	}
	if a.createdAt == nil && len(fresh) > 0 {
		a.createdAt = fresh[0]["created_at"]
	}
	target := a.Balance + total
	if balance != nil {
		target = credits(t, in.id, "balance", balance.text("balance"))
	} else if len(fresh) > 0 {
		t.mend(in.id, "balance: was missing, and became the sum of the ledger")
	}
	debt := max(0, -target)
	target = max(0, target)
	opening := max(0, target-a.Balance-total, -a.Balance-lowest)
	closing := target - a.Balance - total - opening

	if opening != 0 {
		what := "ledger: does not add up to the balance, and began with an opening entry of "
		if !a.fresh && a.Sequence > 0 {
			what = "ledger: does not add up to the balance, and went on with an entry of "
		}
		t.mend(in.id, what+creditsText(opening))
		at := a.createdAt
		if len(fresh) > 0 {
			at = fresh[0]["created_at"]
		}
		a.enter(row{"type": "adjustment", "amount": opening, "app_id": "import", "description": "Opening entry", "created_at": at})
	}
	for _, e := range fresh {
		a.enter(e)
	}
	var adjustment string
	if closing != 0 {
		t.mend(in.id, "ledger: does not add up to the balance, and ended with an entry of "+creditsText(closing))
		at := balance["updated_at"]
		if len(fresh) > 0 {
			at = fresh[len(fresh)-1]["created_at"]
		}
		adjustment = a.enter(row{"type": "adjustment", "amount": closing, "app_id": "import", "description": "Closing entry", "created_at": at})
	}
	a.owe(t, in.id, debt, closing, adjustment)
}

// owe makes the debt of the account that of the source.
func (a *account) owe(t *tally, id string, debt, closing int64, adjustment string) {
	switch change := debt - a.Debt; {
	case change > 0:
		t.mend(id, "balance: was below zero, and became a debt of "+creditsText(debt))
		a.debts = append(a.debts, row{"kind": "incurred", "amount": change})
	case change < 0 && closing <= change:
		a.debts = append(a.debts, row{"kind": "paid", "amount": change, "transaction_id": adjustment})
	case change < 0:
		a.debts = append(a.debts, row{"kind": "forgiven", "amount": change, "reason": "paid at the source", "forgiven_by": "import"})
	}
	for _, d := range a.debts {
		d["user_id"], d["reference"] = a.UserID, "import"
	}
	a.Debt = debt
}

// creditsText writes thousandths of a credit.
func creditsText(amount int64) string {
	if amount%1000 == 0 {
		return fmt.Sprintf("%d", amount/1000)
	}
	return fmt.Sprintf("%.3f", float64(amount)/1000)
}

// enter appends one entry, and charges lots or makes one.
func (a *account) enter(e row) (id string) {
	amount, kind := e["amount"].(int64), e.text("type")
	id = e.text("id")
	if id == "" {
		id = uuid.NewString()
	}
	a.Sequence++
	out := row{
		"id": id, "user_id": a.UserID, "sequence": a.Sequence, "type": kind, "status": "completed", "amount": amount,
		"balance_before": a.Balance, "balance_after": a.Balance + amount, "app_id": e.text("app_id"), "operation": "",
		"description": e.text("description"), "metadata": e["metadata"], "created_at": e["created_at"], "completed_at": e["completed_at"],
	}
	if out["completed_at"] == nil {
		out["completed_at"] = e["created_at"]
	}
	var reference any
	switch key := e.text("idempotency_key"); {
	case kind == "purchase":
		if purchase := e.object("metadata").text("purchaseId"); purchase != "" && amount > 0 && !a.internal[purchase] {
			a.internal[purchase] = true
			reference = "purchase:" + purchase
			out["internal_key"] = reference
		}
	case key != "" && len([]rune(key)) <= 255 && !a.clientKeys[key]:
		a.clientKeys[key] = true
		out["idempotency_key"] = key
	}
	a.Balance += amount
	if kind == "purchase" || kind == "adjustment" || kind == "bonus" || kind == "gift_receive" || kind == "gift" && amount > 0 {
		a.TotalEarned += amount
	}
	a.refunds = a.refunds || kind == "refund"
	if kind == "usage" {
		a.usage = append(a.usage, out)
	}
	a.entries = append(a.entries, out)
	if amount > 0 {
		source := lotSource(kind)
		l := &lot{ID: uuid.NewString(), Remaining: amount, Promotional: source != "purchase", Sequence: a.Sequence}
		l.row = row{
			"id": l.ID, "transaction_id": id, "user_id": a.UserID, "sequence": a.Sequence, "source": source, "reference": reference,
			"granted": amount, "created_at": e["created_at"],
		}
		a.lots = append(a.lots, l)
		return id
	}
	a.charge(-amount)
	return id
}

// lotSource is where the credits of an entry came from.
func lotSource(kind string) string {
	switch kind {
	case "purchase", "refund":
		return kind
	case "gift", "gift_receive", "gift_release", "gift_reserve":
		return "gift"
	}
	return "admin"
}

// charge takes an amount from the lots, promotional ones and older ones first, as the
// ledger does with those that have no end.
func (a *account) charge(amount int64) {
	slices.SortStableFunc(a.lots, func(x, y *lot) int {
		if x.Promotional != y.Promotional {
			if x.Promotional {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.Sequence, y.Sequence)
	})
	for _, l := range a.lots {
		n := min(amount, l.Remaining)
		l.Remaining -= n
		l.burnt += n
		amount -= n
	}
}
