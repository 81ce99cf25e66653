package edgetest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/pgtest"
)

// What is set up at a gate of a test: the auth site, an app's site, and the password of
// everybody.
const (
	GateBase     = "https://auth.example.test"
	GateApp      = "https://chat.example.test"
	GatePassword = "correct horse battery"
	gateSecret   = "0123456789abcdef0123456789abcdef"
)

// GateClient is the client that users sign in from.
var GateClient = principal.Client{IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "test", DeviceID: "d1", DeviceName: "Test"}

// GateService is an identity core on a database of its own.
func GateService(t testing.TB, db *pgtest.Database, change ...func(*authcore.Config)) *authcore.Service {
	t.Helper()
	secrets, err := secret.New(gateSecret, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg := authcore.Config{
		BaseURL: GateBase, CookieDomain: ".example.test", TrustedOrigins: []string{"https://*.example.test"},
		Secrets: secrets, Hashing: password.Hashing{MemoryKiB: 64, Time: 1, Parallelism: 1},
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := authcore.New(t.Context(), cfg, authcore.Deps{
		Pool: db.Pool, ListenDSN: db.DSN, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = s.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, ok := s.Listening(); ok { // what is read before is not trusted
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal("the service does not listen")
		}
	}
}

// Person is a user with a bearer and a cookie session.
type Person struct {
	User    authcore.User
	Tokens  authcore.Tokens
	Browser authcore.BrowserSession
	Cookie  string // name=value
}

// NewPerson makes a user and signs them in as an app and as a browser.
func NewPerson(t testing.TB, s *authcore.Service, email string, role principal.Role) Person {
	t.Helper()
	ctx := t.Context()
	user, err := s.CreateUser(ctx, principal.Operator{Name: "test"}, authcore.NewUser{Email: email, Password: GatePassword, Name: "Ada", Role: role, Verified: true})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.SignIn(ctx, GateClient, email, GatePassword)
	if err != nil {
		t.Fatal(err)
	}
	browser, err := s.SignInBrowser(ctx, GateClient, email, GatePassword, true)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(s.Cookies().Set(browser.Token, true, time.Hour), ";")
	return Person{user, tokens, browser, cookie}
}

// Serve sends the request through the handler as Caddy would. upstream is
// what got past it, nil if nothing did.
func Serve(t testing.TB, h caddyhttp.MiddlewareHandler, r *http.Request) (w *httptest.ResponseRecorder, upstream *http.Request) {
	t.Helper()
	w = httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		upstream = r
		w.WriteHeader(http.StatusOK)
		return nil
	}))
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return w, upstream
}

// Ask is a request to the app. Headers come as "Name: value".
func Ask(method, target string, headers ...string) *http.Request {
	if strings.HasPrefix(target, "/") {
		target = GateApp + target
	}
	r := httptest.NewRequestWithContext(context.Background(), method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header[http.CanonicalHeaderKey(name)] = append(r.Header[http.CanonicalHeaderKey(name)], value)
	}
	return r
}

