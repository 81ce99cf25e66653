package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"mana.how/edge/caddymodule/api"
	"mana.how/edge/internal/dbscope"
)

const giftsURL = "/api/v1/gifts"

// gift makes a gift and returns its answer.
func (s *site) gift(token header, fields map[string]any) map[string]any {
	s.Helper()
	return s.send("POST", giftsURL, fields, token).status(201).object()
}

func redeemURL(g map[string]any) string { return giftsURL + "/" + g["code"].(string) + "/redeem" }

// list is a JSON array of objects.
func (s *site) list(path string, token header) []map[string]any {
	s.Helper()
	var v []map[string]any
	if err := json.Unmarshal([]byte(s.send("GET", path, nil, token).status(200).body), &v); err != nil {
		s.Fatal(err)
	}
	return v
}

// refusedGift fails unless the answer is 200 with success:false and the text.
func (a answer) refusedGift(text string) {
	a.Helper()
	if diff := cmp.Diff(map[string]any{"success": false, "error": text}, a.status(200).object()); diff != "" {
		a.Errorf("(-want +got)\n%s", diff)
	}
}

func TestGiftLifeOnTheWire(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	adaID, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	s.grant(adaID, 150)

	made := s.gift(ada, map[string]any{"credits": 101.9, "portions": 5, "type": "split", "message": "Hi", "riddleQuestion": "Who?", "riddleAnswer": "Me"})
	id, code := made["id"].(string), made["code"].(string)
	if end, err := time.Parse("2006-01-02T15:04:05.000Z", made["expiresAt"].(string)); err != nil || time.Until(end).Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("ends %v, %v", made["expiresAt"], err)
	}
	delete(made, "expiresAt")
	if diff := cmp.Diff(map[string]any{"id": id, "code": code, "url": base + "/g/" + code, "totalCredits": 100.0, "creditsPerPortion": 20.0,
		"totalPortions": 5.0, "type": "split"}, made); diff != "" {
		t.Errorf("made (-want +got)\n%s", diff)
	}

	info := func(headers ...header) map[string]any {
		t.Helper()
		got := s.send("GET", giftsURL+"/"+strings.ToLower(code), nil, headers...).status(200).object()
		if got["expiresAt"] == nil {
			t.Errorf("no end: %v", got)
		}
		delete(got, "expiresAt")
		return got
	}
	if diff := cmp.Diff(map[string]any{"code": code, "type": "split", "status": "active", "creditsPerPortion": 20.0, "totalPortions": 5.0,
		"claimedPortions": 0.0, "remainingPortions": 5.0, "message": "Hi", "riddleQuestion": "Who?", "hasRiddle": true,
		"isPersonalized": false}, info()); diff != "" {
		t.Errorf("info (-want +got)\n%s", diff)
	}

	s.send("POST", redeemURL(made), nil, bob).refusedGift("Please provide the answer to the riddle")
	s.send("POST", redeemURL(made), `{"answer":"you"}`, bob).refusedGift("Incorrect answer")
	s.send("POST", redeemURL(made), `{"answer":"me"}`, ada).refusedGift("You cannot redeem your own gift")
	got := s.send("POST", redeemURL(made), `{"answer":" ME ","sourceAppId":"matrix-bot"}`, bob).status(200).object()
	if diff := cmp.Diff(map[string]any{"success": true, "credits": 20.0, "newBalance": 20.0, "message": "Hi"}, got); diff != "" {
		t.Errorf("redeemed (-want +got)\n%s", diff)
	}

	s.send("DELETE", giftsURL+"/"+id, nil, bob).status(404).message("Gift code not found")
	s.send("DELETE", giftsURL+"/"+code, nil, ada).status(404).message("Gift code not found")
	if got := s.send("DELETE", giftsURL+"/"+id, nil, ada).status(200); got.body != `{"refundedCredits":80}` {
		t.Errorf("cancelled: %s", got.body)
	}
	s.send("DELETE", giftsURL+"/"+id, nil, ada).status(400).message("Gift code cannot be cancelled in current status")
	s.send("POST", redeemURL(made), nil, bob).refusedGift("This gift code has been cancelled")
	if got := s.send("GET", "/api/v1/credits/balance", nil, ada).status(200).object(); got["balance"] != 130.0 || got["totalEarned"] != 150.0 || got["totalSpent"] != 20.0 {
		t.Errorf("balance %v", got)
	}

	created := s.list(giftsURL+"/me/created", ada)
	if len(created) != 1 || created[0]["createdAt"] == nil || created[0]["expiresAt"] == nil {
		t.Fatalf("created %v", created)
	}
	delete(created[0], "createdAt")
	delete(created[0], "expiresAt")
	if diff := cmp.Diff(map[string]any{"id": id, "code": code, "url": base + "/g/" + code, "type": "split", "status": "cancelled",
		"totalCredits": 100.0, "creditsPerPortion": 20.0, "totalPortions": 5.0, "claimedPortions": 1.0, "message": "Hi"}, created[0]); diff != "" {
		t.Errorf("created (-want +got)\n%s", diff)
	}
	received := s.list(giftsURL+"/me/received", bob)
	if len(received) != 1 || received[0]["id"] == nil || received[0]["redeemedAt"] == nil {
		t.Fatalf("received %v", received)
	}
	delete(received[0], "id")
	delete(received[0], "redeemedAt")
	if diff := cmp.Diff(map[string]any{"code": code, "credits": 20.0, "message": "Hi"}, received[0]); diff != "" {
		t.Errorf("received (-want +got)\n%s", diff)
	}
	if got := s.send("GET", giftsURL+"/me/received", nil, ada).status(200); got.body != "[]" {
		t.Errorf("ada received %s", got.body)
	}
}

