package meter

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/caddymodule/meter/upstream"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/site"
	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/tracing"
)

func init() {
	caddy.RegisterModule(new(Meter))
	site.RegisterDirective("mana_credits", parseMeter)
}

const (
	// longestName bounds the names that charges are booked under.
	longestName = 255
	// longestHold bounds how long one request may keep credits reserved.
	longestHold = 24 * time.Hour
)

// Meter charges the signed-in user for a request, before the upstream works
// on it. It stands behind mana_auth; a guest gets 401, but with guest, which lets
// them spend free credits.
//
// A fixed price is debited first and given back if the request came to
// nothing. With cost_from, and for a client that sends an Idempotency-Key, the
// price is reserved first, and what the request came to is charged before the
// headers of the response leave. What happens to a response after that, a
// stream that breaks for instance, changes nothing any more.
//
// What passes, and a 402, says what it cost, what is left and who pays, in
// `Mana-Credits-Cost`, `Mana-Credits-Remaining` and `Mana-Credits-Payer`: `user`, `guest`, or
// `org:` and the id of the organisation. The upstream cannot set headers that begin
// with `Mana-Credits-`. Too few credits are answered with 402,
// and so is an API key whose budget does not cover the price. CORS preflights
// are answered as the gate answers them.
//
// What a browser fetches in advance is answered with 503. A request under the
// sign-on cookie, a GET too, must come from this site, a trusted origin or the
// user's own hand; a link on another site leads to a page that names the price,
// everything else gets 403.
//
// A request that comes again with its Idempotency-Key is passed on again, and
// charged once; the key with another method, host, path, query or body is
// refused with 422. The whole body counts, but not the boundary of a multipart
// body; where it turns out to be another when the request has been passed on,
// the request is charged as a new one. A key is good for three passes within ten
// minutes of its charge, then it is refused with 409. Requests that cost nothing
// do not count, and a key whose request cost nothing is as good as new. Upgrades
// and tunnels take no key: each is charged.
//
// The same is told by the placeholders `{http.mana.credits.cost}`,
// `{http.mana.credits.remaining}`, `{http.mana.credits.payer}` and
// `{http.mana.credits.outcome}`, once the response has begun. The outcome is `charged`, `free`, `replayed` (charged
// under its key before), `reserved` (for the app to charge), `unpaid` (passed while the database was away), or, of
// a request that did not pass, `insufficient`, `guest`, `refused` or
// `unavailable`; with shadow it is what would have been, as `shadow_charged`.
//
// Several meters on the way of one request add up.
type Meter struct {
	site.Scope

	// What a request costs, in credits: a number above 0 with up to three
	// decimals. With cost_from it is the most a request may cost.
	Credits price.Price `json:"credits,omitempty"`

	// The name of a price of the app or of the price book, in place of credits: a request is
	// one of what it is for, at the price in force when it begins. Without operation, the
	// name says what the user gets. A config that names a price which neither has is refused
	// when it is loaded; where the price goes missing later, requests are answered with 503.
	PriceName string `json:"price,omitempty"`

	// The app that charges are booked under. Empty takes the host that the
	// client asked for.
	App string `json:"app,omitempty"`

	// What the user gets for it, for their history and usage.
	Operation string `json:"operation,omitempty"`

	// Who pays: `user` (the default), `org`, the organisation that the user acts in,
	// within what is allotted to them there, or `org_then_user`, which falls to the
	// user where the organisation's credits or the allotment do not suffice, or there
	// is none. With `org` a user without an active organisation gets 403.
	Payer string `json:"payer,omitempty"`

	// Free credits a day for guests, whom the mana_auth in front must let pass. They are no
	// credits of the ledger, and count by browser, by address and, with total, for all. An answer that was
	// paid by them is private to the browser. Who has too few gets 402 with
	// `GUEST_CREDITS_SPENT`, a page load the sign-in page. An Idempotency-Key of a guest is
	// passed on, and each attempt charged; a receipt there is none of what they pay. What a
	// request costs beyond what is left for it is not charged. Who signs up has what is left of
	// the day, for 30 days, once the address is proven.
	Guest *Guest `json:"guest,omitempty"`

	// The header of the upstream's response that says what the request cost,
	// in credits from 0 up to the price. It does not reach the client. It may be
	// a trailer that the upstream announces, or one of gRPC; then the request is
	// settled when the response is over, and the client gets `Mana-Credits-Cost`
	// as a trailer too. Without it, or with anything else in it, the full price
	// is charged.
	CostFrom string `json:"cost_from,omitempty"`

	// Who says what a request cost: `edge` (the default), by the price, cost_from or cost_tokens,
	// or `app`. With it the price is reserved, and the app is told the reservation in the
	// request header `Mana-Credits-Hold`. By `POST /api/v1/internal/credits/commit` it charges all of
	// it or a part, by `…/refund-reservation` nothing, while it works or afterwards, once. A response
	// that is free gives back what has not been charged by then; what is reserved beyond
	// any other comes back hold_ttl after it is over. The response says what was charged by then in
	// `Mana-Credits-Cost`, or what is still reserved in `Mana-Credits-Reserved`.
	SettledBy string `json:"settled_by,omitempty"`

	// The prices of the tokens that the answer of a language model says it used, in
	// place of cost_from. It reads the usage object of OpenAI's chat completions,
	// completions, embeddings and responses, and of Anthropic's messages, in JSON and in
	// server-sent events, as they pass, and settles when the response is over: the client
	// gets `Mana-Credits-Cost` as a trailer. What that comes to beyond the price is not charged.
	// An answer that is over without a usage object, or with one that cannot be true, is
	// charged what is reserved for it. The upstream is asked for an answer that is compressed
	// by gzip at most. With it, 4xx costs nothing either unless free_on says otherwise.
	CostTokens *TokenPrices `json:"cost_tokens,omitempty"`

	// The outcomes that cost nothing:
	//
	//   - `5xx`, `4xx`, `3xx`, `2xx`, or a status such as `429`; an upstream
	//     that cannot be reached or says nothing is a 502, so `5xx`;
	//   - `timeout`: the upstream took too long, or answered 504;
	//   - `abort`: the client was gone before the response began. Of such a
	//     request an answer of the upstream counts, if there was one;
	//   - `grpc` and behind it codes of gRPC by number or name, such as
	//     `unavailable`, which the trailer of the response tells. A stream that
	//     ends without one is `unavailable`.
	//
	// The default is `5xx` and `timeout`; codes of gRPC stand beside it.
	FreeOn []string `json:"free_on,omitempty"`

	// What a client pays that leaves before the response begins, where the
	// upstream does not say it: a number of credits up to the price, or `wait`,
	// which lets the upstream work on for up to five minutes and charges what
	// comes of it. The default is the price.
	AbortCost price.AbortCost `json:"abort_cost,omitempty"`

	// What happens while the ledger cannot be asked: `refuse` (the default)
	// answers 503, `allow` lets requests pass unpaid, with a line in the log
	// for each.
	OnOutage string `json:"on_outage,omitempty"`

	// When a fixed price is written down: `full` (the default) before the request is passed
	// on; `batched` within a tenth of a second after its answer has begun. With it the edge
	// reserves some prices ahead for a user who asks often, and charges them in memory. Nobody spends what they do not have;
	// an edge that dies has not charged what was answered since it last wrote. Requests
	// with an Idempotency-Key, of API keys and for organisations are charged in full, and
	// so are those of users who ask seldom, or are short of credits.
	Durability string `json:"durability,omitempty"`

	// Sign what the request cost: the answer carries `Mana-Receipt`, a JWS in compact form
	// (RFC 7515) over the request's id, who paid, what it cost and when, beside
	// `Mana-Credits-Cost`, in a trailer where that is one. It verifies by the key set at
	// `/api/v1/credits/jwks`. Where several meters are on the way, the outermost one says
	// whether there is a receipt, of all.
	Receipt bool `json:"receipt,omitempty"`

	// Charge nothing and refuse nobody; tell by placeholders, metrics and, for
	// who would have been refused, the log what would have happened.
	Shadow bool `json:"shadow,omitempty"`

	// How long credits stay reserved when the edge that reserved them dies, and with
	// settled_by for the app when the response is over, from
	// a second to a day; the default is a minute. While it lives the edge prolongs
	// what its requests have reserved, however slow they are.
	HoldTTL caddy.Duration `json:"hold_ttl,omitempty"`

	// What is wrong with the directive in a Caddyfile. With any, the config is refused.
	Faults syntax.Faults `json:"faults,omitempty"`

	ledger  *app.Lookup[*creditcore.Service]
	proof   *app.Lookup[*proof.Service]
	wallets *app.Lookup[wallets]

	free      upstream.Free
	waits     bool // for an upstream whose client is gone
	allowance guest.Allowance
	priced    atomic.Pointer[pricedTerms]
}

