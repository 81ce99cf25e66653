package meter

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"mana.how/edge/authcore/cookie"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/meter/price"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/site"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/guest"
)

// payerGuest is the payer of a guest's request, as clients are told.
const payerGuest = "guest"

// Guest is what guests may spend a day without an account. The day is that of UTC.
type Guest struct {
	// How many credits a guest has a day: a number above 0 with up to three decimals. A
	// guest is a browser, known by a signed cookie of the family. What is spent on one
	// route counts on all.
	Credits price.Price `json:"credits"`

	// How many credits the guests of one address have a day together, where a /64 of IPv6
	// is one address. The default is five times what one guest has.
	PerAddress price.Price `json:"per_address,omitempty"`

	// How many credits all guests of the family have a day together. The default is any
	// number.
	Total price.Price `json:"total,omitempty"`
}

// addressShare is how many guests of one address may spend all they have, by default.
const addressShare = 5

// allowance is the option as the wallets of guests read it. fault is told what is wrong.
func (g *Guest) allowance(fault func(format string, args ...any)) (a guest.Allowance) {
	read := func(name string, text price.Price, into *creditcore.Amount) {
		amount, err := text.Amount()
		if err != nil {
			fault("%s: %q is not a number of credits above 0 with up to three decimals, such as 20", name, string(text))
		}
		*into = amount
	}
	read("guest", g.Credits, &a.Credits)
	a.PerAddress = min(addressShare*a.Credits, creditcore.MaxAmount)
	for _, bound := range []struct {
		name string
		text price.Price
		into *creditcore.Amount
	}{{"guest per_address", g.PerAddress, &a.PerAddress}, {"guest total", g.Total, &a.Total}} {
		if bound.text == "" {
			continue
		}
		if read(bound.name, bound.text, bound.into); 0 < *bound.into && *bound.into < a.Credits {
			fault("%s: %s is less than the %s that one guest has", bound.name, bound.text, g.Credits)
		}
	}
	return a
}

// validateGuest reports every fault of guest. most is what a request reserves at first, as
// far as that is known.
func (m *Meter) validateGuest(most creditcore.Amount, fault func(format string, args ...any)) {
	a := m.Guest.allowance(fault)
	if known := m.PriceName == "" || most < creditcore.MaxAmount; known && a.Credits > 0 && most > a.Credits {
		fault("guest: %s a day are less than the %s that a request takes: no guest could ever pay it", m.Guest.Credits, most)
	}
	if m.SettledBy == settledByApp {
		fault("guest: what a guest pays is no reservation of the ledger that settled_by app could tell the app of")
	}
	if m.Payer == payerOrg {
		fault("guest: with payer org an organization pays for every request, and guests act in none")
	}
}

// TakesGuests reports whether guests may pay.
func (m *Meter) TakesGuests() bool { return m.Guest != nil }

// wallets are where guests pay from.
type wallets struct {
	*guest.Service
	cookies cookie.Codec
}

func newWallets(rt *services.Runtime) wallets { return wallets{rt.Guests, rt.Auth.Cookies()} }

// guestWallet is the wallet of a request.
type guestWallet struct {
	wallets
	guest.Wallet
	cookie string // that is to be set, empty where the client has one
}

// walletOf finds the wallet of a guest's request, or makes a new one where it shows none.
func (v *meteredRequest) walletOf(ctx context.Context) (*guestWallet, error) {
	found, err := v.wallets.Get(ctx)
	if err != nil {
		return nil, err
	}
	w := &guestWallet{wallets: found, Wallet: guest.Wallet{Network: request.Network(v.r)}}
	w.Device, _ = found.cookies.Guest(request.Cookies(v.r), time.Now())
	return w, nil
}