// A reservation comes back by the gift alone: a back end that refunds it as if
// it were a charge would leave the creator their credits and the code its own.
func TestGiftReservationIsNoChargeToRefund(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	adaID, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	s.grant(adaID, 10)
	made := s.gift(ada, map[string]any{"credits": 10})
	reserved := s.list("/api/v1/credits/transactions?limit=1", ada)[0]["id"]
	s.send("POST", refundURL, charge(10, "userId", adaID, "transactionId", reserved), asService).
		status(404).message("Transaction not found")
	s.send("POST", redeemURL(made), nil, bob).status(200)
	if got := s.send("GET", "/api/v1/credits/balance", nil, ada).status(200).object(); got["balance"] != 0.0 {
		t.Errorf("balance %v", got)
	}
}

func TestGiftValidation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	s.grant(id, 10)
	long := func(n int) string { return strings.Repeat("ä", n) }
	for _, tt := range []struct {
		content string
		want    []string
	}{
		{`{}`, []string{"Maximum 10000 credits allowed", "Minimum 1 credit required", "credits must be a number conforming to the specified constraints"}},
		{`{"credits":0.99}`, []string{"Minimum 1 credit required"}},
		{`{"credits":10001}`, []string{"Maximum 10000 credits allowed"}},
		{`{"credits":1e400}`, []string{"Maximum 10000 credits allowed", "credits must be a number conforming to the specified constraints"}},
		{`{"credits":5,"portions":0}`, []string{"portions must not be less than 1"}},
		{`{"credits":500,"portions":101}`, []string{"portions must not be greater than 100"}},
		{`{"credits":5,"portions":1.5}`, []string{"portions must be an integer number"}},
		{`{"credits":5,"type":"lottery"}`, []string{"type must be one of the following values: simple, personalized, split, first_come, riddle"}},
		{`{"credits":5,"targetEmail":"nobody"}`, []string{"targetEmail must be an email"}},
		{`{"credits":5,"riddleQuestion":"` + long(201) + `"}`, []string{"riddleQuestion must be shorter than or equal to 200 characters"}},
		{`{"credits":5,"riddleAnswer":"` + long(101) + `"}`, []string{"riddleAnswer must be shorter than or equal to 100 characters"}},
		{`{"credits":5,"message":"` + long(501) + `"}`, []string{"message must be shorter than or equal to 500 characters"}},
		{`{"credits":5,"expiresAt":"soon"}`, []string{"expiresAt must be a valid ISO 8601 date string"}},
		{`{"credits":5,"expiresAt":"2020-01-01"}`, []string{"Expiration date must be in the future"}},
		{`{"credits":5,"portions":6}`, []string{"Each portion must have at least 1 credit"}},
		{`{"credits":5,"type":"riddle"}`, []string{"Riddle type requires both question and answer"}},
		{`{"credits":5,"riddleAnswer":"x"}`, []string{"Riddle type requires both question and answer"}},
		{`{"credits":5,"creatorId":"x"}`, []string{"property creatorId should not exist"}},
		{`{"credits":5,"idempotencyKey":""}`, []string{"idempotencyKey should not be empty"}},
	} {
		s.send("POST", giftsURL, tt.content, ada).status(400).message(tt.want...)
	}
	short := s.send("POST", giftsURL, `{"credits":12}`, ada).status(402).message("Insufficient credits. Required: 12, Available: 10").object()
	if diff := cmp.Diff(map[string]any{"requiredCredits": 12.0, "availableCredits": 10.0, "creditType": "user"}, short["details"]); diff != "" || short["code"] != "INSUFFICIENT_CREDITS" {
		t.Errorf("%v %s", short, diff)
	}
	s.send("POST", giftsURL+"/ABCDEF/redeem", `{"answer":"`+long(101)+`"}`, ada).status(400).message("answer must be shorter than or equal to 100 characters")
	s.send("POST", giftsURL+"/ABCDEF/redeem", `{"x":1}`, ada).status(400).message("property x should not exist")
	s.send("POST", giftsURL+"/ABCDEF/redeem", nil, ada).refusedGift("Gift code not found")
	for _, code := range []string{"ABCDEF", "nope", "%F0%9F%8E%81", strings.Repeat("A", 5000)} {
		s.send("GET", giftsURL+"/"+code, nil).status(404).message("Gift code not found")
		s.send("DELETE", giftsURL+"/"+code, nil, ada).status(404).message("Gift code not found")
	}
	s.send("GET", giftsURL+"/%00ABCDE", nil).status(400)
	for _, end := range []string{"2099-12-24", "2099-12-24T18:00:00+01:00", "2099-12-24T18:00", "Thu Dec 24 2099 18:00:00 GMT+0100 (Central European Standard Time)", "Dec 24, 2099", "2099"} {
		made := s.gift(ada, map[string]any{"credits": 1, "expiresAt": end})
		if !strings.HasPrefix(made["expiresAt"].(string), "2099-") {
			t.Errorf("%q: %v", end, made)
		}
	}
}

