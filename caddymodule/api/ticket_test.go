package api_test

import (
	"strings"
	"testing"
)

func TestTicket(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, ada := s.member("ada@example.test")
	for _, target := range []string{"wss://chat.example.test/socket", "https://chat.example.test", "WSS://chat.example.test/a?b=c"} {
		made := s.send("POST", "/api/v1/auth/ticket", map[string]any{"url": target}, ada).status(201)
		got := made.object()
		if made.header.Get("Cache-Control") != "no-store" || got["expiresIn"] != 30.0 || !strings.HasPrefix(got["ticket"].(string), "mt_") {
			t.Errorf("%s: %v, %v", target, got, made.header)
		}
		_, claims, err := s.auth.RedeemTicket(t.Context(), got["ticket"].(string), "https://chat.example.test")
		if err != nil || claims.Email != "ada@example.test" {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{"wss://evil.test/socket", "ftp://chat.example.test", "chat"} {
		s.send("POST", "/api/v1/auth/ticket", map[string]any{"url": target}, ada).status(400)
	}
	s.send("POST", "/api/v1/auth/ticket", map[string]any{"url": "https://chat.example.test"}).status(401)
}

func TestPeopleForBackEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada, _ := s.member("ada@example.test")
	bob, _ := s.member("bob@example.test")
	got := s.send("GET", "/api/v1/internal/users/"+ada, nil, asService).status(200).object()
	if got["email"] != "ada@example.test" || got["role"] != "user" || got["id"] != ada {
		t.Errorf("got %v", got)
	}
	s.send("GET", "/api/v1/internal/users/nobody", nil, asService).status(404)
	list := s.send("POST", "/api/v1/internal/users/lookup", map[string]any{"ids": []string{bob, "nobody", ada}}, asService).status(200).object()["users"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["email"] != "bob@example.test" || list[1].(map[string]any)["email"] != "ada@example.test" {
		t.Errorf("got %v", list)
	}
	s.send("POST", "/api/v1/internal/users/lookup", map[string]any{"ids": []string{}}, asService).status(400)
	s.send("POST", "/api/v1/internal/users/lookup", map[string]any{"ids": make([]string, 101)}, asService).status(400)
	s.send("GET", "/api/v1/internal/users/"+ada, nil).status(401)
	s.send("GET", "/api/v1/internal/users/"+ada, nil, with("X-Service-Key", chatKey)).status(403)
}
