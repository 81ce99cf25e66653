package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mana.how/edge/creditcore"
)

// Each item of a batch has the outcome that it would have had alone, and none disturbs
// another.
func TestUseInBatches(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, token := s.member("ada@example.test")
	bob, _ := s.member("bob@example.test")
	s.grant(ada, 10)
	s.grant(bob, 1)
	const path = "/api/v1/credits/use/batch"
	type outcome struct {
		Status int
		Result struct {
			Message     string
			Transaction struct{ Amount float64 }
		}
		Error struct {
			Code, Message string
			Details       map[string]any
		}
	}
	type answers struct {
		Results         []outcome
		Charged, Failed int
	}
	send := func(body any, who header) (got answers) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.send("POST", path, body, who).status(200).body), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	item := func(user string, amount any, more ...any) map[string]any {
		m := map[string]any{"userId": user, "amount": amount, "appId": "chat", "description": "a poem"}
		for i := 0; i+1 < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	items := []any{
		item(ada, 2, "idempotencyKey", "one"), item(bob, 5), item("nobody", 1), item(bob, 1), item(ada, 1, "organizationId", "no-member-there"),
		map[string]any{"userId": ada, "price": "unknown", "appId": "chat", "description": "x"}, map[string]any{"userId": ada, "amount": 1, "quantity": 2, "appId": "chat", "description": "x"},
	}
	got := send(map[string]any{"items": items}, asService)
	for i, want := range []struct {
		status int
		code   string
	}{{201, ""}, {402, "INSUFFICIENT_CREDITS"}, {404, ""}, {201, ""}, {404, ""}, {400, "PRICE_UNKNOWN"}, {400, "PRICE_OR_AMOUNT"}} {
		if r := got.Results[i]; r.Status != want.status || want.code != "" && r.Error.Code != want.code || (r.Status == 201) != (r.Error.Message == "") {
			t.Errorf("item %d: %+v, want %+v", i, r, want)
		}
	}
	if got.Results[1].Error.Details["requiredCredits"] != 5.0 || got.Charged != 2 || got.Failed != len(items)-2 {
		t.Errorf("%+v", got)
	}

	// Where one is not well-formed, none is made.
	balance := func() creditcore.Amount {
		t.Helper()
		b, err := s.Ledger.Balance(t.Context(), creditcore.Caller{UserID: ada})
		if err != nil {
			t.Fatal(err)
		}
		return b.Available
	}
	before := balance()
	for text, bad := range map[string]any{
		"items.1.amount must be a positive number": item(ada, -1), "items.1.property colour should not exist": item(ada, 1, "colour", "red"), "items.1 must be an object": "no object",
		"items.1.amount": map[string]any{"userId": ada, "appId": "chat", "description": "x"},
	} {
		if a := s.send("POST", path, map[string]any{"items": []any{item(ada, 1), bad}}, asService).status(400); !strings.Contains(a.body, text) {
			t.Errorf("%s: %s", text, a.body)
		}
	}
	if balance() != before {
		t.Errorf("%v were charged", before-balance())
	}

	// A repeated batch is charged once, an item at a time.
	again := send(map[string]any{"items": []any{items[0], item(ada, 3, "idempotencyKey", "one")}}, asService)
	if again.Results[0].Status != 201 || again.Results[0].Result.Message != "Transaction already processed" || again.Results[1].Status != 422 {
		t.Errorf("again: %+v", again)
	}

	// Users charge themselves, and 500 at once no more than there is.
	many := make([]any, 500)
	for i := range many {
		many[i] = map[string]any{"amount": 0.1, "appId": "chat", "description": fmt.Sprint(i)}
	}
	got = send(map[string]any{"items": many}, token)
	if want := int(before / 100); got.Charged != want || got.Failed != 500-want {
		t.Errorf("%d charged, %d failed, with %v", got.Charged, got.Failed, before)
	}
	if after := balance(); after >= creditcore.Credit/10 {
		t.Errorf("%v left", after)
	}
	s.send("POST", path, map[string]any{"items": []any{item(bob, 0.1)}}, token).status(400) // userId is for back ends

	for name, body := range map[string]any{
		"no items": map[string]any{"items": []any{}}, "too many": map[string]any{"items": append(many, many[0])}, "no array": `{"items":{}}`, "missing": `{}`,
		"unknown field": map[string]any{"items": many[:1], "x": 1},
	} {
		if a := s.send("POST", path, body, token); a.code != 400 {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
	}
	s.send("POST", path, map[string]any{"items": many[:1]}, token, with("Idempotency-Key", "k")).status(400)
	s.send("POST", path, map[string]any{"items": many[:1]}).status(401)
	s.send("POST", path, map[string]any{"items": many[:1], "pad": strings.Repeat("x", 2<<20)}, token).status(413)
}
