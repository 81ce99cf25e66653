package api_test

import (
	"fmt"
	"strings"
	"testing"

	"mana.how/edge/internal/dbscope"
)

func (s *site) exec(sql string, args ...any) {
	s.Helper()
	if _, err := dbscope.Exec(s.Context(), s.db.Pool, dbscope.System(), sql, args...); err != nil {
		s.Fatal(err)
	}
}

// What the API registers, the browser's form signs in, and the other way round.
func TestSpellingsOfAnAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	made := s.send("POST", "/api/v1/auth/register", map[string]any{"email": " Ada@müller.example\n", "password": testPassword}).status(201).object()
	if got := made["user"].(map[string]any)["email"]; got != "ada@xn--mller-kva.example" {
		t.Errorf("registered as %v", got)
	}
	for _, spelling := range []string{"ada@xn--mller-kva.example", "ADA@mu\u0308ller.example ", "ada@MÜLLER.example"} {
		s.send("POST", "/api/v1/auth/login", map[string]any{"email": spelling, "password": testPassword}).status(200)
		s.send("POST", "/api/v1/auth/register", map[string]any{"email": spelling, "password": testPassword}, with("Test-Client", "192.0.2.77")).status(409)
	}
	s.send("POST", "/api/auth/sign-in/email", map[string]any{"email": "ada@müller.example ", "password": testPassword}).status(200)
}

func TestLookalikesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	s.grant(id, 10)
	for address, want := range map[string]string{
		"ad\u0430@example.test":   "must not mix scripts before the @",
		"ａｄａ@example.test":        "must not hold compatibility characters, such as full-width letters, before the @",
		"a\u200bda@example.test":  "must not hold invisible characters",
		"a da@example.test":       "must be an email",
		"ada@example.test, b@c.d": "must be an email",
	} {
		s.send("POST", "/api/v1/auth/register", map[string]any{"email": address, "password": testPassword}, with("Test-Client", fmt.Sprintf("192.0.2.%d", 100+len(address)))).
			status(400).message("email " + want)
		s.send("POST", giftsURL, map[string]any{"credits": 1, "targetEmail": address}, ada).status(400).message("targetEmail " + want)
	}
}

func TestTextsOfPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	s.grant(id, 10)
	for text, want := range map[string]string{
		"Ada\x1b[2J":                       "must not contain control or formatting characters",
		"Ada\nroot":                        "must not contain control or formatting characters",
		"\u202eadA":                        "must not contain control or formatting characters",
		"A\u2800\u2066":                    "must not contain control or formatting characters",
		"\u2800\u2800":                     "must contain a visible character",
		"A" + strings.Repeat("\u0301", 90): "must not stack marks on a character",
	} {
		s.send("POST", "/api/v1/auth/profile", map[string]any{"name": text}, ada).status(400).message("name " + want)
		if strings.Contains(text, "\n") {
			continue // a message may have lines
		}
		s.send("POST", giftsURL, map[string]any{"credits": 1, "message": text}, ada).status(400).message("message " + want)
		s.send("POST", giftsURL, map[string]any{"credits": 1, "riddleQuestion": text, "riddleAnswer": "x"}, ada).status(400).message("riddleQuestion " + want)
	}
	s.send("POST", "/api/v1/auth/register", map[string]any{"email": "b@example.test", "password": testPassword, "name": "\u200b"}).
		status(400).message("name must not contain control or formatting characters")

	// What programs send along is made fit to be shown, never refused.
	access := s.send("POST", "/api/v1/auth/login", map[string]any{"email": "ada@example.test", "password": testPassword, "deviceId": "d", "deviceName": "My\x1b[2J\u202e phone\n"}).status(200).text("accessToken")
	list := s.send("GET", "/api/v1/auth/sessions", nil, bearer(access)).status(200).body
	if !strings.Contains(list, `"My[2J phone"`) {
		t.Errorf("sessions: %s", list)
	}
	s.send("POST", "/api/v1/credits/use", map[string]any{"amount": 1, "appId": "chat", "description": "Chat: a\nb\x1b[2J"}, ada).status(201)
	if history := s.send("GET", "/api/v1/credits/transactions", nil, ada).status(200).body; !strings.Contains(history, `"Chat: a b[2J"`) {
		t.Errorf("history: %s", history)
	}
}

func TestGiftForAnUnverifiedAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id, ada := s.member("ada@example.test")
	_, ceo := s.member("ceo@example.test")
	s.grant(id, 10)
	made := s.gift(ada, map[string]any{"credits": 1, "targetEmail": "CEO@example.test"})
	got := s.send("POST", redeemURL(made), nil, ceo).status(200).object()
	if got["success"] != false || got["code"] != "EMAIL_NOT_VERIFIED" || got["error"] == "" {
		t.Errorf("an unproven address: %v", got)
	}
	s.exec(`UPDATE auth.users SET email_verified = true WHERE email = 'ceo@example.test'`)
	if got := s.send("POST", redeemURL(made), nil, ceo).status(200).object(); got["success"] != true {
		t.Errorf("a proven one: %v", got)
	}
}
