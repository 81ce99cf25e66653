package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/dbscope"
)

const keysURL = "/api/v1/api-keys"

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	s.grant(id, 100)

	made := s.send("POST", keysURL, map[string]any{"name": "Speech"}, ada).status(201).object()
	key, _ := made["key"].(string)
	if len(key) != 40 || !strings.HasPrefix(key, "sk_live_") || made["keyPrefix"] != key[:16]+"..." || made["name"] != "Speech" ||
		cmp.Diff([]any{"stt", "tts"}, made["scopes"]) != "" || made["rateLimitRequests"] != 60.0 || made["rateLimitWindow"] != 60.0 {
		t.Errorf("made %v", made)
	}
	listed := func() map[string]any {
		t.Helper()
		var all []map[string]any
		s.send("GET", keysURL, nil, ada).status(200).decode(&all)
		if len(all) == 0 {
			t.Fatal("no keys")
		}
		return all[0]
	}
	first := listed()
	delete(first, "createdAt")
	delete(first, "lastUsedAt") // which may have been noted
	want := map[string]any{
		"id": made["id"], "name": "Speech", "keyPrefix": made["keyPrefix"], "scopes": []any{"stt", "tts"},
		"rateLimitRequests": 60.0, "rateLimitWindow": 60.0, "revokedAt": nil, "expiresAt": nil, "budget": nil, "allowedAddresses": []any{}, "organizationId": nil,
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("listed %s", diff)
	}

	// What speech back ends send, who look for exactly 200.
	answer := s.send("POST", keysURL+"/validate", map[string]any{"apiKey": key, "scope": "stt"}).status(200).object()
	want = map[string]any{
		"valid": true, "userId": id, "keyId": made["id"], "scopes": []any{"stt", "tts"}, "rateLimit": map[string]any{"requests": 60.0, "window": 60.0},
	}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("validated %s", diff)
	}
	refused := func(body map[string]any, text string) {
		t.Helper()
		if diff := cmp.Diff(map[string]any{"valid": false, "error": text}, s.send("POST", keysURL+"/validate", body).status(200).object()); diff != "" {
			t.Errorf("%v: %s", body, diff)
		}
	}
	const invalid = "Invalid or revoked API key"
	refused(map[string]any{"apiKey": key, "scope": "admin"}, "API key does not have scope: admin")
	refused(map[string]any{"apiKey": "sk_live_" + strings.Repeat("0", 32)}, invalid)
	refused(map[string]any{"apiKey": "nonsense"}, invalid)
	s.send("POST", keysURL+"/validate", map[string]any{}).status(400).message("apiKey must be shorter than or equal to 255 characters", "apiKey must be a string")

	s.send("DELETE", keysURL+"/"+made["id"].(string), nil, bob).status(404).message("API key not found")
	if diff := cmp.Diff(map[string]any{"success": true}, s.send("DELETE", keysURL+"/"+made["id"].(string), nil, ada).status(200).object()); diff != "" {
		t.Error(diff)
	}
	s.send("DELETE", keysURL+"/"+made["id"].(string), nil, ada).status(404).message("API key not found")
	refused(map[string]any{"apiKey": key}, invalid)
	if listed()["revokedAt"] == nil {
		t.Errorf("listed %v", listed())
	}
}