func TestGiftIdempotencyOnTheWire(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	s.grant(id, 10)
	key := with("Idempotency-Key", "k1")
	first := s.send("POST", giftsURL, `{"credits":4,"type":"split","portions":4}`, ada, key).status(201)
	again := s.send("POST", giftsURL, `{"credits":4,"type":"split","portions":4,"idempotencyKey":"k1"}`, ada).status(201)
	if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%s, again %s", first.body, again.body)
	}
	s.send("POST", giftsURL, `{"credits":5}`, ada, key).status(422)
	made := first.object()
	one := s.send("POST", redeemURL(made), nil, bob, key).status(200)
	two := s.send("POST", redeemURL(made), nil, bob, key).status(200)
	if one.body != two.body || two.header.Get("Idempotency-Replayed") != "true" || one.object()["newBalance"] != 1.0 {
		t.Errorf("%s, again %s", one.body, two.body)
	}
	s.send("POST", redeemURL(made), `{"sourceAppId":"other"}`, bob, key).status(422)
	s.send("POST", redeemURL(made), nil, bob, with("Idempotency-Key", "")).status(400)
	if got := s.send("POST", redeemURL(made), nil, bob).status(200).object(); got["newBalance"] != 2.0 {
		t.Errorf("without a key: %v", got)
	}
}

