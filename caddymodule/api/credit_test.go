package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api"
)

const (
	useURL    = "/api/v1/credits/use"
	refundURL = "/api/v1/credits/refund"
)

// charge is the body of a charge, with fields changed or, where nil, left out.
func charge(amount any, change ...any) map[string]any {
	body := map[string]any{"amount": amount, "appId": "chat", "description": "A reply"}
	for i := 0; i < len(change); i += 2 {
		body[change[i].(string)] = change[i+1]
	}
	return body
}

func TestBalance(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	want := func(balance, earned, spent float64) {
		t.Helper()
		got := s.send("GET", "/api/v1/credits/balance", nil, token).status(200).object()
		expected := map[string]any{"balance": balance, "debt": 0.0, "totalEarned": earned, "totalSpent": spent, "userId": id}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		back := s.send("GET", "/api/v1/credits/balance/"+id, nil, asService).status(200).object()
		if diff := cmp.Diff(expected, back); diff != "" {
			t.Errorf("as a back end (-want +got)\n%s", diff)
		}
	}
	want(0, 0, 0)
	s.grant(id, 10)
	s.send("POST", useURL, charge(0.5), token).status(201)
	want(9.5, 10, 0.5)
	s.send("GET", "/api/v1/credits/balance/nobody", nil, asService).status(404).message("User balance not found")
	s.send("GET", "/api/v1/credits/balance/%00", nil, asService).status(400)
}

func TestUse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	got := s.send("POST", useURL, charge(3, "metadata", map[string]any{"operation": "ai_chat", "n": 1.5}), token).status(201)
	if !strings.Contains(got.body, `"amount":-3,"balanceBefore":10,"balanceAfter":7,`) {
		t.Errorf("whole credits are not whole numbers: %s", got.body)
	}
	row := got.object()["transaction"].(map[string]any)
	if row["id"] == "" || row["createdAt"] == nil || row["completedAt"] == nil {
		t.Errorf("row %v", row)
	}
	delete(row, "id")
	delete(row, "createdAt")
	delete(row, "completedAt")
	if diff := cmp.Diff(map[string]any{
		"userId": id, "type": "usage", "status": "completed", "amount": -3.0, "balanceBefore": 10.0, "balanceAfter": 7.0,
		"appId": "chat", "description": "A reply", "metadata": map[string]any{"operation": "ai_chat", "n": 1.5}, "idempotencyKey": nil,
		"reverses": nil, "sequence": 2.0,
	}, row); diff != "" {
		t.Errorf("row (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"balance": 7.0, "totalSpent": 3.0}, got.object()["newBalance"]); diff != "" {
		t.Errorf("newBalance (-want +got)\n%s", diff)
	}
	for _, amount := range []string{"0.02", "0.6000000000000001", "0.0006", "1e0"} {
		s.send("POST", useURL, `{"amount":`+amount+`,"appId":"","description":""}`, token).status(201)
	}
	if b := s.send("GET", "/api/v1/credits/balance", nil, token).object()["balance"]; b != 5.379 {
		t.Errorf("balance %v", b)
	}
}

func TestUseRefusesBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	const positive = "amount must be a positive number"
	for _, tt := range []struct {
		content string
		want    []string
	}{
		{`{}`, []string{positive, "appId must be a string", "description must be a string"}},
		{`{"amount":-1,"appId":[],"description":{},"metadata":[]}`,
			[]string{positive, "appId must be a string", "description must be a string", "metadata must be an object"}},
		{`{"amount":"3","appId":"a","description":""}`, []string{positive}},
		{`{"amount":true,"appId":"a","description":""}`, []string{positive}},
		{`{"amount":null,"appId":"a","description":""}`, []string{positive}},
		{`{"amount":[1],"appId":"a","description":""}`, []string{positive}},
		{`{"amount":0,"appId":"a","description":""}`, []string{positive}},
		{`{"amount":0.0004,"appId":"a","description":""}`, []string{positive}},
		{`{"amount":1e-400,"appId":"a","description":""}`, []string{positive}},
		{`{"amount":-1e400,"appId":"a","description":""}`, []string{positive}},
		{`{"amount":1e400,"appId":"a","description":""}`, []string{"amount must not be greater than 1000000000"}},
		{`{"amount":9007199254740992,"appId":"a","description":""}`, []string{"amount must not be greater than 1000000000"}},
		{`{"amount":1,"appId":"a","description":"","userId":"` + id + `"}`, []string{"property userId should not exist"}},
		{`{"amount":1,"appId":"a","description":"","userId":null}`, []string{"property userId should not exist"}},
		{`{"amount":1,"appId":"a","description":"","foo":1}`, []string{"property foo should not exist"}},
		{`{"amount":1,"appId":"a","description":"","metadata":"{}"}`, []string{"metadata must be an object"}},
		{`{"amount":1,"appId":"a","description":"","metadata":{"a":"\u0000"}}`, []string{"metadata must not contain NUL characters"}},
		{`{"amount":1,"appId":"a","description":"","metadata":{"a":"\ud800"}}`, []string{"metadata must be valid Unicode text"}},
		{`{"amount":1,"appId":"a","description":"","metadata":{"a":1e100}}`, []string{"metadata must hold numbers between 1e-21 and 1e21 only"}},
		{`{"amount":1,"appId":"a","description":"","metadata":{"a":"` + strings.Repeat("x", 70_000) + `"}}`, []string{"metadata must not be larger than 64 kB"}},
		{`{"amount":1,"appId":"` + strings.Repeat("é", 256) + `","description":""}`, []string{"appId must be shorter than or equal to 255 characters"}},
		{`{"amount":1,"appId":"a","description":"","idempotencyKey":""}`, []string{"idempotencyKey should not be empty"}},
		{`{"amount":1,"appId":"a","description":"","idempotencyKey":"` + strings.Repeat("k", 256) + `"}`,
			[]string{"idempotencyKey must be shorter than or equal to 255 characters"}},
	} {
		s.send("POST", useURL, tt.content, token).status(400).message(tt.want...)
	}
	s.send("POST", useURL, `{"amount":NaN,"appId":"a","description":""}`, token).status(400)
	s.send("POST", useURL, `{"amount":Infinity,"appId":"a","description":""}`, token).status(400)
	if b := s.send("GET", "/api/v1/credits/balance", nil, token).object(); b["balance"] != 10.0 || b["totalSpent"] != 0.0 {
		t.Errorf("something was charged: %v", b)
	}
	s.send("POST", useURL, charge(1, "idempotencyKey", strings.Repeat("é", 255), "metadata", nil), token).status(201)
}

func TestInsufficientCredits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 2)
	got := s.send("POST", useURL, charge(2.5, "idempotencyKey", "k"), token).status(402).message("Insufficient credits").object()
	if got["code"] != "INSUFFICIENT_CREDITS" {
		t.Errorf("code %v", got["code"])
	}
	if diff := cmp.Diff(map[string]any{"requiredCredits": 2.5, "availableCredits": 2.0, "creditType": "user"}, got["details"]); diff != "" {
		t.Errorf("details (-want +got)\n%s", diff)
	}
	// The refusal left no key behind.
	s.grant(id, 1)
	again := s.send("POST", useURL, charge(2.5, "idempotencyKey", "k"), token).status(201)
	if again.header.Get("Idempotency-Replayed") != "" {
		t.Error("a refusal was replayed")
	}
}

