package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const appHost = "app.mana.localhost"

// tokens is the answer of the API to a login or a refresh.
type tokens struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
}

// login signs a seeded user in.
func login(ctx context.Context, p *proxy, user int) (tokens, error) {
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, email(user), password)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Address+"/api/v1/auth/login", bytes.NewBufferString(body))
	if err != nil {
		return tokens{}, err
	}
	request.Host = "auth.mana.localhost"
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", address(user))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return tokens{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return tokens{}, err
	}
	if response.StatusCode != http.StatusOK {
		return tokens{}, fmt.Errorf("login: %s: %s", response.Status, text)
	}
	var t tokens
	return t, json.Unmarshal(text, &t)
}

// address is a client address of its own for each n below 2^24.
func address(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255) }

// constant is a load of one request again and again.
func (s *stand) constant(p *proxy, request []byte) Load {
	return Load{Address: p.Address, Clients: s.clients, Request: func(int, int) []byte { return request }}
}

// measureGate compares the same binary without the gate, behind it with a
// bearer token and behind it with the sign-on cookie; and caddy-security.
func measureGate(ctx context.Context, s *stand, r *report) error {
	bare, err := s.startBare(ctx, s.edgeBinary())
	if err != nil {
		return err
	}
	edge, err := s.startEdge(ctx, "mana_auth\n\t\treverse_proxy "+s.upstream)
	if err != nil {
		return err
	}
	cookies, err := s.seed(ctx, 4, 1)
	if err != nil {
		return err
	}
	signedIn, err := login(ctx, edge, 0)
	if err != nil {
		return err
	}
	bearer := "Authorization: Bearer " + signedIn.AccessToken
	contestants := []contestant{
		// The same request on either side: carrying a token upstream costs something, gate or none.
		{"without the gate", s.constant(bare, get(appHost, "/", bearer))},
		// What the upstream is told costs the proxy and the app something too, whoever says it.
		{"without the gate, its headers from the client", s.constant(bare, get(appHost, "/", bearer, "X-Mana-User-Id: bench-user-0",
			"X-Mana-Email: "+email(0), "X-Mana-Role: user", "X-Mana-Session-Id: 0123456789abcdefghijklmnopqrstuv"))},
		{"gate, bearer token", s.constant(edge, get(appHost, "/", bearer))},
		{"gate, sign-on cookie", s.constant(edge, get(appHost, "/", cookies[0]))},
	}
	if s.peers {
		binary, err := s.buildPeer(ctx, "security")
		if err != nil {
			return err
		}
		const policy = `
	security {
		authorization policy bench {
			set auth url /auth
			crypto key verify ` + peerSecret + `
			allow roles authp/user
			validate bearer header
		}
	}`
		peer, err := s.startProxy(ctx, binary, policy, "", "authorize with bench\n\t\treverse_proxy "+s.upstream)
		if err != nil {
			return err
		}
		request := get(appHost, "/", "Authorization: Bearer "+peerToken())
		contestants = append(contestants, contestant{"caddy-security, bearer token (HS512)", s.constant(peer, request)})
		if contestants, err = s.withBare(ctx, contestants, binary, "caddy-security's binary without it", request); err != nil {
			return err
		}
	}
	sides, err := s.contest(ctx, contestants...)
	if err != nil {
		return err
	}
	r.compare("The gate", sides, map[string]string{
		"gate, bearer token":   "rate ≥ 0.97, p99 ≤ 1.1",
		"gate, sign-on cookie": "rate ≥ 0.95",
	})
	return nil
}

// withBare adds a peer's binary as a proxy and nothing else: what is linked into
// it changes how often it collects garbage, and so its speed.
func (s *stand) withBare(ctx context.Context, to []contestant, binary, name string, request []byte) ([]contestant, error) {
	bare, err := s.startBare(ctx, binary)
	if err != nil {
		return nil, err
	}
	return append(to, contestant{name, s.constant(bare, request)}), nil
}

// peerSecret signs the peer's own tokens.
const peerSecret = "383aca9a-1c39-4d7a-b4d8-67ba4718dd3f"

// peerToken is a token as caddy-security issues them: HS512, with roles.
func peerToken() string {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":"bench","email":"bench@mana.how","name":"Bench","roles":["authp/user"],"iss":"https://localhost/auth","iat":%d,"exp":%d}`,
		time.Now().Add(-time.Minute).Unix(), time.Now().Add(24*time.Hour).Unix())
	signed := encode([]byte(`{"alg":"HS512","typ":"JWT"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha512.New, []byte(peerSecret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// measureLimit compares the rate limiters, neither of which refuses here.
func measureLimit(ctx context.Context, s *stand, r *report) error {
	bare, err := s.startBare(ctx, s.edgeBinary())
	if err != nil {
		return err
	}
	edge, err := s.startEdge(ctx, "mana_rate_limit 2000000/1m\n\t\treverse_proxy "+s.upstream)
	if err != nil {
		return err
	}
	request := get(appHost, "/")
	contestants := []contestant{
		{"without a limit", s.constant(bare, request)},
		{"mana_rate_limit", s.constant(edge, request)},
	}
	if s.peers {
		binary, err := s.buildPeer(ctx, "ratelimit")
		if err != nil {
			return err
		}
		const limit = "rate_limit {\n\t\t\tzone bench {\n\t\t\t\tkey {client_ip}\n\t\t\t\tevents 2000000\n\t\t\t\twindow 1m\n\t\t\t}\n\t\t}\n\t\t"
		peer, err := s.startProxy(ctx, binary, "", "", limit+"reverse_proxy "+s.upstream)
		if err != nil {
			return err
		}
		contestants = append(contestants, contestant{"caddy-ratelimit", s.constant(peer, request)})
		if contestants, err = s.withBare(ctx, contestants, binary, "caddy-ratelimit's binary without it", request); err != nil {
			return err
		}
	}
	sides, err := s.contest(ctx, contestants...)
	if err != nil {
		return err
	}
	r.compare("Rate limits", sides, nil)
	return nil
}