// X-Matrix-User-Id is a claim that anybody can make.
func TestMatrixTargets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	bobID, bob := s.member("bob@example.test")
	s.grant(id, 10)
	made := s.gift(ada, map[string]any{"credits": 1, "targetMatrixId": "@bob:matrix"})
	claim := with("X-Matrix-User-Id", "@bob:matrix")
	s.send("POST", redeemURL(made), nil, bob, claim).refusedGift("This gift code is for a specific person")
	s.send("POST", redeemURL(made), nil, bob, claim, with("X-Service-Key", "guess")).status(401).message("Invalid service key")
	s.send("POST", redeemURL(made), nil, bob, with("X-Matrix-User-Id", "@eve:matrix"), asService).refusedGift("This gift code is for a specific person")
	unlinked := map[string]any{"success": false, "error": "No account is linked to this Matrix user", "code": "MATRIX_NOT_LINKED"}
	if diff := cmp.Diff(unlinked, s.send("POST", redeemURL(made), nil, claim, asService).status(200).object()); diff != "" {
		t.Error(diff)
	}
	s.send("POST", redeemURL(made), nil, asService).status(401).message("No token provided")
	if got := s.send("POST", redeemURL(made), nil, bob, claim, asService).status(200).object(); got["success"] != true {
		t.Errorf("with the service key: %v", got)
	}
	linked := s.gift(ada, map[string]any{"credits": 1, "targetMatrixId": "@bob:matrix"})
	if _, err := dbscope.Exec(t.Context(), s.db.Pool, dbscope.System(),
		`INSERT INTO auth.matrix_user_links (id, matrix_user_id, user_id) VALUES ('l', '@bob:matrix', $1)`, bobID); err != nil {
		t.Fatal(err)
	}
	// Of an id with an account only that account has what is meant for the id.
	_, eve := s.member("eve@example.test")
	s.send("POST", redeemURL(linked), nil, eve, claim, asService).refusedGift("This gift code is for a specific person")
	if got := s.send("POST", redeemURL(linked), nil, bob).status(200).object(); got["success"] != true {
		t.Errorf("with a link: %v", got)
	}
	byBot := s.gift(ada, map[string]any{"credits": 2, "targetMatrixId": "@bob:matrix"})
	body := map[string]any{"sourceAppId": "matrix-bot"}
	s.send("POST", redeemURL(byBot), body, claim, bearer(chatKey)).status(403)
	s.send("POST", redeemURL(byBot), map[string]any{"sourceAppId": "chat"}, claim, bearer(botKey)).status(403)
	if got := s.send("POST", redeemURL(byBot), body, claim, bearer(botKey)).status(200).object(); got["success"] != true || got["newBalance"] != 4.0 {
		t.Errorf("by a bot for the linked account: %v", got)
	}
}

func TestGiftForOnePersonIsPrivate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	_, eve := s.member("eve@example.test")
	s.grant(id, 10)
	made := s.gift(ada, map[string]any{"credits": 1, "type": "personalized", "targetEmail": "Bob@Example.test", "message": "Only you"})
	if got := s.send("GET", giftsURL+"/"+made["code"].(string), nil, bob).status(200).object(); got["message"] != nil {
		t.Errorf("an unproven address: %v", got)
	}
	s.exec(`UPDATE auth.users SET email_verified = true WHERE email = 'bob@example.test'`)
	for name, tt := range map[string]struct {
		headers []header
		sees    bool
	}{
		"nobody": {nil, false}, "eve": {[]header{eve}, false}, "bob": {[]header{bob}, true}, "ada": {[]header{ada}, true},
		"no token": {[]header{bearer("x")}, false},
	} {
		got := s.send("GET", giftsURL+"/"+made["code"].(string), nil, tt.headers...).status(200).object()
		if (got["message"] != nil) != tt.sees || got["isPersonalized"] != true {
			t.Errorf("%s: %v", name, got)
		}
	}
	page := "/g/" + made["code"].(string)
	if got := s.send("GET", page, nil).status(200); strings.Contains(got.body, "Only you") {
		t.Error("the page shows the message to anybody")
	}
	if got := s.send("GET", page, nil, s.cookie("bob@example.test")).status(200); !strings.Contains(got.body, "Only you") {
		t.Error("the page does not show the message to bob")
	}
}

func TestGiftPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	s.grant(id, 10)
	made := s.gift(ada, map[string]any{"credits": 4, "portions": 2, "message": "<script>alert(1)</script>", "riddleQuestion": "Who & why?", "riddleAnswer": "x"})
	path := "/g/" + strings.ToLower(made["code"].(string))
	german := s.send("GET", path, nil, with("Accept-Language", "de")).status(200)
	for _, want := range []string{"Ein Geschenk", made["code"].(string), "2 Credits", "&lt;script&gt;", "Who &amp; why?", "2 von 2", `href="/login?returnUrl=/g/` + made["code"].(string) + `"`} {
		if !strings.Contains(german.body, want) {
			t.Errorf("the page has no %q: %s", want, german.body)
		}
	}
	if csp := german.header.Get("Content-Security-Policy"); strings.Contains(german.body, "<script") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	for range 2 {
		s.send("POST", redeemURL(made), `{"answer":"x"}`, bob).status(200)
	}
	s.send("DELETE", giftsURL+"/"+made["id"].(string), nil, ada).status(200)
	if got := s.send("GET", path, nil).status(200); !strings.Contains(got.body, "has been cancelled") || strings.Contains(got.body, "Who &amp; why?") {
		t.Errorf("cancelled: %s", got.body)
	}
	for _, code := range []string{"ABCDEF", "nope", "%3Cscript%3E"} {
		if got := s.send("GET", "/g/"+code, nil).status(404); !strings.Contains(got.body, "no such gift code") || strings.Contains(got.body, "<script") {
			t.Errorf("unknown code: %s", got.body)
		}
	}
}