func TestAPIKeyFields(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	s.grant(id, 100)
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	made := s.send("POST", keysURL, map[string]any{
		"name": "Batch", "scopes": []string{"chat:write"}, "rateLimitRequests": 1000, "rateLimitWindow": 3600, "expiresAt": tomorrow,
		"allowedAddresses": []string{"10.1.2.3/8", "2001:db8::1"}, "budget": map[string]any{"credits": 10.5, "period": "month"},
	}, ada).status(201).object()
	if diff := cmp.Diff(map[string]any{"credits": 10.5, "period": "month", "spent": 0.0}, made["budget"]); diff != "" ||
		cmp.Diff([]any{"10.0.0.0/8", "2001:db8::1"}, made["allowedAddresses"]) != "" {
		t.Errorf("made %v", made)
	}
	if _, err := s.Ledger.Debit(t.Context(), creditcore.Debit{UserID: id, Amount: 2500, AppID: "chat", APIKey: made["id"].(string)}); err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	s.send("GET", keysURL, nil, ada).status(200).decode(&all)
	if diff := cmp.Diff(map[string]any{"credits": 10.5, "period": "month", "spent": 2.5}, all[0]["budget"]); diff != "" {
		t.Error(diff)
	}
	validate := func(address any) any {
		body := map[string]any{"apiKey": made["key"]}
		if address != nil {
			body["address"] = address
		}
		return s.send("POST", keysURL+"/validate", body).status(200).object()["valid"]
	}
	if validate(nil) != false || validate("192.0.2.1") != false || validate("10.9.9.9") != true {
		t.Error("the addresses of the key do not count")
	}

	for name, c := range map[string]struct {
		field string
		value any
		text  string
	}{
		"a scope with a blank":  {"scopes", []string{"read write"}, "each value in scopes must be 1 to 64 letters, digits or signs of :._-/* without blanks"},
		"scopes as a text":      {"scopes", "stt", "scopes must be an array"},
		"scopes of numbers":     {"scopes", []int{1}, "each value in scopes must be a string"},
		"a rate of none":        {"rateLimitRequests", 0, "rateLimitRequests must not be less than 1"},
		"too high a rate":       {"rateLimitRequests", 1001, "rateLimitRequests must not be greater than 1000"},
		"half a second":         {"rateLimitWindow", 1.5, "rateLimitWindow must be an integer number"},
		"no budget":             {"budget", map[string]any{"credits": 0, "period": "day"}, "budget.credits must be a positive number"},
		"a negative budget":     {"budget", map[string]any{"credits": -1, "period": "day"}, "budget.credits must be a positive number"},
		"next to nothing":       {"budget", map[string]any{"credits": 0.0001, "period": "day"}, "budget.credits must be a positive number"},
		"a budget of 2^53":      {"budget", map[string]any{"credits": 1 << 53, "period": "day"}, "budget.credits must be a positive number up to 1000000000"},
		"a budget as text":      {"budget", map[string]any{"credits": "5", "period": "day"}, "budget.credits must be a positive number up to 1000000000"},
		"a budget for a week":   {"budget", map[string]any{"credits": 5, "period": "week"}, "budget.period must be one of the following values: day, month, total"},
		"a budget with spent":   {"budget", map[string]any{"credits": 5, "period": "day", "spent": 1}, "budget must have credits and period, and nothing else"},
		"yesterday":             {"expiresAt", "2020-01-01", "expiresAt must be in the future"},
		"no date":               {"expiresAt", "soon", "expiresAt must be a valid ISO 8601 date string"},
		"no address":            {"allowedAddresses", []string{"example.org"}, "each value in allowedAddresses must be an IP address or a network in CIDR notation"},
		"a name with a newline": {"name", "a\nb", "name must not contain control or formatting characters"},
		"an empty name":         {"name", "", "name should not be empty"},
	} {
		body := map[string]any{"name": "x"}
		body[c.field] = c.value
		if got := s.send("POST", keysURL, body, ada).status(400); fmt.Sprint(got.object()["message"]) != fmt.Sprint([]any{c.text}) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	s.send("POST", keysURL, map[string]any{"name": "x", "organizationId": "org"}, ada).status(403).message("Only owners and admins make API keys for an organization")
	s.change(`UPDATE auth.sessions SET authenticated_at = now() - interval '16 minutes'`)
	if got := s.send("POST", keysURL, map[string]any{"name": "x"}, ada).status(403).object(); got["code"] != "REAUTHENTICATION_REQUIRED" {
		t.Errorf("an old session: %v", got)
	}
}

// What the gate hands to apps in the place of a key is a token of the user for
// them to verify, and no way to the account.
func TestTokensOfKeysDoNotActOnTheAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	s.grant(id, 10)
	made := s.send("POST", keysURL, map[string]any{"name": "x", "scopes": []string{"chat.read", "stt"}}, ada).status(201).object()
	found, err := s.auth.AuthenticateKey(t.Context(), made["key"].(string), principal.Client{}.IP)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := s.auth.KeyBearer(found)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := s.send("POST", "/api/v1/auth/validate", map[string]any{"token": token}).status(200).object()["payload"].(map[string]any)
	if payload["sub"] != id || payload["api_key"] != made["id"] || payload["scope"] != "chat.read stt" {
		t.Errorf("validate says %v", payload)
	}
	for _, row := range [][2]string{{"GET", keysURL}, {"GET", "/api/v1/credits/balance"}, {"POST", "/api/v1/gifts"}, {"DELETE", "/api/v1/auth/account"}, {"GET", "/api/v1/auth/session"}} {
		got := s.send(row[0], row[1], map[string]any{}, bearer(token)).status(403).message("Forbidden: an API key does not act on the account")
		if got.object()["code"] != "SCOPE_REQUIRED" {
			t.Errorf("%v: %s", row, got.body)
		}
	}
	s.send("GET", "/api/v1/credits/balance", nil, bearer(made["key"].(string))).status(401).message("Invalid token")
}

