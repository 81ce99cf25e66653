package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/creditcore"
	"mana.how/edge/internal/stripetest"
)

// crashPackage is what is for sale where the edge is killed: credits for as many cents.
const crashPackage = 100

// crashStripe has the edge sell at a Stripe of the test.
func (e *Edge) crashStripe(bank *stripetest.Server) {
	e.Env = append(e.Env, "STRIPE_SECRET_KEY="+bank.Key, "STRIPE_WEBHOOK_SECRET="+bank.WebhookSecret)
	e.Options += fmt.Sprintf(`
		stripe {
			secret_key {env.STRIPE_SECRET_KEY}
			webhook_secret {env.STRIPE_WEBHOOK_SECRET}
			api_url %s
			package Crash %[2]d %[2]d
		}`, bank.URL, crashPackage)
}

// toppedUp is a user whose account buys the package by itself.
type toppedUp struct {
	*meteredClient
	bank  *stripetest.Server
	began time.Time // the clock of the bank stands still
}

// webhook delivers what Stripe has to tell, until it is taken.
func (u toppedUp) webhook(t *testing.T, e *Edge, events ...stripetest.Event) {
	t.Helper()
	err := u.bank.Deliver(func(payload []byte, signature string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.Auth()+"/api/v1/webhooks/stripe", strings.NewReader(string(payload)))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Stripe-Signature", signature)
		response, err := u.client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return nil
	}, events...)
	if err != nil {
		t.Errorf("webhook: %v", err)
	}
}

// agree saves a card and switches the top-up on.
func (u toppedUp) agree(t *testing.T, e *Edge) {
	t.Helper()
	const route = "/api/v1/credits/auto-top-up"
	bearer := []string{"Authorization", "Bearer " + u.bearer}
	page := want(t, send(t, u.client, http.MethodPost, e.Auth()+route+"/card", map[string]string{"successUrl": e.AppURL() + "/"}, bearer...), http.StatusOK).Text("url")
	u.webhook(t, e, u.bank.Pay(page[strings.LastIndex(page, "cs_test"):])...)
	var sale []struct{ ID string }
	decode(t, string(want(t, send(t, u.client, http.MethodGet, e.Auth()+"/api/v1/credits/packages", nil), http.StatusOK).Body), &sale)
	want(t, send(t, u.client, http.MethodPut, e.Auth()+route, map[string]any{
		"enabled": true, "threshold": crashPackage / 2, "packageId": sale[0].ID, "monthlyCapEuroCents": 10 * crashPackage, "consent": true,
	}, bearer...), http.StatusOK)
}

// run spends, so that the account runs low again and again.
func (u toppedUp) run(ctx context.Context, t *testing.T, auth string) {
	for ctx.Err() == nil {
		if !u.use(t, auth, creditcore.Credits(20)) {
			time.Sleep(100 * time.Millisecond) // until it is topped up
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// wantPaidOnce delivers all that happened at Stripe, and compares what was paid there with
// what came in: each payment once, none for nothing, and no more in a day than there may be.
func (u toppedUp) wantPaidOnce(t *testing.T, e *Edge) {
	t.Helper()
	u.bank.Advance(time.Since(u.began))
	u.webhook(t, e, u.bank.Events()...)
	var paid int64
	for intent, err := range u.bank.Client().V1PaymentIntents.List(t.Context(), new(stripe.PaymentIntentListParams)).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if intent.Status == stripe.PaymentIntentStatusSucceeded {
			paid += intent.AmountReceived
		}
	}
	spent := creditcore.Amount(0)
	for _, p := range u.paid {
		spent += p.cost
	}
	bought := e.ledgerNumbers(t, `SELECT count(*), coalesce(sum(amount), 0)::bigint FROM credits.transactions WHERE type = 'purchase'`)
	left := e.ledgerNumbers(t, `SELECT b.balance, b.total_spent FROM credits.balances AS b JOIN credits.top_up_settings AS s ON s.account_id = b.user_id`)
	t.Logf("topped up %d times", bought[0])
	if bought[0] < 1 || bought[0] > 3 || bought[0]*crashPackage != paid || creditcore.Amount(bought[1]) != creditcore.Credits(paid) {
		t.Errorf("%d top-ups of %s credits, %d cents were paid", bought[0], creditcore.Amount(bought[1]), paid)
	}
	if creditcore.Amount(left[1]) != spent || creditcore.Amount(left[0]) != creditcore.Credits(crashPackage+paid)-spent {
		t.Errorf("%s is left and %s spent; %s were charged", creditcore.Amount(left[0]), creditcore.Amount(left[1]), spent)
	}
}