func TestUseIdempotency(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	other, otherToken := s.member("bob@example.test")
	s.grant(id, 100)
	s.grant(other, 100)

	var wait sync.WaitGroup
	answers := make([]answer, 12)
	for i := range answers {
		wait.Go(func() { answers[i] = s.send("POST", useURL, charge(5), token, with("Idempotency-Key", "same")) })
	}
	wait.Wait()
	fresh, ids := 0, map[any]bool{}
	for _, a := range answers {
		a.status(201)
		ids[a.object()["transaction"].(map[string]any)["id"]] = true
		if a.object()["message"] == nil {
			fresh++
			continue
		}
		if a.text("message") != "Transaction already processed" || a.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("replay %s %v", a.body, a.header)
		}
	}
	if fresh != 1 || len(ids) != 1 {
		t.Errorf("%d charged, %d rows", fresh, len(ids))
	}
	// Body and header mean the same key; they must not differ.
	if got := s.send("POST", useURL, charge(5, "idempotencyKey", "same"), token).status(201); got.object()["message"] == nil {
		t.Errorf("the body's key is another: %s", got.body)
	}
	s.send("POST", useURL, charge(5, "idempotencyKey", "same"), token, with("Idempotency-Key", "same")).status(201)
	s.send("POST", useURL, charge(5, "idempotencyKey", "one"), token, with("Idempotency-Key", "two")).status(400)
	s.send("POST", useURL, charge(5), token, with("Idempotency-Key", "")).status(400).message("Idempotency-Key should not be empty")
	s.send("POST", useURL, charge(5), token, with("Idempotency-Key", "a"), with("Idempotency-Key", "b")).status(400)
	s.send("POST", useURL, charge(5), token, with("Idempotency-Key", "\xff")).status(400)
	// Another body is another request.
	if got := s.send("POST", useURL, charge(6), token, with("Idempotency-Key", "same")).status(422).object(); got["code"] != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("reuse: %v", got)
	}
	// A key is one user's own.
	theirs := s.send("POST", useURL, charge(5), otherToken, with("Idempotency-Key", "same")).status(201).object()
	if row := theirs["transaction"].(map[string]any); row["userId"] != other || theirs["message"] != nil {
		t.Errorf("the other user got %v", theirs)
	}
	if b := s.send("GET", "/api/v1/credits/balance", nil, token).object()["balance"]; b != 95.0 {
		t.Errorf("balance %v", b)
	}
}

// What a refund gives back is named in its row, and the key of a charge that
// came back whole gets no success for nothing.
func TestRefundNamesItsChargeAndEndsItsKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	row := func(a answer) map[string]any { return a.object()["transaction"].(map[string]any) }
	used := row(s.send("POST", useURL, charge(4), token, with("Idempotency-Key", "k")).status(201))
	if got, ok := used["reverses"]; got != nil || !ok {
		t.Errorf("a charge reverses %v", got)
	}
	back := row(s.send("POST", refundURL, charge(4, "userId", id, "transactionId", used["id"]), asService).status(201))
	if back["reverses"] != used["id"] {
		t.Errorf("the refund reverses %v, want %v", back["reverses"], used["id"])
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(s.send("GET", "/api/v1/credits/transactions?limit=1", nil, token).status(200).body), &list); err != nil || list[0]["reverses"] != used["id"] {
		t.Errorf("the ledger: %v, %v", list, err)
	}
	again := s.send("POST", useURL, charge(4), token, with("Idempotency-Key", "k")).status(409).message("The charge of the idempotency key was refunded")
	if again.object()["code"] != "IDEMPOTENCY_KEY_REFUNDED" {
		t.Errorf("%s", again.body)
	}
	s.send("POST", useURL, charge(5), token, with("Idempotency-Key", "k")).status(422)
	if b := s.send("GET", "/api/v1/credits/balance", nil, token).object()["balance"]; b != 10.0 {
		t.Errorf("balance %v", b)
	}
}

func TestServiceKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	body := charge(1, "userId", id, "appId", "", "metadata", map[string]any{"operation": "task_create", "path": "/x", "method": "POST"})
	got := s.send("POST", useURL, body, asService).status(201).object()
	if got["transaction"].(map[string]any)["userId"] != id {
		t.Errorf("charged %v", got)
	}
	s.send("POST", useURL, charge(1), asService).status(400).message("userId must be a string")
	s.send("POST", useURL, charge(1, "userId", ""), asService).status(400).message("userId should not be empty")
	s.send("POST", useURL, charge(1, "userId", "nobody"), asService).status(404).message("User balance not found")
	wrong := with("X-Service-Key", serviceKey+"x")
	for _, url := range []string{useURL, refundURL} {
		s.send("POST", url, body, wrong).status(401).message("Invalid service key")
		s.send("POST", url, body, wrong, token).status(401).message("Invalid service key")
		s.send("POST", url, body, with("X-Service-Key", "")).status(401).message("Invalid service key")
		s.send("POST", url, body, asService, with("X-Service-Key", serviceKey)).status(401)
	}
	s.send("POST", useURL, body).status(401).message("No token provided")
	s.send("POST", refundURL, body).status(401).message("No service key provided")
	s.send("GET", "/api/v1/credits/balance/"+id, nil, token).status(401).message("No service key provided")

	closed := newSite(t, func(c *api.Config, _ *api.Deps) { c.ServiceKeys = nil })
	for _, key := range []string{"", "x"} {
		closed.send("GET", "/api/v1/credits/balance/x", nil, with("X-Service-Key", key)).status(401).message("Invalid service key")
	}
}