// decode reads the answer.
func (a answer) decode(into any) {
	a.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		a.Fatalf("%v: %s", err, a.body)
	}
}

// A service key with a name acts within its scopes and under its own appId, in
// its header or as a bearer token.
func TestNamedServiceKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, _ := s.member("ada@example.test")
	s.grant(id, 100)
	const lacks, elsewhere = "Forbidden: the service key lacks the scope that this needs", "Forbidden: the service key acts under its own appId alone"
	inHeader := func(key string) header { return with("X-Service-Key", key) }
	own, other := charge(2, "userId", id, "appId", "chat"), charge(2, "userId", id, "appId", "images")
	for _, by := range []header{inHeader(chatKey), bearer(chatKey)} {
		made := s.send("POST", useURL, own, by).status(201).object()["transaction"].(map[string]any)["id"]
		if got := s.send("POST", useURL, other, by).status(403).message(elsewhere).object(); got["code"] != "SCOPE_REQUIRED" {
			t.Errorf("%v", got)
		}
		s.send("GET", "/api/v1/credits/balance/"+id, nil, by).status(403).message(lacks)
		s.send("POST", refundURL, charge(1, "userId", id, "appId", "chat", "transactionId", made, "description", "x"), by).status(201)
		s.send("POST", refundURL, charge(1, "userId", id, "appId", "images", "description", "x"), by).status(403).message(elsewhere)
	}
	// Another app's charge is not given back under the own appId.
	foreign := s.send("POST", useURL, other, asService).status(201).object()["transaction"].(map[string]any)["id"]
	s.send("POST", refundURL, charge(1, "userId", id, "appId", "chat", "transactionId", foreign, "description", "x"), inHeader(chatKey)).
		status(404).message("Transaction not found")
	s.send("POST", refundURL, charge(1, "userId", id, "appId", "chat", "transactionId", foreign, "description", "x"), asService).status(201)

	// What one back end has reserved no other one charges or gives back.
	const internal = "/api/v1/internal/credits"
	reserve := map[string]any{"userId": id, "amount": 3, "reason": "image"}
	reserved := s.send("POST", internal+"/reserve", reserve, inHeader(chatKey)).status(200).text("reservationId")
	s.send("POST", internal+"/reserve", reserve, inHeader(chatKey), with("X-App-Id", "images")).status(403).message(elsewhere)
	others := s.send("POST", internal+"/reserve", reserve, asService, with("X-App-Id", "images")).status(200).text("reservationId")
	for _, verb := range []string{"/commit", "/refund-reservation"} {
		s.send("POST", internal+verb, map[string]any{"reservationId": others}, inHeader(chatKey)).status(404).message("Reservation not found")
		s.send("POST", internal+verb, map[string]any{"reservationId": reserved}, inHeader(botKey)).status(403).message(lacks)
	}
	s.send("POST", internal+"/commit", map[string]any{"reservationId": reserved}, inHeader(chatKey)).status(200)
	s.send("POST", internal+"/grant", map[string]any{"userId": id, "amount": 1, "reason": "x", "referenceId": "x"}, inHeader(chatKey)).status(403).message(lacks)
	s.send("GET", internal+"/balance/"+id, nil, inHeader(chatKey)).status(403).message(lacks)

	s.send("GET", "/api/v1/credits/balance/"+id, nil, bearer(serviceKey)).status(200)
	s.send("GET", "/api/v1/credits/balance/"+id, nil, bearer("no key")).status(401)
	s.send("GET", "/api/v1/credits/balance/"+id, nil, inHeader("wrong"), bearer(serviceKey)).status(401).message("Invalid service key")
	s.send("POST", useURL, own, inHeader(botKey)).status(403).message(lacks)
}

const doubled, single = "/api/v1/api/v1/auth", "/api/v1/auth"

