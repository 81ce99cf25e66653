package meter

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
)

// bill adds up what the meters of one request charge. What is inside another
// meter is part of its bill.
type bill struct {
	meters    int
	cost      creditcore.Amount
	reserved  creditcore.Amount // for apps to charge
	remaining creditcore.Amount
	known     bool // remaining is
	payers    []string
	refused   bool // a meter answered in place of the upstream
	written   bool
	receipt   bool     // is to be signed
	entries   []string // the rows of the ledger that the cost is in
	replayed  bool     // some of it was charged before, under a key
}

type billKey struct{}

// openBill is the bill of the request, with one more meter on it. The first says whether
// a receipt is to be signed.
func openBill(r *http.Request, receipt bool) (*bill, *http.Request) {
	b, ok := r.Context().Value(billKey{}).(*bill)
	if !ok {
		b = &bill{receipt: receipt}
		r = r.WithContext(context.WithValue(r.Context(), billKey{}, b))
	}
	b.meters++
	return b, r
}

// see notes what the ledger said last.
func (b *bill) see(available creditcore.Amount) { b.remaining, b.known = available, true }

// note adds what a meter charged.
func (b *bill) note(s settlement) {
	b.cost += s.cost
	b.replayed = b.replayed || s.outcome == metrics.OutcomeReplayed
	if s.entry != "" && s.cost > 0 {
		b.entries = append(b.entries, s.entry)
	}
}

// paidBy notes who pays: an organisation, or with an empty one the user.
func (b *bill) paidBy(organization string) { b.pays(payerName(organization)) }

// pays notes who pays, as clients are told.
func (b *bill) pays(name string) {
	if !slices.Contains(b.payers, name) {
		b.payers = append(b.payers, name)
	}
}

// payer names who pays; where meters on the way have several payers, all of them.
func (b *bill) payer() string { return strings.Join(b.payers, ", ") }

// write tells the client. Pages of another origin that may read the response
// may read this too (Fetch, section 3.2.3).
func (b *bill) write(h http.Header) {
	b.written = true
	delete(h, headerCost)
	delete(h, headerReserved)
	if b.reserved > 0 {
		h[headerReserved] = []string{b.reserved.String()}
	}
	if b.reserved == 0 || b.cost > 0 {
		h[headerCost] = []string{b.cost.String()}
	}
	delete(h, headerRemaining)
	if b.known {
		h[headerRemaining] = []string{b.remaining.String()}
	}
	delete(h, headerPayer)
	if len(b.payers) > 0 {
		h[headerPayer] = []string{b.payer()}
	}
	if _, ok := h["Access-Control-Allow-Origin"]; ok {
		answer.Expose(h)
	}
}

// placeholders makes {http.mana.credits.*} known. remaining is empty where it
// is not known.
func (b *bill) placeholders(r *http.Request, outcome string) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	remaining := ""
	if b.known {
		remaining = b.remaining.String()
	}
	repl.Set("http.mana.credits.cost", b.cost.String())
	repl.Set("http.mana.credits.remaining", remaining)
	repl.Set("http.mana.credits.payer", b.payer())
	repl.Set("http.mana.credits.outcome", outcome)
}