// WantRefusal checks status and the error body of the contract.
func WantRefusal(t testing.TB, w *httptest.ResponseRecorder, upstream *http.Request, status int, message string) {
	t.Helper()
	if upstream != nil {
		t.Errorf("the upstream was reached")
	}
	var body struct {
		StatusCode, RetryAfterSec             int
		Message, Code, Error, Timestamp, Path string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d, body %q: %v", w.Code, w.Body, err)
	}
	if w.Code != status || body.StatusCode != status || body.Message != message {
		t.Errorf("got %d %+v, want %d %q", w.Code, body, status, message)
	}
	if _, err := time.Parse(time.RFC3339, body.Timestamp); err != nil || !strings.HasPrefix(body.Path, "/") || strings.Contains(body.Path, "?") {
		t.Errorf("body %+v", body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	switch want := refusalCodes[message]; {
	case status == 400:
		if body.Code != "VALIDATION_ERROR" || body.Error != "VALIDATION" {
			t.Errorf("code %q, error %q", body.Code, body.Error)
		}
	case !slices.Contains(want, body.Code) || body.Error != body.Code:
		t.Errorf("code %q, error %q, want one of %q", body.Code, body.Error, want)
	}
	if retry := w.Header().Get("Retry-After"); retry != "" && retry != strconv.Itoa(body.RetryAfterSec) || retry == "" && body.RetryAfterSec != 0 {
		t.Errorf("Retry-After %q, retryAfterSec %d", retry, body.RetryAfterSec)
	}
	challenge := map[string]string{"No token provided": "Bearer", "Invalid token": `Bearer error="invalid_token"`}[message]
	if got := w.Header().Get("WWW-Authenticate"); got != challenge {
		t.Errorf("WWW-Authenticate %q, want %q", got, challenge)
	}
}

// refusalCodes are the codes that go with the texts of refusals.
var refusalCodes = map[string][]string{
	"Forbidden: this is for members of an organization, or of a role in it": {"ORG_REQUIRED"},
	"No token provided":                                                             {"NO_TOKEN"},
	"Invalid token":                                                                 {"INVALID_TOKEN", "TOKEN_EXPIRED"},
	"Forbidden: your role does not allow this":                                      {"FORBIDDEN"},
	"Forbidden: request from another site":                                          {"CROSS_SITE"},
	"Service unavailable: database connection unavailable":                          {"UNAVAILABLE"},
	"Request failed: rate limit exceeded, please try again later":                   {"RATE_LIMITED"},
	"The idempotency key was used for another request":                              {"IDEMPOTENCY_KEY_REUSED"},
	"The charge of the idempotency key was refunded":                                {"IDEMPOTENCY_KEY_REFUNDED"},
	"The idempotency key is spent: its request was repeated too often, or too late": {"IDEMPOTENCY_KEY_SPENT"},
	"Email not verified":                                                            {"EMAIL_NOT_VERIFIED"},
	"Forbidden: the API key is not for this address":                                {"ADDRESS_NOT_ALLOWED"},
	"Forbidden: the API key lacks a scope that this needs":                          {"SCOPE_REQUIRED"},
	"Request failed: rate limit of the API key exceeded, please try again later":    {"RATE_LIMITED"},
}

// StartedApp is an app that has started with a runtime, or could not.
type StartedApp func(context.Context) (*services.Runtime, error)

// Runtime implements [Source].
func (a StartedApp) Runtime(ctx context.Context) (*services.Runtime, error) { return a(ctx) }

// Settled implements [Source].
func (StartedApp) Settled() bool { return true }

// BindGate readies a gate without a config.
func BindGate(g *gate.Gate, base string, auth func(context.Context) (*authcore.Service, error)) *gate.Gate {
	g.BaseURL, _ = url.Parse(base)
	g.Log = zap.NewNop()
	if s, err := auth(context.Background()); err == nil && s != nil {
		g.Origins = s.Origins()
	}
	g.Bind(StartedApp(func(ctx context.Context) (*services.Runtime, error) {
		s, err := auth(ctx)
		return &services.Runtime{Cores: services.Cores{Auth: s}}, err
	}))
	return g
}

// Gate readies a gate on an identity core.
func Gate(s *authcore.Service, g *gate.Gate) *gate.Gate {
	return BindGate(g, GateBase, func(context.Context) (*authcore.Service, error) { return s, nil })
}

// BenchmarkHandler measures a handler with an app that answers at once.
func BenchmarkHandler(b *testing.B, h caddyhttp.MiddlewareHandler, request func() *http.Request) {
	b.Helper()
	passed := 0
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		passed++
		return nil
	})
	const batch = 512
	type exchange struct {
		w http.ResponseWriter
		r *http.Request
	}
	exchanges := make([]exchange, batch)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%batch == 0 {
			b.StopTimer()
			for i := range exchanges {
				w := httptest.NewRecorder()
				exchanges[i] = exchange{w, caddyhttp.PrepareRequest(request(), caddy.NewReplacer(), w, nil)}
			}
			b.StartTimer()
		}
		e := exchanges[n%batch]
		if err := h.ServeHTTP(e.w, e.r, next); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if passed != n {
		b.Fatalf("%d of %d passed", passed, n)
	}
}

// NewAPIKey makes a key for a person.
func NewAPIKey(t testing.TB, s *authcore.Service, p Person, o apikey.Order) (made apikey.Key, secret string) {
	t.Helper()
	o.Name = "test"
	made, secret, err := s.CreateAPIKey(t.Context(), principal.Caller{
		UserID: p.User.ID, Email: p.User.Email, Role: p.User.Role, SessionID: p.Tokens.SessionID, Client: GateClient,
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return made, secret
}
