package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/ulule/limiter/v3"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/address"
	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	base         = "https://auth.example.test"
	app          = "https://chat.example.test"
	foreign      = "https://evil.test"
	testPassword = "correct horse battery"
	cookieName   = "__Secure-mana.session_token"
	serviceKey   = "the-service-key-of-tests"
	chatKey      = "the-key-of-chat"
	botKey       = "the-key-of-the-bot"
)

// site is the API over a real core and a database of its own.
type site struct {
	testing.TB
	http.Handler
	auth *authcore.Service
	api.Credits
	db  *pgtest.Database
	log *strings.Builder
}

func newSite(t testing.TB, change ...func(*api.Config, *api.Deps)) *site {
	t.Helper()
	return newShop(t, billing.Config{BaseURL: base}, change...)
}

// newShop is a site that sells.
func newShop(t testing.TB, sales billing.Config, change ...func(*api.Config, *api.Deps)) *site {
	t.Helper()
	return newSiteOf(t, sales, func(*authcore.Config, *authcore.Deps) {}, change...)
}

// newSiteOf is a site over another identity core.
func newSiteOf(t testing.TB, sales billing.Config, identity func(*authcore.Config, *authcore.Deps), change ...func(*api.Config, *api.Deps)) *site {
	t.Helper()
	db := pgtest.New(t)
	ledger := creditcore.New(creditcore.Config{}, creditcore.Deps{Pool: db.Pool})
	var auth *authcore.Service
	credits := api.Credits{
		Grant: func(ctx context.Context, op principal.Operator, g creditcore.Grant) (r creditcore.Receipt, err error) {
			err = auth.Audited(ctx, audit.Event{Type: "credits_granted", UserID: g.UserID, By: op}, func(ctx context.Context, tx pgx.Tx) error {
				r, err = ledger.GrantTx(ctx, tx, g)
				return err
			})
			return r, err
		},
		Forgive: func(ctx context.Context, op principal.Operator, f creditcore.Forgiveness) (forgiven creditcore.Amount, err error) {
			err = auth.Audited(ctx, audit.Event{Type: "debt_forgiven", UserID: f.UserID, By: op}, func(ctx context.Context, tx pgx.Tx) error {
				forgiven, _, err = ledger.ForgiveTx(ctx, tx, f)
				return err
			})
			return forgiven, err
		},
		Publish: func(ctx context.Context, op principal.Operator, d creditcore.PriceDraft) (creditcore.PriceVersion, error) {
			return services.Cores{Auth: auth, Credits: ledger}.PublishPrices(ctx, op, d)
		},
		Withdraw: func(ctx context.Context, op principal.Operator, version int64) error {
			return services.Cores{Auth: auth, Credits: ledger}.WithdrawPrices(ctx, op, version)
		},
		Ledger:  ledger,
		Abuse:   abuse.New(abuse.Config{Threshold: 100}, abuse.Deps{Pool: db.Pool}),
		Billing: billing.New(sales, billing.Deps{Pool: db.Pool, Ledger: ledger}),
	}
	credits.Gifts = gift.New(gift.Config{BaseURL: base, Address: address.Canonical}, gift.Deps{Pool: db.Pool, Ledger: ledger, HeldTx: credits.Abuse.HeldTx})
	secrets, err := secret.New("0123456789abcdef0123456789abcdef", "")
	if err != nil {
		t.Fatal(err)
	}
	credits.Coupons = coupon.New(coupon.Config{Mailbox: func(text string) coupon.Mailbox { return coupon.Mailbox(address.MailboxOf(text)) }},
		coupon.Deps{Pool: db.Pool, Ledger: ledger, Sealer: secrets})
	patterns := []string{"https://*.example.test"}
	authConfig := authcore.Config{
		BaseURL: base, CookieDomain: ".example.test", TrustedOrigins: patterns, Secrets: secrets,
		Hashing: password.Hashing{MemoryKiB: 64, Time: 1, Parallelism: 1},
	}
	authDeps := authcore.Deps{
		Pool: db.Pool, ListenDSN: db.DSN,
		Hooks: authcore.Hooks{RegisterTx: func(ctx context.Context, tx pgx.Tx, u authcore.User, _ principal.Client) error {
			return ledger.OpenTx(ctx, tx, u.ID)
		}, SeatsTx: credits.Billing.SeatsTx, DissolveTx: ledger.CloseTx},
	}
	identity(&authConfig, &authDeps)
	auth, err = authcore.New(t.Context(), authConfig, authDeps)
	if err != nil {
		t.Fatal(err)
	}
	credits.Proof = proof.New(proof.Deps{Pool: db.Pool, Notary: auth})
	s := &site{TB: t, auth: auth, Credits: credits, db: db, log: new(strings.Builder)}
	cfg, deps := settings(auth, &s.Credits)
	deps.Database = auth.Ready
	deps.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	for _, f := range change {
		f(&cfg, &deps)
	}
	if s.Handler, err = api.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	return s
}