func TestRefund(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	used := s.send("POST", useURL, charge(4), token).status(201).object()["transaction"].(map[string]any)["id"]
	body := func(amount any, change ...any) map[string]any {
		return charge(amount, append([]any{"userId", id, "description", "It failed"}, change...)...)
	}
	got := s.send("POST", refundURL, body(1.5, "transactionId", used, "idempotencyKey", "r1"), asService).status(201).object()
	row := got["transaction"].(map[string]any)
	if got["success"] != true || row["type"] != "refund" || row["amount"] != 1.5 {
		t.Errorf("refund %v", got)
	}
	if diff := cmp.Diff(map[string]any{"balance": 7.5, "totalSpent": 2.5}, got["newBalance"]); diff != "" {
		t.Errorf("newBalance (-want +got)\n%s", diff)
	}
	replay := s.send("POST", refundURL, body(1.5, "transactionId", used, "idempotencyKey", "r1"), asService).status(201)
	if replay.header.Get("Idempotency-Replayed") != "true" || replay.object()["transaction"].(map[string]any)["id"] != row["id"] {
		t.Errorf("replay %s", replay.body)
	}
	s.send("POST", refundURL, body(3, "transactionId", used), asService).status(400).message("Refund exceeds what was charged")
	s.send("POST", refundURL, body(1, "transactionId", "nothing"), asService).status(404).message("Transaction not found")
	s.send("POST", refundURL, body(2.5), asService).status(201)
	s.send("POST", refundURL, body(0.001), asService).status(400)
	s.send("POST", refundURL, `{}`, asService).status(400).
		message("userId must be a string", "amount must be a positive number", "appId must be a string", "description must be a string")
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	_, otherToken := s.member("bob@example.test")
	s.grant(id, 100)
	for range 59 {
		s.send("POST", useURL, charge(1), token).status(201)
	}
	page := func(query string, headers ...header) []map[string]any {
		t.Helper()
		var rows []map[string]any
		got := s.send("GET", "/api/v1/credits/transactions"+query, nil, append(headers, token)...).status(200)
		if err := json.Unmarshal([]byte(got.body), &rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	for query, want := range map[string][2]int{ // how many, and the balance after the first
		"": {50, 41}, "?limit=10": {10, 41}, "?offset=55": {5, 96}, "?limit=3&offset=1": {3, 42}, "?limit=500": {60, 41},
		"?limit=-5": {1, 41}, "?limit=0": {1, 41}, "?offset=-3": {50, 41}, "?limit=&offset=": {50, 41}, "?offset=1000": {0, 0},
		"?limit=99999999999999999999": {60, 41}, "?offset=99999999999999999999": {0, 0}, "?limit=5.0&cache=1": {5, 41},
	} {
		rows := page(query)
		if len(rows) != want[0] || want[0] > 0 && rows[0]["balanceAfter"] != float64(want[1]) {
			t.Errorf("%q: %d rows, the first %v", query, len(rows), rows[:min(1, len(rows))])
		}
	}
	rows := page("?limit=200")
	for i := 1; i < len(rows); i++ {
		if rows[i]["balanceAfter"] != rows[i-1]["balanceBefore"] {
			t.Errorf("rows %d and %d are not in order", i-1, i)
		}
	}
	const url = "/api/v1/credits/transactions"
	s.send("GET", url+"?limit=ten", nil, token).status(400).message("limit must be an integer number")
	s.send("GET", url+"?limit=1.5&offset=NaN", nil, token).status(400).
		message("limit must be an integer number", "offset must be an integer number")
	s.send("GET", url+"?limit=1&limit=2", nil, token).status(400).message("property limit must not be repeated")
	s.send("GET", url+"?limit=%zz", nil, token).status(400).message("Malformed query")
	if got := s.send("GET", url, nil, otherToken).status(200).body; got != "[]" {
		t.Errorf("the other user sees %s", got)
	}
	s.send("GET", url, nil, token, func(h http.Header) { h.Set("Content-Type", "application/json") }).status(200)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 100)
	s.send("POST", useURL, charge(3, "metadata", map[string]any{"operation": "ai_chat"}), token).status(201)
	s.send("POST", useURL, charge(2.5, "appId", "todo"), token).status(201)
	s.send("POST", refundURL, charge(0.5, "userId", id, "appId", "todo"), asService).status(201)
	const url = "/api/v1/credits/usage"
	got := s.send("GET", url, nil, token).status(200).object()
	if diff := cmp.Diff([]any{
		map[string]any{"key": "chat", "credits": 3.0, "refunded": 0.0, "requests": 1.0},
		map[string]any{"key": "todo", "credits": 2.5, "refunded": 0.5, "requests": 1.0},
	}, got["usage"]); diff != "" || got["groupBy"] != "app" {
		t.Errorf("by app: %v (-want +got)\n%s", got, diff)
	}
	day := got["to"].(string)
	for query, keys := range map[string][]any{
		"?groupBy=operation": {"ai_chat", ""}, "?groupBy=day": {day}, "?from=" + day + "&to=" + day: {"chat", "todo"},
		"?from=" + day + "T00:00:00Z&to=" + day + "T23:59:59%2B00:00": {"chat", "todo"}, "?from=2020-01-01&to=2020-02-01": nil,
	} {
		got := s.send("GET", url+query, nil, token).status(200).object()
		var found []any
		for _, line := range got["usage"].([]any) {
			found = append(found, line.(map[string]any)["key"])
		}
		if diff := cmp.Diff(keys, found); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", query, diff)
		}
	}
	for query, want := range map[string]string{
		"?groupBy=month":                 "groupBy must be one of the following values: app, operation, day",
		"?from=yesterday":                "from must be a valid ISO 8601 date string",
		"?from=2026-02-01&to=2026-01-01": "from must not be after to",
		"?from=2020-01-01&to=2026-01-01": "from must not be more than 366 days before to",
	} {
		s.send("GET", url+query, nil, token).status(400).message(want)
	}
}

// The balance of a sign-up is there at once, in the database, not on demand.
func TestSignUpOpensTheAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, _ := s.member("ada@example.test")
	report, err := s.Ledger.Audit(t.Context())
	if err != nil || report.Accounts != 1 || len(report.Breaches) != 0 {
		t.Errorf("after the sign-up of %s: %+v, %v", id, report, err)
	}
}

func TestDeletedAccountKeepsItsLedger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, token := s.member("ada@example.test")
	s.grant(id, 10)
	s.send("DELETE", "/api/v1/auth/account", map[string]any{"password": testPassword}, token).status(200)
	s.send("GET", "/api/v1/credits/balance", nil, token).status(401)
	s.send("POST", useURL, charge(1), token).status(401)
	report, err := s.Ledger.Audit(t.Context())
	if err != nil || report.Entries != 1 || len(report.Breaches) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