// The flows of bots: link, ask, act, unlink, on both spellings of the path.
func TestMatrixLinks(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{doubled, single} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			adaID, ada := s.member("ada@example.test")
			bobID, bob := s.member("bob@example.test")
			links, sessions := prefix+"/matrix-user-links", prefix+"/matrix-session/"
			byBot := with("X-Service-Key", botKey)
			const mxid, path = "@ada:matrix.mana.how", "%40ada%3Amatrix.mana.how"

			s.send("POST", links, map[string]any{"matrixUserId": mxid}).status(401).message("Authentication required")
			s.send("POST", links, map[string]any{"matrixUserId": mxid}, bearer("a.b.c")).status(401).message("Invalid token")
			s.send("POST", links, map[string]any{"matrixUserId": mxid}, byBot).status(401).message("userId required when using service key")
			s.send("POST", links, map[string]any{}, ada).status(401).message("matrixUserId is required")
			s.send("POST", links, map[string]any{"matrixUserId": "ada"}, ada).status(400)
			s.send("POST", links, map[string]any{"matrixUserId": mxid, "userId": "nobody"}, byBot).status(404).message("User not found")
			s.send("GET", sessions+path, nil, byBot).status(404).message("No link found for this Matrix user")
			for _, url := range []string{sessions + path, links + "/check/" + path} {
				for _, by := range []header{ada, with("X-Service-Key", "wrong"), func(http.Header) {}} {
					s.send("GET", url, nil, by).status(401).message("Valid service key required")
				}
				s.send("GET", url, nil, bearer(chatKey)).status(403)
			}
			linked := func() any { return s.send("GET", links+"/check/"+path, nil, byBot).status(200).object()["linked"] }
			if linked() != false {
				t.Error("linked before")
			}

			// A user claims an id that nobody has, and nobody else's.
			got := s.send("POST", links, map[string]any{"matrixUserId": mxid, "email": "ada@example.test"}, ada).status(201).object()
			if diff := cmp.Diff(map[string]any{"success": true, "message": "Matrix user " + mxid + " linked successfully"}, got); diff != "" {
				t.Error(diff)
			}
			s.send("POST", links, map[string]any{"matrixUserId": mxid}, ada).status(201)
			if got := s.send("POST", links, map[string]any{"matrixUserId": mxid}, bob).status(409).object(); got["code"] != "MATRIX_USER_TAKEN" {
				t.Errorf("%v", got)
			}
			s.send("POST", links, map[string]any{"matrixUserId": mxid, "userId": bobID}, ada).status(201) // her own account all the same
			s.send("DELETE", links+"/"+path, nil, bob).status(404).message("No link found for this Matrix user")
			if linked() != true {
				t.Error("not linked")
			}

			// A bot acts in a session that the user sees and can end, and that is
			// nobody's proof of presence.
			session := s.send("GET", sessions+path, nil, byBot).status(200).object()
			token, _ := session["token"].(string)
			claims, err := s.auth.Verify(t.Context(), token)
			if err != nil || claims.Subject != adaID || claims.SessionID == "" || session["email"] != "ada@example.test" || !claims.AuthTime.IsZero() {
				t.Errorf("%v, %+v, %v", session, claims, err)
			}
			again := s.send("GET", sessions+path, nil, byBot).status(200).text("token")
			if c, err := s.auth.Verify(t.Context(), again); err != nil || c.SessionID != claims.SessionID {
				t.Errorf("a bot that asks again: %+v, %v", c, err)
			}
			s.send("GET", "/api/v1/credits/balance", nil, bearer(token)).status(200)
			s.send("POST", keysURL, map[string]any{"name": "x"}, bearer(token)).status(403)
			var list []map[string]any
			s.send("GET", "/api/v1/auth/sessions", nil, ada).status(200).decode(&list)
			found := false
			for _, row := range list {
				found = found || row["id"] == claims.SessionID && row["deviceName"] == "bot (matrix-bot)"
			}
			if !found {
				t.Errorf("the user does not see the bot: %v", list)
			}
			s.send("DELETE", "/api/v1/auth/sessions/"+claims.SessionID, nil, ada).status(200)
			s.send("GET", "/api/v1/credits/balance", nil, bearer(token)).status(401)

			// A back end links any id; what a bot held of it for the user before ends.
			token = s.send("GET", sessions+path, nil, byBot).status(200).text("token")
			s.send("POST", links, map[string]any{"matrixUserId": mxid}, bob, byBot).status(201)
			s.send("GET", "/api/v1/credits/balance", nil, bearer(token)).status(401)
			token = s.send("GET", sessions+path, nil, byBot).status(200).text("token")
			if c, err := s.auth.Verify(t.Context(), token); err != nil || c.Subject != bobID {
				t.Errorf("linked anew: %+v, %v", c, err)
			}
			got = s.send("DELETE", links+"/"+path, nil, byBot).status(200).object()
			if diff := cmp.Diff(map[string]any{"success": true, "message": "Matrix user " + mxid + " unlinked successfully"}, got); diff != "" {
				t.Error(diff)
			}
			s.send("GET", "/api/v1/credits/balance", nil, bearer(token)).status(401)
			s.send("DELETE", links+"/"+path, nil, byBot).status(404)

			// Of a user who is barred there is no link to be used.
			s.send("POST", links, map[string]any{"matrixUserId": mxid, "userId": adaID}, byBot).status(201)
			if _, err := s.auth.SetDisabled(t.Context(), principal.Operator{Name: "test"}, adaID, true); err != nil {
				t.Fatal(err)
			}
			s.send("GET", sessions+path, nil, byBot).status(404).message("No link found for this Matrix user")
			if linked() != false {
				t.Error("the link of a barred user is told of")
			}
			events, err := dbscope.Rows[struct{ N int64 }](t.Context(), s.db.Pool, dbscope.System(),
				`SELECT count(*) AS n FROM auth.security_events WHERE event_type IN ('matrix_linked', 'matrix_unlinked', 'matrix_session') AND metadata->>'matrixUserId' = $1`, mxid)
			if err != nil || events[0].N != 8 {
				t.Errorf("events: %v, %v", events, err)
			}
		})
	}
}

