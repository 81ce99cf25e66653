package develop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

// stripeRoutes are the pages that Stripe hosts, and its dashboard.
func (p *panel) stripeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /stripe", p.dashboard)
	mux.HandleFunc("POST /stripe", p.change)
	mux.HandleFunc("GET /stripe/c/pay/{session}", p.checkout)
	mux.HandleFunc("POST /stripe/c/pay/{session}", p.pay)
	mux.HandleFunc("GET /stripe/3d_secure/{intent}", p.bank)
	mux.HandleFunc("POST /stripe/3d_secure/{intent}", p.answerBank)
	mux.HandleFunc("GET /stripe/p/session/{session}", p.portal)
	mux.HandleFunc("POST /stripe/p/session/{session}", p.manage)
	mux.HandleFunc("GET /stripe/receipts/{id}", p.paper)
	mux.HandleFunc("GET /stripe/i/{id}", p.paper)
	mux.HandleFunc("GET /stripe/invoice/{id}/pdf", p.paper)
}

// object reads one; the error says that there is none.
func object[T any](p *payments, id string) (found *T, err error) {
	err = p.try(func() { found = stripetest.Object[T](p.stripe, id) })
	return found, err
}

// checkout is where a buyer pays, or does not.
func (p *panel) checkout(w http.ResponseWriter, r *http.Request) {
	session, err := object[stripe.CheckoutSession](p.family.payments, r.PathValue("session"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	show(w, "checkout", session)
}

// pay does what the buyer chose: `how` is card, asks, which is a card whose bank asks
// each time, transfer, declined or back.
func (p *panel) pay(w http.ResponseWriter, r *http.Request) {
	payments, id := p.family.payments, r.PathValue("session")
	session, err := object[stripe.CheckoutSession](payments, id)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	to := strings.ReplaceAll(session.SuccessURL, "{CHECKOUT_SESSION_ID}", url.QueryEscape(id))
	switch how := r.PostFormValue("how"); how {
	case "card":
		err = payments.do(r.Context(), func() { payments.stripe.Pay(id) })
	case "asks":
		err = payments.do(r.Context(), func() {
			payments.stripe.CardIs(payments.stripe.Pay(id).Object("payment_method"), stripetest.Authenticates)
		})
	case "transfer":
		err = payments.do(r.Context(), func() { payments.stripe.PayAsync(id) })
	case "declined":
		to, err = r.URL.Path, payments.do(r.Context(), func() { payments.stripe.FailCard(id) })
	case "back":
		to = session.CancelURL
	default:
		err = fmt.Errorf("how: %q is none of card, asks, transfer, declined, back", how)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// bank is where the owner of a card confirms a payment, or does not.
func (p *panel) bank(w http.ResponseWriter, r *http.Request) {
	intent, err := object[stripe.PaymentIntent](p.family.payments, r.PathValue("intent"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	show(w, "bank", intent)
}

// answerBank does what they chose: `how` is confirm or fail.
func (p *panel) answerBank(w http.ResponseWriter, r *http.Request) {
	payments, id := p.family.payments, r.PathValue("intent")
	intent, err := object[stripe.PaymentIntent](payments, id)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	switch how := r.PostFormValue("how"); how {
	case "confirm":
		err = payments.do(r.Context(), func() { payments.stripe.Authenticate(id) })
	case "fail":
		err = payments.do(r.Context(), func() { payments.stripe.FailAuthentication(id) })
	default:
		err = fmt.Errorf("how: %q is none of confirm, fail", how)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, intent.NextAction.RedirectToURL.ReturnURL, http.StatusSeeOther)
}

// bill is a subscription and the end of its period.
type bill struct {
	*stripe.Subscription
	End int64
}

// dashboard shows what happened at Stripe.
func (p *panel) dashboard(w http.ResponseWriter, r *http.Request) {
	ctx, payments := r.Context(), p.family.payments
	client := payments.stripe.Client()
	var charges []*stripe.Charge
	for charge, err := range client.V1Charges.List(ctx, new(stripe.ChargeListParams)).All(ctx) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		charges = append(charges, charge)
	}
	bills, err := payments.bills(ctx, "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	payments.mu.Lock()
	fault := payments.fault
	payments.mu.Unlock()
	show(w, "stripe", map[string]any{"Charges": charges, "Subscriptions": bills, "Fault": fault, "Key": payments.stripe.Key})
}

// bills are the subscriptions of a customer, or of all.
func (p *payments) bills(ctx context.Context, customer string) (list []bill, err error) {
	params := &stripe.SubscriptionListParams{Status: stripe.String("all")}
	if customer != "" {
		params.Customer = &customer
	}
	for sub, err := range p.stripe.Client().V1Subscriptions.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, err
		}
		b := bill{Subscription: sub}
		for _, item := range sub.Items.Data {
			b.End = item.CurrentPeriodEnd
		}
		list = append(list, b)
	}
	return list, nil
}

// change does what the dashboard's buttons say: `do`, to `id`.
func (p *panel) change(w http.ResponseWriter, r *http.Request) {
	payments, id := p.family.payments, r.PostFormValue("id")
	bank := payments.stripe
	acts := map[string]func(){
		"refund":  func() { bank.Refund(id, 0) },
		"dispute": func() { bank.Dispute(id, 0) },
		"win":     func() { bank.WinDispute(id) },
		"lose":    func() { bank.LoseDispute(id) },
		"arrive":  func() { bank.AsyncSucceed(id) },
		"fail":    func() { bank.AsyncFail(id) },
		"decline": func() { bank.Decline(id, true) },
		"accept":  func() { bank.Decline(id, false) },
		"end":     func() { bank.EndSubscription(id) },
	}
	act, ok := acts[r.PostFormValue("do")]
	if !ok {
		http.Error(w, fmt.Sprintf("do: %q is unknown", r.PostFormValue("do")), http.StatusBadRequest)
		return
	}
	if err := payments.do(r.Context(), act); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, "/stripe", http.StatusSeeOther)
}

// portal is where a customer ends a subscription, or goes on with one.
func (p *panel) portal(w http.ResponseWriter, r *http.Request) {
	session, err := object[stripe.BillingPortalSession](p.family.payments, r.PathValue("session"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	bills, err := p.family.payments.bills(r.Context(), session.Customer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	show(w, "portal", map[string]any{"Subscriptions": bills, "Back": session.ReturnURL})
}

// manage lets a subscription end with its period, or go on.
func (p *panel) manage(w http.ResponseWriter, r *http.Request) {
	payments := p.family.payments
	_, err := payments.stripe.Client().V1Subscriptions.Update(r.Context(), r.PostFormValue("id"),
		&stripe.SubscriptionUpdateParams{CancelAtPeriodEnd: stripe.Bool(r.PostFormValue("do") == "cancel")})
	if err == nil {
		err = payments.tell(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
}

// paper is a receipt or an invoice, as Stripe's API shows it.
func (p *panel) paper(w http.ResponseWriter, r *http.Request) {
	found, err := object[map[string]any](p.family.payments, r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	text, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	show(w, "paper", map[string]any{"Title": r.PathValue("id"), "Text": string(text)})
}
