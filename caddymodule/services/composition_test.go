package services_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Every way to make an account opens its balance, in the same transaction.
func TestSignUpOpensTheBalance(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	edgetest.SignUp(t, "ada@example.com")
	if _, err := edgetest.Operate(t, "", "user", "create", "--email", "bob@example.com", "--config", edgetest.ConfigFile(t, edgetest.ExternalApp(db))); err != nil {
		t.Fatal(err)
	}
	report, err := edgetest.LiveRuntime(t).Credits.Audit(t.Context())
	if err != nil || report.Accounts != 2 || len(report.Breaches) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A new account is given its trial once its address is proven, once a person, also by a
// command that has no key: an edge gives it then.
func TestTrialOfANewAccount(t *testing.T) {
	edgetest.StopAtEnd(t)
	app := edgetest.With(edgetest.ExternalApp(pgtest.New(t)), "credits", map[string]any{"trial": map[string]any{"credits": "100", "expires": "14d"}})
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err != nil {
		t.Fatal(err)
	}
	cores := edgetest.LiveRuntime(t).Cores
	file := edgetest.ConfigFile(t, app)
	has := func(address string, want int64) {
		t.Helper()
		u, err := cores.Auth.UserByIDOrEmail(t.Context(), principal.Operator{Name: "test"}, address)
		if err != nil {
			t.Fatal(err)
		}
		if want > 0 { // what the command left waiting
			if _, err := cores.Coupons.GiveTrial(t.Context(), u.ID); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := cores.Credits.BalanceOf(t.Context(), u.ID); err != nil || b.Available != creditcore.Credits(want) {
			t.Errorf("%s has %s, want %d, %v", address, b.Available, want, err)
		}
	}
	edgetest.SignUp(t, "ada@gmail.com")
	has("ada@gmail.com", 0)
	for _, args := range [][]string{{"user", "verify", "ada@gmail.com"}, {"user", "create", "--email", "a.da+x@googlemail.com"}} {
		if _, err := edgetest.Operate(t, "", append(args, "--config", file)...); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	has("ada@gmail.com", 100)
	has("a.da+x@googlemail.com", 0)
	breaches, err := cores.Coupons.Audit(t.Context())
	if err != nil || len(breaches) > 0 {
		t.Errorf("%+v, %v", breaches, err)
	}
}

// Closed to everybody, registration is the admin's still.
func TestClosedRegistrationLeavesTheCommand(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	address := freeport.Address(t)
	app := edgetest.With(edgetest.ExternalApp(db), "registration", "closed")
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	resp := edgetest.Fetch(t, "POST", "http://"+address+"/api/v1/auth/register", `{"email":"ada@example.com","password":"`+edgetest.SignUpPassword+`"}`)
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("register: %s", resp.Status)
	}
	if _, err := edgetest.Operate(t, "", "user", "create", "--email", "bob@example.com", "--config", edgetest.ConfigFile(t, app)); err != nil {
		t.Error(err)
	}
}

// payingStripe has one customer with one subscription, until it is cancelled.
type payingStripe struct {
	mu        sync.Mutex
	cancelled []string
}

func (s *payingStripe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const subscription = `{"id":"sub_1","object":"subscription","status":"canceled","customer":"cus_1"}`
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/subscriptions" && r.URL.Query().Get("customer") == "cus_1":
		fmt.Fprintf(w, `{"object":"list","has_more":false,"data":[%s]}`, subscription)
	case r.Method == http.MethodDelete && r.URL.Path == "/v1/subscriptions/sub_1":
		s.cancelled = append(s.cancelled, "sub_1")
		fmt.Fprint(w, subscription)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"none"}}`)
	}
}

func TestDeletionEndsTheSubscription(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	stripe := new(payingStripe)
	server := httptest.NewServer(stripe)
	defer server.Close()
	app := edgetest.With(edgetest.ExternalApp(db), "stripe", map[string]any{
		"secret_key": "sk_test_1", "webhook_secret": []string{"whsec_1"}, "api_url": server.URL,
	})
	if err := edgetest.Load(t, edgetest.Site(t, freeport.Address(t), app)); err != nil {
		t.Fatal(err)
	}
	caller := edgetest.SignUp(t, "ada@example.com")
	if _, err := db.Pool.Exec(t.Context(), fmt.Sprintf(`SET ROLE mana_system;
		INSERT INTO credits.stripe_customers (user_id, stripe_customer_id) VALUES ('%s', 'cus_1'); RESET ROLE`, caller.UserID)); err != nil {
		t.Fatal(err)
	}
	if err := edgetest.LiveRuntime(t).Auth.DeleteAccount(t.Context(), caller, edgetest.SignUpPassword, ""); err != nil {
		t.Fatal(err)
	}
	edgetest.Eventually(t, "the subscription is cancelled", func() bool {
		stripe.mu.Lock()
		defer stripe.mu.Unlock()
		return len(stripe.cancelled) > 0
	})
}
