package stripetest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"mana.how/edge/internal/stripetest"
)

func TestKeyIsChecked(t *testing.T) {
	t.Parallel()
	srv := stripetest.New(t)
	for _, key := range []string{"sk_test_other", "rk_"} {
		client := stripe.NewClient(key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
			URL: stripe.String(srv.URL), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
		})))
		_, err := client.V1Customers.Retrieve(t.Context(), "cus_000001", nil)
		refused(t, err, http.StatusUnauthorized, stripe.ErrorTypeInvalidRequest, "", "")
	}
	resp := must(http.Get(srv.URL + "/v1/customers"))(t)
	resp.Body.Close()
	same(t, "status without a key", http.StatusUnauthorized, resp.StatusCode)
}

func TestUnknownIsRefused(t *testing.T) {
	t.Parallel()
	a := open(t)
	ask := func(method, path, body string) (int, string) {
		req := must(http.NewRequest(method, a.URL+path, strings.NewReader(body)))(t)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(a.Key, "")
		resp := must(http.DefaultClient.Do(req))(t)
		defer resp.Body.Close()
		var text strings.Builder
		_ = resp.Write(&text)
		return resp.StatusCode, text.String()
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		word               string
	}{
		{"GET", "/v1/tax_rates", "", 404, "Unrecognized request URL"},
		{"PUT", "/v1/customers", "", 404, "Unrecognized request URL"},
		{"POST", "/v1/customers", "emial=x", 400, "parameter_unknown"},
		{"POST", "/v1/payment_intents", "amount=500", 400, "parameter_missing"},
		{"POST", "/v1/payment_intents", "amount=5.5&currency=eur", 400, "parameter_invalid_integer"},
		{"POST", "/v1/payment_intents", "amount=49&currency=eur", 400, "amount_too_small"},
		{"POST", "/v1/payment_intents", "amount=500&currency=mana", 400, "Invalid currency"},
		{"GET", "/v1/customers?limit=101", "", 400, "between 1 and 100"},
		{"GET", "/v1/customers?starting_after=cus_x", "", 400, "resource_missing"},
		{"GET", "/v1/customers/" + a.customer + "?expand[]=friends", "", 400, "cannot be expanded (friends)"},
		{"GET", "/v1/customers/" + a.customer + "?expand[]=email", "", 400, "cannot be expanded (email)"},
	} {
		status, body := ask(test.method, test.path, test.body)
		if status != test.status || !strings.Contains(body, test.word) {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, status, body)
		}
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	a := open(t)
	create := func(email, key string) (*stripe.Customer, error) {
		params := &stripe.CustomerCreateParams{Email: stripe.String(email)}
		params.SetIdempotencyKey(key)
		return a.client.V1Customers.Create(a.ctx, params)
	}
	first := must(create("a@x.de", "k1"))(t)
	again := must(create("a@x.de", "k1"))(t)
	same(t, "replayed id", first.ID, again.ID)
	same(t, "replay header", "true", again.LastResponse.Header.Get("Idempotent-Replayed"))
	same(t, "one event", 1, len(a.Events().Of("customer.created"))-1)
	_, err := create("b@x.de", "k1")
	refused(t, err, 400, stripe.ErrorTypeIdempotency, "", "")

	params := &stripe.PaymentIntentCreateParams{Amount: stripe.Int64(500), Currency: stripe.String("eur")}
	params.SetIdempotencyKey("k1")
	_, err = a.client.V1PaymentIntents.Create(a.ctx, params)
	refused(t, err, 400, stripe.ErrorTypeIdempotency, "", "")

	params = &stripe.PaymentIntentCreateParams{Amount: stripe.Int64(5), Currency: stripe.String("eur")}
	params.SetIdempotencyKey("k2")
	_, err = a.client.V1PaymentIntents.Create(a.ctx, params)
	refused(t, err, 400, stripe.ErrorTypeInvalidRequest, "amount_too_small", "amount")
	params.Amount = stripe.Int64(500)
	must(a.client.V1PaymentIntents.Create(a.ctx, params))(t) // a refusal left no key

	a.Advance(25 * time.Hour)
	if later := must(create("b@x.de", "k1"))(t); later.ID == first.ID {
		t.Error("a key lived longer than a day")
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	a := open(t)
	get := func() error { _, err := a.client.V1Customers.Retrieve(a.ctx, a.customer, nil); return err }
	a.FailNext("POST", "/v1/customers", 500, 1) // of another method
	a.FailNext("GET", "/v1/customers", 500, 1)
	a.FailNext("", "/v1/", 402, 1)
	a.FailNext("", "/v1/", 429, 1)
	refused(t, get(), 500, stripe.ErrorTypeAPI, "", "")
	refused(t, get(), 402, stripe.ErrorTypeCard, stripe.ErrorCodeCardDeclined, "")
	refused(t, get(), 429, stripe.ErrorTypeInvalidRequest, stripe.ErrorCodeRateLimit, "")
	must(0, get())(t)

	a.HangNext("GET", "", 1)
	ctx, cancel := context.WithTimeout(a.ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := a.client.V1Customers.Retrieve(ctx, a.customer, nil); err == nil {
		t.Error("a hanging request was answered")
	}

	_, err := a.client.V1Customers.Create(a.ctx, &stripe.CustomerCreateParams{})
	refused(t, err, 500, stripe.ErrorTypeAPI, "", "")
	same(t, "carried out", 1, len(a.Events().Of("customer.created")))
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	a := open(t)
	params := &stripe.CustomerCreateParams{Email: stripe.String("lost@x.de")}
	params.SetIdempotencyKey("lost")
	a.LoseNext("POST", "/v1/customers", 1)
	if _, err := a.client.V1Customers.Create(a.ctx, params); err == nil {
		t.Error("a lost answer arrived")
	}
	same(t, "made though lost", 2, len(a.Events().Of("customer.created")))
	must(a.client.V1Customers.Create(a.ctx, params))(t)
	same(t, "made by the repetition", 2, len(a.Events().Of("customer.created")))

	requests := a.Requests()
	same(t, "posts", []int{3, 3}, []int{len(requests), a.Count("POST", "/v1/customers")})
	lost, replay := requests[1], requests[2]
	same(t, "lost", []any{0, "lost", "lost@x.de", false}, []any{lost.Status, lost.IdempotencyKey, lost.Params.Get("email"), lost.Replayed})
	same(t, "replayed", []any{200, "lost", true}, []any{replay.Status, replay.IdempotencyKey, replay.Replayed})
}

func TestOnRequestMayUseVerbs(t *testing.T) {
	t.Parallel()
	a := open(t)
	intent := a.intent(500)
	a.OnRequest(func(r stripetest.Request) {
		a.OnRequest(nil)
		a.Pay(intent)
	})
	got := must(a.client.V1PaymentIntents.Retrieve(a.ctx, intent, nil))(t)
	same(t, "status", stripe.PaymentIntentStatusSucceeded, got.Status)
}

func TestDelay(t *testing.T) {
	t.Parallel()
	a := open(t)
	a.Delay(30 * time.Millisecond)
	begun := time.Now()
	must(a.client.V1Customers.Retrieve(a.ctx, a.customer, nil))(t)
	if took := time.Since(begun); took < 30*time.Millisecond {
		t.Errorf("took %s", took)
	}
}

func TestVerbsOfOneServerAreDeterministic(t *testing.T) {
	t.Parallel()
	run := func() []string {
		a := open(t)
		a.Pay(a.session(500))
		var ids []string
		for _, e := range a.Events() {
			ids = append(ids, e.ID+" "+e.Type)
		}
		return ids
	}
	same(t, "two runs", run(), run())
}