// Who asks for one unknown code after the other is stopped; who has one is not.
func TestGuessingCodes(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(memory.NewStore()))
	from := func(ip string) header { return with("Test-Client", ip) }
	id, ada := s.member("ada@example.test")
	_, bob := s.member("bob@example.test")
	_, eve := s.member("eve@example.test")
	s.grant(id, 100)
	made := s.gift(ada, map[string]any{"credits": 100, "portions": 100})
	known := giftsURL + "/" + made["code"].(string)
	for range 100 {
		s.send("GET", known, nil, from("192.0.2.1")).status(200)
	}
	guess := func(i int) string { return fmt.Sprintf("%s/AAAA%c%c", giftsURL, 'A'+i/8, 'A'+i%8) }
	for i := range 60 {
		path := guess(i)
		if i%2 == 0 {
			path = strings.Replace(path, giftsURL, "/g", 1)
		}
		s.send("GET", path, nil, from("192.0.2.1")).status(404)
	}
	got := s.send("GET", known, nil, from("192.0.2.1")).status(429)
	if !strings.Contains(got.text("message"), "rate limit") || got.header.Get("Retry-After") == "" {
		t.Errorf("refusal %s %v", got.body, got.header)
	}
	s.send("GET", "/g/"+made["code"].(string), nil, from("192.0.2.1")).status(429)
	s.send("GET", known, nil, from("192.0.2.2")).status(200)
	s.send("GET", known, nil, from("192.0.2.1"), asService).status(200)
	s.send("POST", known+"/redeem", nil, bob, from("192.0.2.1")).status(429)
	s.send("POST", known+"/redeem", nil, bob, from("192.0.2.1"), asService).status(200)

	// One user from many addresses.
	for i := range 20 {
		s.send("POST", guess(i)+"/redeem", nil, eve, from(fmt.Sprintf("198.51.100.%d", i))).refusedGift("Gift code not found")
	}
	s.send("POST", known+"/redeem", nil, eve, from("198.51.100.99")).status(429)
	s.send("POST", known+"/redeem", nil, eve, from("198.51.100.99"), asService).status(429)
}

// As many at once get no further than one after the other.
func TestGuessingCodesAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(memory.NewStore()))
	const most = 60
	var unknown atomic.Int32
	var begin, end sync.WaitGroup
	begin.Add(1)
	for i := range 4 * most {
		end.Go(func() {
			begin.Wait()
			path := fmt.Sprintf("%s/AAA%c%c%c", giftsURL, 'A'+i/64, 'A'+i/8%8, 'A'+i%8)
			if s.send("GET", path, nil, with("Test-Client", "192.0.2.1")).code == 404 {
				unknown.Add(1)
			}
		})
	}
	begin.Done()
	end.Wait()
	if n := unknown.Load(); n == 0 || n > most {
		t.Errorf("%d codes were looked up, want %d at most", n, most)
	}
}

func TestGiftsBehindOneAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, withLimits(memory.NewStore()), func(_ *api.Config, d *api.Deps) {
		d.ClientIP = func(r *http.Request) netip.Addr {
			if strings.Contains(r.URL.Path, "/auth/") { // members sign up at leisure
				ip, _ := netip.ParseAddr(r.Header.Get("Test-Client"))
				return ip
			}
			return netip.MustParseAddr("192.0.2.1")
		}
	})
	id, ada := s.member("ada@example.test")
	s.grant(id, 1000)
	var done sync.WaitGroup
	for range 60 {
		done.Go(func() {
			if got := s.send("POST", giftsURL, `{"credits":2}`, ada); got.code != 201 {
				t.Errorf("%d: %s", got.code, got.body)
			}
		})
	}
	done.Wait()
	if got := s.send("GET", "/api/v1/credits/balance", nil, ada).status(200).object(); got["balance"] != 880.0 {
		t.Errorf("balance %v", got)
	}
}
