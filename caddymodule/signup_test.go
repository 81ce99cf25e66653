package caddymodule_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/internal/pgtest"
)

const signUpPassword = "correct horse battery"

// signUp makes an account at the running server and signs it in.
func signUp(t testing.TB, email string) authcore.Caller {
	t.Helper()
	auth := liveRuntime(t).Auth
	u, err := auth.Register(t.Context(), authcore.Client{}, authcore.Registration{Email: email, Password: signUpPassword})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.SignIn(t.Context(), authcore.Client{}, email, signUpPassword)
	if err != nil {
		t.Fatal(err)
	}
	return authcore.Caller{UserID: u.ID, Email: u.Email, Role: u.Role, SessionID: tokens.SessionID}
}

// Every way to make an account opens its balance, in the same transaction.
func TestSignUpOpensTheBalance(t *testing.T) {
	stopAtEnd(t)
	db := pgtest.New(t)
	if err := load(t, site(t, freeAddress(t), externalApp(db))); err != nil {
		t.Fatal(err)
	}
	signUp(t, "ada@example.com")
	if _, err := operate(t, "", "user", "create", "--email", "bob@example.com", "--config", configFile(t, externalApp(db))); err != nil {
		t.Fatal(err)
	}
	report, err := liveRuntime(t).Credits.Audit(t.Context())
	if err != nil || report.Accounts != 2 || len(report.Breaches) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Closed to everybody, registration is the admin's still.
func TestClosedRegistrationLeavesTheCommand(t *testing.T) {
	stopAtEnd(t)
	db := pgtest.New(t)
	address := freeAddress(t)
	app := with(externalApp(db), "registration", "closed")
	if err := load(t, whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	resp := fetch(t, "POST", "http://"+address+"/api/v1/auth/register", `{"email":"ada@example.com","password":"`+signUpPassword+`"}`)
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("register: %s", resp.Status)
	}
	if _, err := operate(t, "", "user", "create", "--email", "bob@example.com", "--config", configFile(t, app)); err != nil {
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
	stopAtEnd(t)
	db := pgtest.New(t)
	stripe := new(payingStripe)
	server := httptest.NewServer(stripe)
	defer server.Close()
	app := with(externalApp(db), "stripe", map[string]any{
		"secret_key": "sk_test_1", "webhook_secret": []string{"whsec_1"}, "api_url": server.URL,
	})
	if err := load(t, site(t, freeAddress(t), app)); err != nil {
		t.Fatal(err)
	}
	caller := signUp(t, "ada@example.com")
	if _, err := db.Pool.Exec(t.Context(), fmt.Sprintf(`SET ROLE mana_system;
		INSERT INTO credits.stripe_customers (user_id, stripe_customer_id) VALUES ('%s', 'cus_1'); RESET ROLE`, caller.UserID)); err != nil {
		t.Fatal(err)
	}
	if err := liveRuntime(t).Auth.DeleteAccount(t.Context(), caller, signUpPassword, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription is cancelled", func() bool {
		stripe.mu.Lock()
		defer stripe.mu.Unlock()
		return len(stripe.cancelled) > 0
	})
}
