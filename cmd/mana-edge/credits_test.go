package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/creditcore"
)

// What README.md walks through: credits by command, the paid route until they
// are spent, the history.
func TestCreditsAreGrantedSpentAndListed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Site = `
	@generate path /api/generate*
	mana_credits @generate 5 {
		app demo
		operation generate
	}`
	e.Env = []string{"MANA_CORE_SERVICE_KEY=the service key of a test"}
	e.start(t)
	register(t, e, "ada@mana.how", "198.51.100.1")
	client := e.client()
	tokens := want(t, send(t, client, http.MethodPost, e.Auth()+"/api/v1/auth/login",
		map[string]string{"email": "ada@mana.how", "password": password}), http.StatusOK)
	bearer := []string{"Authorization", "Bearer " + tokens.Text("accessToken")}
	generate := func() Answer {
		return send(t, client, http.MethodPost, e.AppURL()+"/api/generate", map[string]string{"prompt": "a pond"}, bearer...)
	}

	refused := want(t, generate(), http.StatusPaymentRequired)
	var shortage struct {
		Message, Code string
		Details       struct{ RequiredCredits, AvailableCredits float64 }
	}
	decode(t, string(refused.Body), &shortage)
	if shortage.Message != "Insufficient credits" || shortage.Code != "INSUFFICIENT_CREDITS" || shortage.Details.RequiredCredits != 5 {
		t.Errorf("402: %s", refused.Body)
	}

	e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", "ada@mana.how", "--amount", "100", "--reason", "welcome")
	for i := range 20 {
		a := want(t, generate(), http.StatusOK)
		left, err := creditcore.ParseAmount(a.Header.Get("Mana-Credits-Remaining"))
		if a.Header.Get("Mana-Credits-Cost") != "5" || err != nil || left != creditcore.Credits(int64(95-5*i)) || a.Text("text") == "" {
			t.Fatalf("request %d: %v %s", i, a.Header, a.Body)
		}
	}
	want(t, generate(), http.StatusPaymentRequired)

	balance := want(t, send(t, client, http.MethodGet, e.Auth()+"/api/v1/credits/balance", nil, bearer...), http.StatusOK).JSON()
	if balance["balance"] != 0.0 || balance["totalEarned"] != 100.0 || balance["totalSpent"] != 100.0 {
		t.Errorf("balance: %v", balance)
	}
	var history []struct {
		ID, Type, AppID, Description string
		Amount                       float64
	}
	list := want(t, send(t, client, http.MethodGet, e.Auth()+"/api/v1/credits/transactions", nil, bearer...), http.StatusOK)
	if err := json.Unmarshal(list.Body, &history); err != nil || len(history) != 21 || history[0].Amount != -5 || history[0].AppID != "demo" ||
		history[20].Type != "gift" || history[20].AppID != "admin" || !strings.Contains(history[20].Description, "welcome") {
		t.Errorf("history: %v, %.300s", err, list.Body)
	}

	// A back end of the family gives one charge back.
	service := []string{"X-Service-Key", "the service key of a test"}
	back := want(t, send(t, client, http.MethodPost, e.Auth()+"/api/v1/credits/refund", map[string]any{
		"userId": tokens.JSON()["user"].(map[string]any)["id"], "amount": 5, "appId": "demo", "description": "it was silent", "transactionId": history[0].ID,
	}, service...), http.StatusCreated)
	if back.JSON()["success"] != true {
		t.Errorf("refund: %s", back.Body)
	}
	want(t, generate(), http.StatusOK)
	e.run(t, "mana", "credits", "audit", "--config", e.config)
}