// CaddyModule returns the Caddy module information.
func (*Meter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mana_credits",
		New: func() caddy.Module { return new(Meter) },
	}
}

// Provision finds the app. It connects to nothing.
func (m *Meter) Provision(ctx caddy.Context) error {
	source, err := app.ProvisionSite(ctx, m)
	if err != nil {
		return err
	}
	if err := m.ProvisionScope(ctx, source); err != nil {
		return err
	}
	m.Bind(source)
	if m.App != "" {
		metrics.BeginApp(m.App)
	}
	return nil
}

// Bind lets the meter work with what the app has, once it has started. Provision
// does it, after Validate has approved the directive.
func (m *Meter) Bind(source app.Source) {
	m.ledger = app.NewLookup(source, 0, func(rt *services.Runtime) *creditcore.Service { return rt.Credits })
	m.proof = app.NewLookup(source, 0, func(rt *services.Runtime) *proof.Service { return rt.Proof })
	m.wallets = app.NewLookup(source, 0, newWallets)
	m.resolve()
}

// resolve reads what Validate has approved.
func (m *Meter) resolve() {
	if m.Operation == "" {
		m.Operation = m.PriceName
	}
	m.free, _ = upstream.ParseFree(m.freeOn())
	m.waits = m.AbortCost == price.AbortWait
	if m.Guest != nil {
		m.allowance = m.Guest.allowance(func(string, ...any) {})
	}
}