// documentOf is the OpenAPI document of an API.
func documentOf(cfg api.Config, deps api.Deps) ([]byte, error) {
	h, err := api.New(cfg, deps)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/openapi.json", nil))
	return w.Body.Bytes(), nil
}

func settings(auth *authcore.Service, credits *api.Credits) (api.Config, api.Deps) {
	baseURL, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	origins, errs := origin.Parse(base, []string{"https://*.example.test"})
	if len(errs) > 0 {
		panic(errs[0])
	}
	return api.Config{
			Config: endpoint.Config{BaseURL: baseURL, Origins: origins, ServiceKeys: servicekey.Set{
				servicekey.All(serviceKey),
				servicekey.Named("chat", chatKey, servicekey.ChargeCredits, servicekey.RefundCredits),
				servicekey.Named("matrix-bot", botKey, servicekey.LinkMatrix, servicekey.MatrixSession, servicekey.RedeemGifts),
			}},
			Version: "v1.2.3",
		}, api.Deps{
			Credits:    func(context.Context) (*api.Credits, error) { return credits, nil },
			ReadPrices: config.ReadPrices, PricesNamed: func() []string { return nil },
			Deps: endpoint.Deps{
				Auth: func(context.Context) (*authcore.Service, error) {
					if auth == nil {
						return nil, errors.New("not started")
					}
					return auth, nil
				},
				SameSite: func(r *http.Request) error { return sameSite(r, origins) },
				ClientIP: func(r *http.Request) netip.Addr {
					ip, _ := netip.ParseAddr(r.Header.Get("Test-Client"))
					return ip
				},
			},
		}
}

// bare is the API without a core: as before the app has started.
func bare(t testing.TB) *site {
	t.Helper()
	cfg, deps := settings(nil, nil)
	deps.Database = func(context.Context) error { return errors.New("secret detail") }
	h, err := api.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return &site{TB: t, Handler: h}
}

// sameSite is the rule of the design; the directive brings its own.
func sameSite(r *http.Request, origins origin.List) error {
	if origin := r.Header.Get("Origin"); origin != "" && origin != "null" {
		if origins.Trusts(origin) {
			return nil
		}
		return errors.New("cross-site")
	}
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return nil
	}
	return errors.New("cross-site")
}

func withLimits(store limiter.Store) func(*api.Config, *api.Deps) {
	return func(_ *api.Config, d *api.Deps) {
		d.Limits = func(context.Context) (limiter.Store, error) { return store, nil }
	}
}

// answer is a response that was read.
type answer struct {
	testing.TB
	code   int
	header http.Header
	body   string
}

// header sets one header of a request.
type header func(http.Header)

func with(name, value string) header { return func(h http.Header) { h.Add(name, value) } }

func bearer(token string) header { return with("Authorization", "Bearer "+token) }

func asService(h http.Header) { h.Set("X-Service-Key", serviceKey) }

func asForm(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") }

// send makes a request. A body that is a string is sent as it is; anything
// else as JSON; nil sends none.
func (s *site) send(method, path string, content any, headers ...header) answer {
	s.Helper()
	var sent []byte
	switch c := content.(type) {
	case nil:
	case string:
		sent = []byte(c)
	default:
		raw, err := json.Marshal(c)
		if err != nil {
			s.Fatal(err)
		}
		sent = raw
	}
	req := httptest.NewRequest(method, path, bytes.NewReader(sent))
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "Test/1.0")
	for _, f := range headers {
		f(req.Header)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	describedAs(s, req, sent, w)
	a := answer{s, w.Code, w.Header(), w.Body.String()}
	if w.Code >= 400 && method != http.MethodHead && strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		a.wantErrorBody()
	}
	return a
}

