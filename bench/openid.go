package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"mana.how/edge/internal/freeport"
)

// issuer is an OpenID provider that is measured: where its endpoints are, the client
// that gets refresh tokens, and the one that gets tokens by its own secret.
type issuer struct {
	name                      string
	proxy                     *proxy
	host                      string
	authorize, token, inspect string // paths
	web, webSecret            string
	machine, machineSecret    string
	scope                     string
	signIn                    func(ctx context.Context, client *http.Client, login *url.URL) (onward *http.Response, err error)
	next                      atomic.Int64 // a client address of its own for each request
	cookie                    string       // of a user who is signed in, where signIn is nil
}

const (
	clientCallback = "http://127.0.0.1:1/callback" // nothing listens: the code is read from the redirect
	machineSecret  = "a secret of the bench that is long enough"
)

// measureOpenID compares the token endpoint for a client's own secret, introspection
// and refresh with the example provider of the library that serves the protocol here,
// which keeps all of it in memory and nothing hashed.
func measureOpenID(ctx context.Context, s *stand, r *report) error {
	ours, err := s.ownIssuer(ctx)
	if err != nil {
		return err
	}
	issuers := []*issuer{ours}
	if s.peers {
		example, err := s.exampleIssuer(ctx)
		if err != nil {
			return err
		}
		issuers = append(issuers, example)
	}
	for _, kind := range []struct {
		title string
		load  func(context.Context, *stand, *issuer) (runner, error)
	}{
		{"POST token, client_credentials", machineTokens}, {"POST introspect", introspections}, {"POST token, refresh_token", refreshes},
	} {
		var sides []contestant
		for _, i := range issuers {
			load, err := kind.load(ctx, s, i)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", kind.title, i.name, err)
			}
			sides = append(sides, contestant{i.name, load})
		}
		measured, err := s.contest(ctx, sides...)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.title, err)
		}
		r.compare("OpenID: "+kind.title, measured, nil)
	}
	return nil
}

// ownIssuer is the edge, with a user who is signed in.
func (s *stand) ownIssuer(ctx context.Context) (*issuer, error) {
	app := fmt.Sprintf(`
	mana {
		database embedded %s
		base_url %s
		cookie_domain .mana.localhost
		trusted_origins https://*.mana.localhost
		oidc_client web {
			secret %[3]q
			trusted
			redirect_uri %[4]s
			scopes openid offline_access
			grant_types authorization_code refresh_token
			access_token opaque
		}
		oidc_client machine {
			secret %[3]q
			grant_types client_credentials
			access_token opaque
		}
	}`, s.databaseDir(), baseURL, machineSecret, clientCallback)
	edge, err := s.startProxy(ctx, s.edgeBinary(), app, "http://auth.mana.localhost:PORT {\n\tbind 127.0.0.1\n\tmana_api\n}\n"+s.plainSite(), "reverse_proxy "+s.upstream)
	if err != nil {
		return nil, err
	}
	s.edge = edge
	if _, err := s.seed(ctx, 1, 0); err != nil {
		return nil, err
	}
	cookie, err := browserCookie(ctx, edge)
	return &issuer{
		name: "Mana Edge", proxy: edge, host: "auth.mana.localhost", authorize: "/api/auth/oauth2/authorize", token: "/api/auth/oauth2/token", inspect: "/api/auth/oauth2/introspect",
		web: "web", webSecret: machineSecret, machine: "machine", machineSecret: machineSecret, scope: "openid offline_access", cookie: cookie,
	}, err
}

// browserCookie signs the first user in as a browser does.
func browserCookie(ctx context.Context, p *proxy) (string, error) {
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, email(0), password)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Address+"/api/auth/sign-in/email", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Host = "auth.mana.localhost"
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Origin", baseURL)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	for _, c := range answer.Cookies() {
		if strings.HasSuffix(c.Name, "mana.session_token") {
			return c.Name + "=" + c.Value, nil
		}
	}
	return "", errors.New("sign in: " + answer.Status + " without a cookie")
}

// exampleIssuer is the example provider of zitadel/oidc.
func (s *stand) exampleIssuer(ctx context.Context) (*issuer, error) {
	binary, err := s.buildPeer(ctx, "zitadel")
	if err != nil {
		return nil, err
	}
	port, err := freeport.Get()
	if err != nil {
		return nil, err
	}
	p := &proxy{Address: fmt.Sprintf("127.0.0.1:%d", port), exited: make(chan struct{}), log: new(bytes.Buffer)}
	p.cmd = exec.Command(binary)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), "PORT="+strconv.Itoa(port), "REDIRECT_URI="+clientCallback)
	p.cmd.Dir = filepath.Dir(binary)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	s.closers = append(s.closers, p.stop)
	if err := p.ready(ctx, false); err != nil {
		return nil, err
	}
	return &issuer{
		name: "zitadel/oidc's example", proxy: p, host: p.Address, authorize: "/auth", token: "/oauth/token", inspect: "/oauth/introspect",
		web: "web", webSecret: "secret", machine: "sid1", machineSecret: "verysecret", scope: "openid offline_access",
		signIn: func(ctx context.Context, client *http.Client, login *url.URL) (*http.Response, error) {
			form := url.Values{"id": {login.Query().Get("authRequestID")}, "username": {"test-user@localhost"}, "password": {"verysecure"}}
			login.RawQuery = ""
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, login.String(), strings.NewReader(form.Encode()))
			if err != nil {
				return nil, err
			}
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return client.Do(request)
		},
	}, nil
}