// Validate reports every fault of the configuration.
func (m *Meter) Validate() error {
	if len(m.Faults) > 0 {
		return m.Faults.Err()
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("mana_credits: "+format, args...))
	}
	price, err := m.amount()
	unreadable := err != nil
	if unreadable {
		fault("%w", err)
		price = creditcore.MaxAmount
	}
	if _, err := m.AbortCost.Amount(price); err != nil {
		fault("abort_cost: %w", err)
	}
	for _, name := range []struct{ directive, value string }{{"app", m.App}, {"operation", m.Operation}} {
		if len(name.value) > longestName || !utf8.ValidString(name.value) || strings.ContainsRune(name.value, 0) {
			fault("%s: takes up to %d bytes of text", name.directive, longestName)
		}
	}
	if m.CostFrom != "" && (!httpguts.ValidHeaderFieldName(m.CostFrom) || site.IsMeterHeader(m.CostFrom)) {
		fault("cost_from: %q is not the name of a header of the upstream", m.CostFrom)
	}
	first := price // that is taken of a request
	if m.CostTokens != nil {
		first = m.validateTokens(price, fault)
	}
	if unreadable {
		first = 0 // so that no other fault comes of it
	}
	if m.Guest != nil {
		m.validateGuest(first, fault)
	}
	free, unknown := upstream.ParseFree(m.freeOn())
	for _, outcome := range unknown {
		fault("free_on: %q is neither a status, 2xx to 5xx, timeout, abort nor, behind grpc, a code of gRPC", outcome)
	}
	if free.Abort && m.AbortCost != "" {
		fault("abort_cost: free_on abort already says that it costs nothing")
	}
	switch m.Payer {
	case "", payerUser, payerOrg, payerOrgThenUser:
	default:
		fault("payer: %q is neither user, org nor org_then_user", m.Payer)
	}
	switch m.OnOutage {
	case "", "refuse", "allow":
	default:
		fault("on_outage: %q is neither refuse nor allow", m.OnOutage)
	}
	switch m.Durability {
	case "", durabilityFull:
	case durabilityBatched:
		m.validateBatched(fault)
	default:
		fault("durability: %q is neither full nor batched", m.Durability)
	}
	switch m.SettledBy {
	case "", settledByEdge:
	case settledByApp:
		m.validateHandover(fault)
	default:
		fault("settled_by: %q is neither edge nor app", m.SettledBy)
	}
	if m.Receipt && m.Shadow {
		fault("receipt: with shadow nothing is charged")
	}
	if ttl := m.ttl(); ttl != 0 && (ttl < time.Second || ttl > longestHold) {
		fault("hold_ttl: %v is not from a second to a day", ttl)
	}
	return errors.Join(faults...)
}