// wantErrorBody fails unless what the headers and members of an error say is
// one: error is the code, but VALIDATION for a list of texts.
func (a answer) wantErrorBody() {
	a.Helper()
	body := a.object()
	if body["checks"] != nil {
		return // readiness reports what it found, with any status
	}
	if body["code"] == nil && body["error_description"] != nil {
		return // of the OpenID provider (RFC 6749, section 5.2)
	}
	code, _ := body["code"].(string)
	want := code
	if code == "VALIDATION_ERROR" {
		want = "VALIDATION"
	}
	if code == "" || code != strings.ToUpper(code) || body["error"] != want {
		a.Errorf("%d: code %q, error %v: %s", a.code, code, body["error"], a.body)
	}
	seconds, _ := body["retryAfterSec"].(float64)
	if retry := a.header.Get("Retry-After"); retry != "" && retry != strconv.Itoa(int(seconds)) || retry == "" && seconds != 0 {
		a.Errorf("%d: Retry-After %q, retryAfterSec %v", a.code, retry, seconds)
	}
}

// status fails unless the answer has it.
func (a answer) status(want int) answer {
	a.Helper()
	if a.code != want {
		a.Fatalf("status %d, want %d: %s", a.code, want, a.body)
	}
	return a
}

// object is the answer's JSON object.
func (a answer) object() map[string]any {
	a.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		a.Fatalf("no JSON object (%v): %s", err, a.body)
	}
	return v
}

// message fails unless the error has exactly these texts.
func (a answer) message(want ...string) answer {
	a.Helper()
	switch m := a.object()["message"].(type) {
	case string:
		if len(want) != 1 || want[0] != m {
			a.Errorf("message %q, want %q", m, want)
		}
	case []any:
		got := make([]string, len(m))
		for i := range m {
			got[i], _ = m[i].(string)
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			a.Errorf("messages %q, want %q", got, want)
		}
	default:
		a.Errorf("no message: %s", a.body)
	}
	return a
}

func (a answer) text(key string) string {
	a.Helper()
	s, ok := a.object()[key].(string)
	if !ok {
		a.Fatalf("no text %q: %s", key, a.body)
	}
	return s
}

// session is the Set-Cookie of the SSO cookie.
func (a answer) session() *http.Cookie {
	a.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == cookieName {
			return c
		}
	}
	return nil
}

// register makes an account by the API.
func (s *site) register(email string) {
	s.Helper()
	s.send("POST", "/api/v1/auth/register", map[string]any{"email": email, "password": testPassword}).status(201)
}

// login signs an app in and returns access and refresh token.
func (s *site) login(email string) (access, refresh string) {
	s.Helper()
	a := s.send("POST", "/api/v1/auth/login", map[string]any{"email": email, "password": testPassword}).status(200)
	return a.text("accessToken"), a.text("refreshToken")
}

// member registers a user and returns their id and an access token.
func (s *site) member(email string) (id string, token header) {
	s.Helper()
	s.register(email)
	access, _ := s.login(email)
	claims, err := s.auth.Verify(s.Context(), access)
	if err != nil {
		s.Fatal(err)
	}
	return claims.Subject, bearer(access)
}

// grant gives a user credits.
func (s *site) grant(userID string, credits int64) {
	s.Helper()
	_, err := s.Ledger.Grant(s.Context(), creditcore.Grant{
		UserID: userID, Amount: creditcore.Credits(credits), Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin",
	})
	if err != nil {
		s.Fatal(err)
	}
}

// cookie signs a browser in and returns its Cookie header.
func (s *site) cookie(email string) header {
	s.Helper()
	a := s.send("POST", "/api/auth/sign-in/email", map[string]any{"email": email, "password": testPassword},
		with("Origin", app)).status(200)
	c := a.session()
	if c == nil {
		s.Fatalf("no session cookie: %v", a.header)
	}
	return with("Cookie", c.Name+"="+c.Value)
}
