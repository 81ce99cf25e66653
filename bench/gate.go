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

// constant is a load of one request again and again, with the CPU time that the
// proxy needs for each.
func (s *stand) constant(p *proxy, request []byte) runner {
	return metered{Load{Address: p.Address, Clients: s.clients, Request: func(int, int) []byte { return request }}, p}
}

// metered is a load whose samples tell what the proxy's process spends.
type metered struct {
	Load
	proxy *proxy
}

// Run implements runner.
func (m metered) Run(ctx context.Context, d time.Duration) (Sample, error) {
	before, err := m.proxy.cpu()
	if err != nil {
		return Sample{}, err
	}
	sample, err := m.Load.Run(ctx, d)
	if err != nil {
		return Sample{}, err
	}
	after, err := m.proxy.cpu()
	sample.CPU = after - before
	return sample, err
}

// plainHost is a site of every process that is measured, without what is measured
// there: both sides share the heap and its collector.
const plainHost = "plain.mana.localhost"

func (s *stand) plainSite() string {
	return "http://" + plainHost + ":PORT {\n\tbind 127.0.0.1\n\treverse_proxy " + s.upstream + "\n}\n"
}

// assertedHost is a site of the edge whose gate signs an assertion of each request.
const assertedHost = "asserted.mana.localhost"

func (s *stand) assertedSite() string {
	return "http://" + assertedHost + ":PORT {\n\tbind 127.0.0.1\n\tmana_auth {\n\t\tassertion app\n\t}\n\treverse_proxy " + s.upstream + "\n}\n"
}

// measureGate compares a site without the gate, one behind it with a bearer token
// (with an assertion for the app, too) and with the sign-on cookie, in one process; caddy-security in its own; and Caddy's
// forward_auth to oauth2-proxy, in two.
func measureGate(ctx context.Context, s *stand, r *report) error {
	edge, err := s.startEdge(ctx, "mana_auth\n\t\treverse_proxy "+s.upstream, s.assertedSite())
	if err != nil {
		return err
	}
	cookies, err := s.seed(ctx, keyOwners, 1)
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
		{"without the gate", s.constant(edge, get(plainHost, "/", bearer))},
		// What the upstream is told costs the proxy and the app something too, whoever says it.
		{"without the gate, its headers from the client", s.constant(edge, get(plainHost, "/", bearer, "X-Mana-User-Id: bench-user-0",
			"X-Mana-Email: "+email(0), "X-Mana-Email-Verified: true", "X-Mana-Role: user", "X-Mana-Session-Id: 0123456789abcdefghijklmnopqrstuv",
			"X-Mana-Auth-Time: 1795911166", "X-Mana-Amr: pwd"))},
		{gateWithToken, s.constant(edge, get(appHost, "/", bearer))},
		{gateWithAssertion, s.constant(edge, get(assertedHost, "/", bearer))},
		{"gate, sign-on cookie", s.constant(edge, get(appHost, "/", cookies[0]))},
	}
	keyed, err := s.withKeys(ctx, edge)
	if err != nil {
		return err
	}
	contestants = append(contestants, contestant{"gate, API key", keyed})
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
		peer, err := s.startProxy(ctx, binary, policy, s.plainSite(), "authorize with bench\n\t\treverse_proxy "+s.upstream)
		if err != nil {
			return err
		}
		token := "Authorization: Bearer " + peerToken()
		contestants = append(contestants,
			contestant{"caddy-security, bearer token (HS512)", s.constant(peer, get(appHost, "/", token))},
			contestant{"its process without it", s.constant(peer, get(plainHost, "/", token))})
		forward, cookie, err := s.forwardAuth(ctx)
		if err != nil {
			return err
		}
		contestants = append(contestants,
			contestant{"forward_auth to oauth2-proxy, cookie", s.constant(forward, get(appHost, "/", cookie))},
			contestant{"its Caddy without it", s.constant(forward, get(plainHost, "/", cookie))})
	}
	sides, err := s.contest(ctx, contestants...)
	if err != nil {
		return err
	}
	r.compare("The gate", sides, map[string]string{
		gateWithToken:          "rate ≥ 0.97, p99 ≤ 1.1",
		"gate, sign-on cookie": "rate ≥ 0.95",
		"gate, API key":        "rate ≥ 0.95",
	})
	r.line("")
	r.fact("an assertion of each request, in CPU of the edge beside the gate with a token", more(sides, gateWithAssertion, gateWithToken).Round(100*time.Nanosecond).String(), "≤ 30µs")
	return nil
}

const (
	gateWithToken     = "gate, bearer token"
	gateWithAssertion = "gate, bearer token, assertion"
)

// keyOwners each have a key for some of the connections.
const keyOwners = 8

// withKeys is a load whose connections each have an API key of their own, as a key is
// good for 1000 requests a second at most.
func (s *stand) withKeys(ctx context.Context, p *proxy) (runner, error) {
	requests := make([][]byte, s.clients)
	owners := make([]tokens, keyOwners)
	for i := range owners {
		var err error
		if owners[i], err = login(ctx, p, i); err != nil {
			return nil, err
		}
	}
	for i := range requests {
		body := fmt.Sprintf(`{"name":"bench %d","rateLimitRequests":1000,"rateLimitWindow":1}`, i)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Address+"/api/v1/api-keys", bytes.NewBufferString(body))
		if err != nil {
			return nil, err
		}
		request.Host = "auth.mana.localhost"
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+owners[i%keyOwners].AccessToken)
		request.Header.Set("X-Forwarded-For", address(1000+i))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		var made struct{ Key string }
		err = json.NewDecoder(response.Body).Decode(&made)
		_ = response.Body.Close()
		if err != nil || made.Key == "" {
			return nil, fmt.Errorf("make an API key: %s: %w", response.Status, err)
		}
		requests[i] = get(appHost, "/", "Authorization: Bearer "+made.Key)
	}
	return metered{Load{Address: p.Address, Clients: s.clients, Request: func(client, _ int) []byte { return requests[client] }}, p}, nil
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
	edge, err := s.startEdge(ctx, "mana_rate_limit 2000000/1m\n\t\treverse_proxy "+s.upstream)
	if err != nil {
		return err
	}
	request, plain := get(appHost, "/"), get(plainHost, "/")
	contestants := []contestant{
		{"without a limit", s.constant(edge, plain)},
		{"mana_rate_limit", s.constant(edge, request)},
	}
	if s.peers {
		binary, err := s.buildPeer(ctx, "ratelimit")
		if err != nil {
			return err
		}
		const limit = "rate_limit {\n\t\t\tzone bench {\n\t\t\t\tkey {client_ip}\n\t\t\t\tevents 2000000\n\t\t\t\twindow 1m\n\t\t\t}\n\t\t}\n\t\t"
		peer, err := s.startProxy(ctx, binary, "", s.plainSite(), limit+"reverse_proxy "+s.upstream)
		if err != nil {
			return err
		}
		contestants = append(contestants,
			contestant{"caddy-ratelimit", s.constant(peer, request)}, contestant{"its process without it", s.constant(peer, plain)})
	}
	sides, err := s.contest(ctx, contestants...)
	if err != nil {
		return err
	}
	r.compare("Rate limits", sides, nil)
	return nil
}