// Two users who claim one id at once: one has it.
// Whoever shows a token of the id's own server gets the id from those who only
// said that it is theirs.
func TestMatrixIDIsProvenByItsServer(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/_matrix/federation/v1/openid/userinfo":
			w.WriteHeader(http.StatusNotFound)
		case away.Load():
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Query().Get("access_token") != "of-ada":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte(`{"sub":"@ada:example.com:8448"}`))
		}
	}))
	t.Cleanup(server.Close)
	client := server.Client()
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	s := newSiteOf(t, billing.Config{}, func(_ *authcore.Config, d *authcore.Deps) { d.MatrixServers.Client = client })
	adaID, ada := s.member("ada@example.test")
	_, eve := s.member("eve@example.test")
	const mxid, path = "@ada:example.com:8448", "%40ada%3Aexample.com%3A8448"
	body := func(token, server string) map[string]any {
		return map[string]any{"matrixUserId": mxid, "openIdToken": map[string]any{
			"access_token": token, "matrix_server_name": server, "token_type": "Bearer", "expires_in": 3600,
		}}
	}
	links := single + "/matrix-user-links"
	s.send("POST", links, map[string]any{"matrixUserId": mxid}, eve).status(201) // she says so
	for _, sent := range []map[string]any{body("of-eve", "example.com:8448"), body("of-ada", "eve.example")} {
		if got := s.send("POST", links, sent, eve).status(403).text("code"); got != "MATRIX_TOKEN_REFUSED" {
			t.Error(got)
		}
	}
	for _, token := range []any{"of-ada", map[string]any{}, map[string]any{"access_token": "of-ada"}, map[string]any{"access_token": 1, "matrix_server_name": "example.com:8448"}} {
		s.send("POST", links, map[string]any{"matrixUserId": mxid, "openIdToken": token}, ada).status(400)
	}
	away.Store(true)
	if got := s.send("POST", links, body("of-ada", "example.com:8448"), ada).status(502).text("code"); got != "MATRIX_SERVER_UNAVAILABLE" {
		t.Error(got)
	}
	away.Store(false)
	s.send("POST", links, body("of-ada", "example.com:8448"), ada).status(201)
	session := s.send("GET", single+"/matrix-session/"+path, nil, with("X-Service-Key", botKey)).status(200)
	if claims, err := s.auth.Verify(t.Context(), session.text("token")); err != nil || claims.Subject != adaID {
		t.Errorf("the bot acts for %+v, %v", claims, err)
	}
	s.send("POST", links, map[string]any{"matrixUserId": mxid}, eve).status(409)
}

func TestMatrixIDIsClaimedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var users []header
	for i := range 4 {
		_, token := s.member(fmt.Sprintf("user%d@example.test", i))
		users = append(users, token)
	}
	codes := make([]int, len(users))
	var claiming sync.WaitGroup
	for i, u := range users {
		claiming.Go(func() {
			codes[i] = s.send("POST", single+"/matrix-user-links", map[string]any{"matrixUserId": "@one:matrix"}, u).code
		})
	}
	claiming.Wait()
	won := 0
	for _, code := range codes {
		if code == 201 {
			won++
		} else if code != 409 {
			t.Errorf("status %d", code)
		}
	}
	if won != 1 {
		t.Errorf("%d users have the id", won)
	}
}