// takeOfGuest takes the price from the wallet of a guest, and from the ledger nothing. A
// client's going away does not stop it: what was taken has to be known, to be given back.
func (v *meteredRequest) takeOfGuest() (charge, error) {
	v.bill.receipt = false // of what no ledger has, there is no proof
	v.bill.pays(payerGuest)
	v.writer.Private, v.writer.Shared = true, false
	ctx, stop := v.detached()
	defer stop()
	w, err := v.walletOf(ctx)
	if err != nil {
		return nil, err
	}
	if w.Device == "" {
		w.Device, w.cookie = w.cookies.NewGuest(time.Now())
	}
	taken, err := w.Take(ctx, w.Wallet, v.allowance, v.hold)
	if err != nil {
		return nil, err
	}
	if w.cookie != "" {
		site.AddCookie(v.w, w.cookie)
	}
	v.bill.see(taken.Left)
	return &allowed{wallets: w.Service, taken: taken}, nil
}

// lookAtWallet sees what a guest has.
func (v *meteredRequest) lookAtWallet(ctx context.Context) (s sighting) {
	w, err := v.walletOf(ctx)
	if err != nil {
		return sighting{err: err}
	}
	s.balance.Available, s.err = w.Left(ctx, w.Wallet, v.allowance)
	return s
}

// byGuest reports whether a guest pays for the request.
func (v *meteredRequest) byGuest() bool {
	return v.Guest != nil && request.Caller(v.r.Context()).UserID == ""
}

// browses reports whether a browser may have sent a guest's request by itself: it brings
// the wallet, or says by a header that only browsers set where it comes from. A client that
// does neither is no browser that another site could use.
func (v *meteredRequest) browses() bool {
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Referer"} {
		if len(v.r.Header[name]) > 0 {
			return true
		}
	}
	found, err := v.wallets.Get(v.r.Context())
	if err != nil {
		return true
	}
	_, ok := found.cookies.Guest(request.Cookies(v.r), time.Now())
	return ok
}

// allowed was taken from the wallet of a guest.
type allowed struct {
	wallets *guest.Service
	taken   guest.Taken
}

// settle gives back what the request did not cost. What cannot be given back at once is
// lost to the guest for the day: it is nobody's money.
func (c *allowed) settle(ctx context.Context, cost creditcore.Amount, _ json.RawMessage) (settlement, error) {
	return c.keep(ctx, metrics.OutcomeCharged, cost)
}

func (c *allowed) cancel(ctx context.Context) (settlement, error) {
	return c.keep(ctx, metrics.OutcomeFree, 0)
}

func (c *allowed) keep(ctx context.Context, outcome string, cost creditcore.Amount) (settlement, error) {
	if rest := c.taken.Amount - cost; rest > 0 {
		if err := c.wallets.GiveBack(ctx, &c.taken, rest); err != nil {
			return settlement{outcome: outcome, cost: cost}, err
		}
	}
	return settlementOf(outcome, cost, c.taken.Left), nil
}

// extend takes more.
func (c *allowed) extend(ctx context.Context, amount creditcore.Amount) (open bool, err error) {
	return true, c.wallets.TakeMore(ctx, &c.taken, amount)
}

// guestShortfall is what a guest lacks, in the words of [shortfall]. Limit is device,
// address or total.
type guestShortfall struct {
	shortfall
	ResetsAt answer.Time `json:"resetsAt"`
	SignIn   string      `json:"signIn"`
}

// spent is the refusal of a guest whose credits of the day are used up.
func (m *Meter) spent(e *guest.SpentError) answer.Error {
	return answer.Error{
		Status: http.StatusPaymentRequired, Code: "GUEST_CREDITS_SPENT",
		Message:    "The free credits of today are spent: sign in to go on, or come back tomorrow",
		RetryAfter: max(time.Until(e.Until), time.Second),
		Details: guestShortfall{
			shortfall{Required: e.Required, Available: e.Available, CreditType: payerGuest, Limit: string(e.Limit), Operation: m.Operation},
			answer.Time(e.Until), m.BaseURL.String() + "/login",
		},
		Problem: &answer.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusPaymentRequired), Status: http.StatusPaymentRequired,
			Detail: "Insufficient free credits. Required: " + e.Required.String() + ", Available: " + e.Available.String(),
		},
	}
}

// toLogin leads a guest without credits to where they sign in, and back.
func (v *meteredRequest) toLogin() error {
	n := site.Navigation{W: v.w, R: v.r, Cookies: request.Cookies(v.r), Origins: v.Origins, Hosted: v.Hosted()}
	return n.ToLogin()
}