// form is the bytes of a request of a client to an endpoint.
func (i *issuer) form(path, client, secret string, form url.Values) []byte {
	body := form.Encode()
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(client) + ":" + url.QueryEscape(secret)))
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic %s\r\nX-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n%s",
		path, i.host, basic, address(int(i.next.Add(1))), len(body), body)
}

// grant is the answer of a token endpoint.
type grant struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// once sends one request over a connection of its own and reads the grant.
func (i *issuer) once(ctx context.Context, request []byte) (g grant, err error) {
	load := Load{Address: i.proxy.Address, Clients: 1, Request: func(int, int) []byte { return request }, Answer: func(_, _, status int, body []byte) error {
		if status != http.StatusOK {
			return fmt.Errorf("status %d: %.300s", status, body)
		}
		if err := json.Unmarshal(body, &g); err != nil {
			return err
		}
		return errAnswered
	}}
	if _, err = load.Run(ctx, startTimeout); errors.Is(err, errAnswered) {
		err = nil
	}
	return g, err
}

var errAnswered = errors.New("answered")

func machineTokens(_ context.Context, s *stand, i *issuer) (runner, error) {
	return metered{Load{Address: i.proxy.Address, Clients: s.clients, Request: func(int, int) []byte {
		return i.form(i.token, i.machine, i.machineSecret, url.Values{"grant_type": {"client_credentials"}})
	}}, i.proxy}, nil
}

func introspections(ctx context.Context, s *stand, i *issuer) (runner, error) {
	g, err := i.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	return metered{Load{Address: i.proxy.Address, Clients: s.clients, Request: func(int, int) []byte {
		return i.form(i.inspect, i.web, i.webSecret, url.Values{"token": {g.AccessToken}})
	}, Answer: func(_, _, status int, body []byte) error {
		if status != http.StatusOK || !bytes.Contains(body, []byte(`"active":true`)) {
			return fmt.Errorf("status %d: %.300s", status, body)
		}
		return nil
	}}, i.proxy}, nil
}

// refreshes has each connection refresh a chain of its own.
func refreshes(ctx context.Context, s *stand, i *issuer) (runner, error) {
	chains := make([]grant, s.clients)
	for n := range chains {
		var err error
		if chains[n], err = i.signedIn(ctx); err != nil {
			return nil, err
		}
	}
	return metered{Load{Address: i.proxy.Address, Clients: s.clients, Request: func(client, _ int) []byte {
		return i.form(i.token, i.web, i.webSecret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {chains[client].RefreshToken}})
	}, Answer: func(client, _, status int, body []byte) error {
		if status != http.StatusOK {
			return fmt.Errorf("status %d: %.300s", status, body)
		}
		return json.Unmarshal(body, &chains[client])
	}}, i.proxy}, nil
}

// signedIn takes a user through the authorization code flow.
func (i *issuer) signedIn(ctx context.Context) (grant, error) {
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	const verifier = "a-verifier-of-the-bench-of-more-than-forty-three-signs"
	digest := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {i.web}, "redirect_uri": {clientCallback}, "response_type": {"code"}, "scope": {i.scope}, "state": {"bench"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"},
	}
	at := &url.URL{Scheme: "http", Host: i.proxy.Address, Path: i.authorize, RawQuery: query.Encode()}
	for range 5 {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return grant{}, err
		}
		request.Host = i.host
		if i.cookie != "" {
			request.Header.Set("Cookie", i.cookie)
		}
		answer, err := client.Do(request)
		if err != nil {
			return grant{}, err
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		to, err := answer.Location()
		if err != nil {
			return grant{}, fmt.Errorf("%s: %s: %.300s", at.Path, answer.Status, text)
		}
		if strings.HasPrefix(to.String(), clientCallback) {
			if to.Query().Get("code") == "" {
				return grant{}, errors.New("no code: " + to.String())
			}
			return i.once(ctx, i.form(i.token, i.web, i.webSecret, url.Values{
				"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {clientCallback}, "code_verifier": {verifier},
			}))
		}
		if i.signIn != nil && to.Query().Get("authRequestID") != "" {
			to.Scheme, to.Host = "http", i.proxy.Address
			onward, err := i.signIn(ctx, client, to)
			if err != nil {
				return grant{}, err
			}
			_ = onward.Body.Close()
			if to, err = onward.Location(); err != nil {
				return grant{}, errors.New("sign in: " + onward.Status)
			}
		}
		to.Scheme, to.Host = "http", i.proxy.Address
		at = to
	}
	return grant{}, errors.New("no code after five redirects, the last to " + at.String())
}
