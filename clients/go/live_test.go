//go:build live

// The test of package clients runs this against a running edge.

package manaid_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	manaid "mana.how/edge/clients/go"
)

type seen struct {
	Header, Asserted manaid.Identity
	Refused          []string
	Query            string
}

func TestLive(t *testing.T) {
	base, site, email := os.Getenv("MANA_URL"), os.Getenv("MANA_SITE"), os.Getenv("MANA_EMAIL")
	verifier := manaid.NewVerifier(manaid.VerifierConfig{Issuer: base, Audience: "app"})
	foreign := manaid.NewVerifier(manaid.VerifierConfig{Issuer: base, Audience: "another app"})
	app := httptest.NewUnstartedServer(verifier.RequireAssertion(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var s seen
		s.Header, _ = manaid.FromRequest(r)
		s.Asserted, _ = manaid.FromContext(r.Context())
		s.Query = r.URL.RawQuery
		for name, change := range map[string]func(*http.Request){
			"method": func(r *http.Request) { r.Method = "POST" },
			"host":   func(r *http.Request) { r.Host = "other" },
			"path":   func(r *http.Request) { r.URL = &url.URL{Path: "/other", RawQuery: r.URL.RawQuery} },
			"query":  func(r *http.Request) { r.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: "x=1"} },
		} {
			other := r.Clone(r.Context())
			change(other)
			if _, err := verifier.Assertion(other); errors.Is(err, manaid.ErrInvalid) {
				s.Refused = append(s.Refused, name)
			}
		}
		if _, err := foreign.Assertion(r); errors.Is(err, manaid.ErrInvalid) {
			s.Refused = append(s.Refused, "app")
		}
		_ = json.NewEncoder(w).Encode(s)
	})))
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("MANA_APP_PORT"))
	if err != nil {
		t.Fatal(err)
	}
	app.Listener.Close()
	app.Listener = listener
	app.Start()
	defer app.Close()

	ctx := t.Context()
	user := &manaid.Client{BaseURL: base}
	tokens, err := user.Login(ctx, email, os.Getenv("MANA_PASSWORD"))
	if err != nil {
		t.Fatal(err)
	}
	user.AccessToken = func(context.Context) (string, error) { return tokens.AccessToken, nil }
	backend := &manaid.Client{BaseURL: base, ServiceKey: os.Getenv("MANA_SERVICE_KEY")}
	id := tokens.User.ID

	ask := func(path, token string) seen {
		t.Helper()
		r, _ := http.NewRequestWithContext(ctx, "GET", site+path, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var s seen
		if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		return s
	}
	s := ask("/a%2Fb?c=%20d", tokens.AccessToken)
	if s.Header.UserID != id || s.Header.Name != "Zoë 100%" || s.Asserted.Email != email || s.Asserted.SessionID != s.Header.SessionID || len(s.Refused) != 5 {
		t.Errorf("%+v", s)
	}
	ticket, err := user.Ticket(ctx, site)
	if err != nil {
		t.Fatal(err)
	}
	if s := ask("/?a=1&ticket="+ticket, ""); s.Asserted.UserID != id || s.Query != "a=1" {
		t.Errorf("by ticket: %+v", s)
	}

	before, err := backend.Balance(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	var receipt manaid.Receipt
	for range 2 {
		if receipt, err = backend.Charge(ctx, manaid.Charge{UserID: id, Amount: 1.5, AppID: "app", Description: "a test", Key: "go-1"}); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := user.Balance(ctx, ""); err != nil || now.Balance != before.Balance-1.5 {
		t.Errorf("%+v, %v", now, err)
	}
	if _, err := backend.Refund(ctx, manaid.Refund{UserID: id, Amount: 1.5, AppID: "app", Description: "a test", TransactionID: receipt.Transaction.ID, Key: "go-2"}); err != nil {
		t.Error(err)
	}
	var short *manaid.InsufficientCreditsError
	if _, err := user.Charge(ctx, manaid.Charge{Amount: 1e6, AppID: "app", Description: "too much"}); !errors.As(err, &short) || short.Required != 1e6 || short.Available != before.Balance {
		t.Errorf("too much: %v", err)
	}
	receipts := manaid.NewReceiptVerifier(manaid.ReceiptConfig{Issuer: base})
	paid, _ := http.NewRequestWithContext(ctx, "GET", site+"/paid", nil)
	paid.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	answer, err := http.DefaultClient.Do(paid)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	requestID, signed := answer.Header.Get("X-Request-Id"), answer.Header.Get(manaid.ReceiptHeader)
	if r, err := receipts.ReceiptOf(ctx, requestID, signed); err != nil || r.Cost != 4 || r.UserID != id || r.Payer != "user" || r.App != "app" || len(r.Transactions) != 1 || time.Since(r.At) > time.Hour {
		t.Errorf("a receipt: %+v, %v, of %d", r, err, answer.StatusCode)
	}
	if _, err := receipts.ReceiptOf(ctx, "another", signed); !errors.Is(err, manaid.ErrInvalid) {
		t.Errorf("the receipt of another request: %v", err)
	}
	if found, err := backend.User(ctx, id); err != nil || found.Email != email {
		t.Errorf("%+v, %v", found, err)
	}
	if found, err := backend.Users(ctx, id, "nobody"); err != nil || len(found) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if c, err := manaid.NewVerifier(manaid.VerifierConfig{Issuer: base, Audience: "manacore"}).Token(ctx, tokens.AccessToken); err != nil || c.Subject != id {
		t.Errorf("%+v, %v", c, err)
	}
	if v, err := backend.Validate(ctx, tokens.AccessToken); err != nil || !v.Valid || v.Payload.Subject != id {
		t.Errorf("%+v, %v", v, err)
	}
	if me, err := user.Profile(ctx); err != nil || me.Email != email {
		t.Errorf("%+v, %v", me, err)
	}
	next, err := user.Refresh(ctx, tokens.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := user.Logout(ctx, next.RefreshToken); err != nil {
		t.Error(err)
	}
	var unauthorized *manaid.UnauthorizedError
	if _, err := user.Profile(ctx); !errors.As(err, &unauthorized) {
		t.Errorf("after the sign-out: %v", err)
	}
}

// Every client is given the same receipts, of which one is good.
func TestLiveReceipts(t *testing.T) {
	var cases struct {
		Issuer, RequestID, Good string
		Bad                     map[string]string
	}
	raw, err := os.ReadFile(os.Getenv("MANA_RECEIPTS"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	v := manaid.NewReceiptVerifier(manaid.ReceiptConfig{Issuer: cases.Issuer})
	r, err := v.ReceiptOf(t.Context(), cases.RequestID, cases.Good)
	if err != nil || r.Cost != 2.5 || r.Payer != "org:acme" || r.Replayed {
		t.Errorf("%+v, %v", r, err)
	}
	if len(cases.Bad) < 20 {
		t.Errorf("only %d bad receipts", len(cases.Bad))
	}
	for name, token := range cases.Bad {
		if r, err := v.Receipt(t.Context(), token); !errors.Is(err, manaid.ErrInvalid) || r.UserID != "" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
