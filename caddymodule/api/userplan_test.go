package api_test

import (
	"regexp"
	"strings"
	"testing"
)

// keyed are the ways in which a statement names whose rows it is about: the
// column that every table of a user has (a gift's is creator_id), the id of the
// user's own row, or the user as the argument of a function.
var keyed = regexp.MustCompile(`\b(user_id|creator_id)\b|\bauth\.users\b[^;]*\b(id|u\.id) = |\b(mana_functions_[0-9a-f]+|gifts|subscriptions|auth)\.\w+\(\$`)

// A user's path asks for the rows of that user, by an index: each statement could
// be sent to the one server that has them, and takes as long among millions of
// users as among thousands. docs/scale.md lists what looks a user up first.
func TestUsersPathsNameTheUser(t *testing.T) {
	t.Parallel()
	s, asked := crowded(t, crowd{20_000, 60_000, 60_000})
	inflate(t, s)
	ada, token := s.member("ada@example.test")
	s.grant(ada, 1000)
	cookie := s.cookie("ada@example.test")
	_, refresh := s.login("ada@example.test")
	whole := regexp.MustCompile(`Seq Scan on (users|security_events|transactions|sessions|accounts|api_keys|purchases|lots|balances|holds|user_words|verification|revocations)\b`)
	explained, met := 0, map[string]bool{}
	for _, request := range []struct {
		method, path string
		body         any
		who          header
	}{
		{"POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": testPassword}, with("Accept", "*/*")},
		{"POST", "/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}, with("Accept", "*/*")},
		{"GET", "/api/auth/get-session", nil, cookie},
		{"GET", "/api/v1/auth/profile", nil, token},
		{"GET", "/api/v1/auth/sessions", nil, token},
		{"GET", "/api/v1/auth/security-events", nil, token},
		{"GET", "/api/v1/auth/two-factor", nil, token},
		{"GET", "/api/v1/auth/passkeys", nil, token},
		{"GET", "/api/v1/auth/accounts", nil, token},
		{"GET", "/api/v1/auth/organizations", nil, token},
		{"GET", "/api/v1/api-keys", nil, token},
		{"POST", "/api/v1/api-keys", map[string]any{"name": "Key"}, token},
		{"GET", "/api/v1/settings", nil, token},
		{"PATCH", "/api/v1/settings/global", map[string]any{"theme": map[string]any{"mode": "dark"}}, token},
		{"GET", "/api/v1/me/data", nil, token},
		{"GET", "/api/v1/credits/balance", nil, token},
		{"GET", "/api/v1/credits/balance?include=lots,held", nil, token},
		{"GET", "/api/v1/credits/transactions", nil, token},
		{"GET", "/api/v1/credits/transactions?limit=50&offset=50", nil, token},
		{"GET", "/api/v1/credits/usage", nil, token},
		{"POST", "/api/v1/credits/use", map[string]any{"amount": 1, "appId": "chat", "description": "x"}, token},
		{"POST", "/api/v1/credits/use", map[string]any{"amount": 1, "appId": "chat", "description": "x", "idempotencyKey": "k1"}, token},
		{"GET", "/api/v1/credits/purchases", nil, token},
		{"GET", "/api/v1/gifts/me/created", nil, token},
		{"GET", "/api/v1/gifts/me/received", nil, token},
		{"POST", "/api/v1/gifts", map[string]any{"credits": 5}, token},
		{"GET", "/api/v1/subscriptions/current", nil, token},
		{"GET", "/api/v1/subscriptions/invoices", nil, token},
		{"GET", "/account", nil, cookie},
		{"GET", "/account/credits", nil, cookie},
		{"GET", "/account/devices", nil, cookie},
		{"GET", "/account/events", nil, cookie},
		{"GET", "/account/gifts", nil, cookie},
	} {
		asked.take()
		a := s.send(request.method, request.path, request.body, request.who)
		if a.code >= 400 {
			t.Errorf("%s %s: %d %s", request.method, request.path, a.code, a.body)
		}
		for sql, args := range asked.take() {
			text := strings.Join(strings.Fields(sql), " ")
			verb, _, _ := strings.Cut(text, " ")
			if !strings.Contains("SELECT WITH INSERT UPDATE DELETE", verb) || strings.Contains(text, "set_config") {
				continue
			}
			if !keyed.MatchString(text) {
				reason := ""
				for begin, why := range unkeyed {
					if strings.Contains(text, begin) {
						reason, met[begin] = why, true
					}
				}
				if reason == "" {
					t.Errorf("%s %s: a statement names no user:\n%s", request.method, request.path, text)
				}
			}
			explained++
			for _, line := range explain(t, s, sql, args) {
				if found := whole.FindString(line); found != "" {
					t.Errorf("%s %s: %s in\n%s", request.method, request.path, found, text)
				}
			}
		}
	}
	for begin := range unkeyed {
		if !met[begin] {
			t.Errorf("no statement has %q any more", begin)
		}
	}
	if explained < 60 {
		t.Errorf("%d statements were explained: nothing is proven", explained)
	}
}

// unkeyed are the statements of a user's path that do not know the user yet, or
// ask for what belongs to nobody, by a piece of their text.
var unkeyed = map[string]string{
	"FROM subscriptions.plans": "plans are the same for all: a reference table",
	"FROM credits.draws AS d JOIN credits.lots AS l ON l.id = d.lot_id WHERE d.transaction_id": "the draws of a transaction that was written just before",
}
