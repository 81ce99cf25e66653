package services_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// Every way to make an account opens its balance, in the same transaction.
func TestSignUpOpensTheBalance(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	if err := edgetest.Load(t, edgetest.Site(t, edgetest.FreeAddress(t), edgetest.ExternalApp(db))); err != nil {
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

// Closed to everybody, registration is the admin's still.
func TestClosedRegistrationLeavesTheCommand(t *testing.T) {
	edgetest.StopAtEnd(t)
	db := pgtest.New(t)
	address := edgetest.FreeAddress(t)
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
	if err := edgetest.Load(t, edgetest.Site(t, edgetest.FreeAddress(t), app)); err != nil {
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