// validateTokens reports every fault of cost_tokens, and returns what is reserved at first.
func (m *Meter) validateTokens(most creditcore.Amount, fault func(format string, args ...any)) creditcore.Amount {
	if m.CostFrom != "" {
		fault("cost_tokens: cost_from already says what a request costs")
	}
	if m.CostTokens.Price == "" {
		fault("cost_tokens: takes the name of a price")
	}
	first, err := m.CostTokens.reserve(most)
	if err != nil {
		fault("%w", err)
	}
	return first
}

// freeOn are the outcomes that cost nothing. A language model that refuses a request has
// used no tokens.
func (m *Meter) freeOn() []string {
	if m.CostTokens != nil && (len(m.FreeOn) == 0 || m.FreeOn[0] == "grpc") {
		return append([]string{"4xx", "5xx", "timeout"}, m.FreeOn...)
	}
	return m.FreeOn
}

// amount is what a request costs by the config. A price that the config does not have may
// be in the price book, which is known when the config is loaded: until then it is all that
// one can cost.
func (m *Meter) amount() (creditcore.Amount, error) {
	switch {
	case m.PriceName == "":
		amount, err := m.Credits.Amount()
		if err != nil {
			err = fmt.Errorf("credits: %w", err)
		}
		return amount, err
	case m.Credits != "":
		return 0, errors.New("price: takes a number of credits or the name of a price, not both")
	case m.Prices == nil:
		return creditcore.MaxAmount, nil
	}
	named, err := m.Prices.Named(m.PriceName)
	if err != nil {
		return creditcore.MaxAmount, nil
	}
	return named.Cost(creditcore.Credit)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (m *Meter) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	entered, r, err := m.Enter(w, r)
	if err != nil {
		return site.Refuse(w, r, err)
	}
	// The meter learns how the app failed before anybody answers for it.
	w, next = entered.W, &site.AppHandler{Writer: entered.Writer, Next: next}
	if ours, err := m.Concerns(r); err != nil {
		return err
	} else if !ours {
		return entered.Pass(r, next)
	}
	if entered.Early && !m.Shadow {
		return site.Refuse(w, r, guard.ErrTooEarly)
	}
	entered.Writer.Metered = true
	preflight := request.IsPreflight(r)
	switch {
	case m.Shadow && preflight:
		return m.watch(w, r, next, watched{terms: m.pricesNow(nil).terms, end: func(upstream.Result, statement) error { return nil }})
	case m.Shadow:
		return m.serveShadow(w, r, next)
	}
	bill, r := openBill(r, m.Receipt)
	v := &meteredRequest{Meter: m, w: w, r: r, writer: entered.Writer, bill: bill}
	if preflight {
		return v.preflight()
	}
	if v.find(r.Context()); v.unknown != nil && v.notReady == nil {
		return v.refuse(v.unknown)
	}
	if ok, err := v.consented(); !ok {
		return err
	}
	defer v.close()
	_, span := tracing.Start(r.Context(), "mana_credits")
	err = v.begin()
	span.End(err)
	if err != nil {
		return v.refuse(err)
	}
	if c, ok := v.charge.(*handed); ok {
		c.tell(r.Header)
	}
	return m.watch(w, r, next, watched{v.terms, v.end, v.refuse, v.extension})
}

// preflight answers in place of an app that would work for nothing.
func (v *meteredRequest) preflight() error {
	return answer.Preflight(v.w, v.r, v.Origins)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Meter)(nil)
	_ caddy.Validator             = (*Meter)(nil)
	_ caddyhttp.MiddlewareHandler = (*Meter)(nil)
)
