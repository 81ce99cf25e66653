package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

const spentText = "The free credits of today are spent: sign in to go on, or come back tomorrow"

// lodge is a purse whose guests have wallets, on a clock of its own.
type lodge struct {
	*purse
	auth   *authcore.Service
	guests *guest.Service
	days   *atomic.Int64 // that have passed
}

func newLodge(t testing.TB) *lodge {
	t.Helper()
	p := newPurse(t)
	return p.lodge(edgetest.GateService(t, p.db), p.db.Pool, new(atomic.Int64))
}

// lodge is an edge on a pool.
func (p *purse) lodge(auth *authcore.Service, pool *pgxpool.Pool, days *atomic.Int64) *lodge {
	p.t.Helper()
	secrets, err := secret.New("an encryption key of thirty-two bytes, or more", "")
	if err != nil {
		p.t.Fatal(err)
	}
	today := time.Now().UTC()
	noon := time.Date(today.Year(), today.Month(), today.Day(), 12, 0, 0, 0, time.UTC) // no test sees midnight by chance
	now := func() time.Time { return noon.AddDate(0, 0, int(days.Load())) }
	guests := guest.New(guest.Config{}, guest.Deps{
		Pool: pool, Ledger: p.Service, Sealer: secrets, Now: now,
		Coupons: coupon.New(coupon.Config{}, coupon.Deps{Pool: pool, Ledger: p.Service, Sealer: secrets}),
	})
	return &lodge{p, auth, guests, days}
}

// other is a second edge on the same database.
func (l *lodge) other() *lodge { return l.lodge(l.auth, l.db.Pool, l.days) }

func (l *lodge) meter(m *meter.Meter) *meter.Meter {
	l.t.Helper()
	if err := m.Validate(); err != nil {
		l.t.Fatal(err)
	}
	m.BaseURL, _ = url.Parse(edgetest.GateBase)
	m.Origins, m.Log = l.auth.Origins(), zap.NewNop()
	m.Bind(edgetest.StartedApp(func(context.Context) (*services.Runtime, error) {
		return &services.Runtime{Cores: services.Cores{Credits: l.Service, Auth: l.auth, Guests: l.guests}}, nil
	}))
	return m
}

// visit is a request of a guest's browser, with the cookie that it has.
func visit(cookie string, headers ...string) *http.Request {
	if cookie != "" {
		headers = append(headers, "Cookie: a=b; "+cookie)
	}
	return edgetest.Ask("POST", "/make", append(headers, "Sec-Fetch-Site: same-origin")...)
}

// cookieOf is the wallet that an answer sets, empty for none.
func cookieOf(t testing.TB, h http.Header) string {
	t.Helper()
	for _, value := range h["Set-Cookie"] {
		if pair, attributes, _ := strings.Cut(value, "; "); strings.HasPrefix(pair, "__Secure-mana.guest=") {
			if attributes != "Max-Age=2592000; Domain=.example.test; Path=/; HttpOnly; Secure; SameSite=Lax" {
				t.Errorf("attributes %q", attributes)
			}
			return pair
		}
	}
	return ""
}

// patiently sends a request until the machine has time for it.
func patiently(t testing.TB, m *meter.Meter, request func() *http.Request) *edgetest.Exchange {
	t.Helper()
	for range 20 {
		if x := edgetest.Send(t, m, request(), edgetest.Answers(200)); x.Code != 503 {
			return x
		}
	}
	return edgetest.Send(t, m, request(), edgetest.Answers(200))
}

func TestGuestPays(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	m := l.meter(&meter.Meter{Credits: "5", App: "chat", Operation: "ai_chat", Guest: &meter.Guest{Credits: "20"}})
	x := edgetest.Send(t, m, visit(""), edgetest.Answers(200, "Cache-Control", "public, max-age=60", "Mana-Credits-Payer", "user"))
	wantBill(t, x.Header(), "5", "15")
	wallet := cookieOf(t, x.Header())
	if x.Code != 200 || wallet == "" || x.Header().Get("Mana-Credits-Payer") != "guest" || x.Header().Get("Cache-Control") != "private, max-age=60" {
		t.Fatalf("%d %v", x.Code, x.Header())
	}
	for left := 10; left >= 0; left -= 5 {
		x := edgetest.Send(t, m, visit(wallet), edgetest.Answers(200))
		wantBill(t, x.Header(), "5", strconv.Itoa(left))
		if x.Placeholders() != fmt.Sprintf("charged 5 %d", left) || cookieOf(t, x.Header()) != "" || x.Header().Get("Cache-Control") != "private" {
			t.Errorf("%s, %v", x.Placeholders(), x.Header())
		}
	}

	x = edgetest.Send(t, m, visit(wallet), edgetest.Answers(200))
	if x.Code != 402 || x.Reached != 0 || x.Placeholders() != "insufficient 0 0" || x.Header().Get("Mana-Credits-Payer") != "guest" {
		t.Errorf("%d, reached %d, %s", x.Code, x.Reached, x.Placeholders())
	}
	wantBill(t, x.Header(), "0", "0")
	var body struct {
		Message, Code string
		RetryAfterSec int64
		Details       struct {
			RequiredCredits, AvailableCredits float64
			CreditType, Limit, Operation      string
			SignIn                            string
			ResetsAt                          time.Time
		}
	}
	if err := json.Unmarshal(x.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	d := body.Details
	if body.Message != spentText || body.Code != "GUEST_CREDITS_SPENT" || d.RequiredCredits != 5 || d.AvailableCredits != 0 || d.CreditType != "guest" ||
		d.Limit != "device" || d.Operation != "ai_chat" || d.SignIn != edgetest.GateBase+"/login" {
		t.Errorf("%s", x.Body)
	}
	wait := time.Duration(body.RetryAfterSec) * time.Second
	if d.ResetsAt.UTC().Hour() != 0 || wait <= 0 || wait > 24*time.Hour || time.Until(d.ResetsAt)-wait > 2*time.Second ||
		x.Header().Get("Retry-After") != strconv.FormatInt(body.RetryAfterSec, 10) {
		t.Errorf("resets at %v, in %v, Retry-After %q", d.ResetsAt, wait, x.Header().Get("Retry-After"))
	}

	// The next day begins anew, with the same cookie.
	l.days.Add(1)
	wantBill(t, edgetest.Send(t, m, visit(wallet), edgetest.Answers(200)).Header(), "5", "15")
}

// Without the option a guest is refused as ever, and with it a user pays as ever.
func TestGuestOptionIsForGuests(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	ada := l.user("ada", 8_000)
	without := edgetest.Send(t, l.meter(&meter.Meter{Credits: "5"}), visit(""), edgetest.Answers(200))
	edgetest.WantRefusal(t, without.ResponseRecorder, nil, 401, "No token provided")
	m := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "20"}})
	x := edgetest.Send(t, m, by(ada, visit("")), edgetest.Answers(200))
	wantBill(t, x.Header(), "5", "3")
	if x.Header().Get("Mana-Credits-Payer") != "user" || cookieOf(t, x.Header()) != "" {
		t.Errorf("%v", x.Header())
	}
	if x := edgetest.Send(t, m, by(ada, visit("")), edgetest.Answers(200)); x.Code != 402 || strings.Contains(x.Body.String(), "GUEST") {
		t.Errorf("%d %s", x.Code, x.Body)
	}
	// What no ledger has, no receipt proves.
	m = l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "20"}, Receipt: true})
	if x := edgetest.Send(t, m, visit(""), edgetest.Answers(200)); x.Code != 200 || x.Header().Get("Mana-Receipt") != "" {
		t.Errorf("%d %v", x.Code, x.Header())
	}
}

// 64 requests of one guest at once on two edges spend the allowance, and those of guests
// without cookies what their address may.
func TestGuestsOnTwoEdges(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	edges := []*lodge{l, l.other()}
	option := func() *meter.Meter {
		return &meter.Meter{Credits: "2.5", Guest: &meter.Guest{Credits: "20", PerAddress: "50"}}
	}
	meters := []*meter.Meter{edges[0].meter(option()), edges[1].meter(option())}
	_, header := l.auth.Cookies().NewGuest(time.Now())
	wallet, _, _ := strings.Cut(header, ";")
	for _, c := range []struct {
		wallet, address string
		want            int64
	}{{wallet, "192.0.2.1:1", 8}, {"", "192.0.2.2:1", 20}, {"", "[2001:db8::%d]:1", 20}} {
		var served atomic.Int64
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				x := patiently(t, meters[i%2], func() *http.Request {
					r := visit(c.wallet)
					if r.RemoteAddr = c.address; strings.Contains(c.address, "%d") {
						r.RemoteAddr = fmt.Sprintf(c.address, i+1) // a /64 is one address
					}
					return r
				})
				switch x.Code {
				case 200:
					served.Add(1)
				case 402:
				default:
					t.Errorf("%d %s", x.Code, x.Body)
				}
			})
		}
		all.Wait()
		if served.Load() != c.want {
			t.Errorf("%q of %s: %d were served, want %d", c.wallet, c.address, served.Load(), c.want)
		}
	}
	if x := edgetest.Send(t, meters[0], visit(""), edgetest.Answers(200)); x.Code != 200 {
		t.Errorf("another guest of the first address: %d", x.Code)
	}
	x := edgetest.Send(t, meters[0], func() *http.Request { r := visit(""); r.RemoteAddr = "[2001:db8::ffff]:1"; return r }(), edgetest.Answers(200))
	if !strings.Contains(x.Body.String(), `"limit":"address"`) || cookieOf(t, x.Header()) != "" {
		t.Errorf("%d %s %v", x.Code, x.Body, x.Header())
	}
}

// A cookie that was forged, or signed for something else, or by another family, is none.
func TestGuestCookieForged(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	m := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "20", Total: "1000"}})
	wallet := cookieOf(t, edgetest.Send(t, m, visit(""), edgetest.Answers(200)).Header())
	_, value, _ := strings.Cut(wallet, "=")
	id, signature, _ := strings.Cut(value, ".")
	device, _, _ := strings.Cut(l.auth.Cookies().NewDevice(), ";")
	_, ofDevice, _ := strings.Cut(device, "=")
	_, old := l.auth.Cookies().NewGuest(time.Now().AddDate(0, 0, -31))
	expired, _, _ := strings.Cut(old, ";")
	for i, forged := range []string{
		"__Secure-mana.guest=" + strings.Repeat("0", len(id)) + "." + signature,
		"__Secure-mana.guest=" + id,
		"__Secure-mana.guest=",
		wallet[:len(wallet)-4],
		"__Secure-mana.guest=" + ofDevice,
		"mana.guest=" + value,
		expired,
	} {
		r := visit(forged)
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", 10+i)
		x := edgetest.Send(t, m, r, edgetest.Answers(200))
		wantBill(t, x.Header(), "5", "15")
		if set := cookieOf(t, x.Header()); set == "" || set == forged {
			t.Errorf("%s counts", forged)
		}
	}
	wantBill(t, edgetest.Send(t, m, visit(wallet), edgetest.Answers(200)).Header(), "5", "10")
}

// What came to nothing is given back, what cost less costs less, and what another attempt
// costs is charged, whatever its Idempotency-Key.
func TestGuestSettles(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	guests := func() *meter.Guest { return &meter.Guest{Credits: "20", Total: "100"} }
	m := l.meter(&meter.Meter{Credits: "5", CostFrom: "X-Cost", AbortCost: "1", Guest: guests()})
	x := edgetest.Send(t, m, visit(""), edgetest.Answers(200, "X-Cost", "1.25"))
	wantBill(t, x.Header(), "1.25", "18.75")
	wallet := cookieOf(t, x.Header())
	send := func(m *meter.Meter, status int, headers ...string) *edgetest.Exchange {
		return edgetest.Send(t, m, visit(wallet, "Idempotency-Key: again"), edgetest.Answers(status, headers...))
	}
	wantBill(t, send(m, 502).Header(), "0", "18.75")
	wantBill(t, send(m, 200, "X-Cost", "0").Header(), "0", "18.75")
	wantBill(t, send(m, 200, "X-Cost", "99").Header(), "5", "13.75")
	for _, left := range []string{"11.75", "9.75"} { // one key, two attempts
		wantBill(t, send(m, 200, "X-Cost", "2").Header(), "2", left)
	}
	long := visit(wallet, "Idempotency-Key: "+strings.Repeat("x", 300))
	wantBill(t, edgetest.Send(t, m, long, edgetest.Answers(200, "X-Cost", "1")).Header(), "1", "8.75")

	// A client that leaves pays what the route says.
	ctx, leave := context.WithCancel(t.Context())
	edgetest.Send(t, m, visit(wallet).WithContext(ctx), func(http.ResponseWriter, *http.Request) error {
		leave()
		return context.Canceled
	})
	wantBill(t, send(l.meter(&meter.Meter{Credits: "0.75", Guest: guests()}), 200).Header(), "0.75", "7")

	// A shadow takes nothing, and tells what would be.
	shadow := l.meter(&meter.Meter{Credits: "5", Shadow: true, Guest: guests()})
	for outcome, cookie := range map[string]string{"shadow_charged 5 7": wallet, "shadow_charged 5 20": ""} {
		x := edgetest.Send(t, shadow, visit(cookie), edgetest.Answers(200))
		if x.Placeholders() != outcome || cookieOf(t, x.Header()) != "" {
			t.Errorf("%s, want %s, %v", x.Placeholders(), outcome, x.Header())
		}
	}
	dear := l.meter(&meter.Meter{Credits: "8", Shadow: true, Guest: guests()})
	if x := edgetest.Send(t, dear, visit(wallet), edgetest.Answers(200)); x.Code != 200 || x.Placeholders() != "shadow_insufficient 0 7" {
		t.Errorf("%d, %s", x.Code, x.Placeholders())
	}
}

// What is spent on one route counts on another, by what that one allows.
func TestGuestWalletIsTheFamilys(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	small := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "10"}})
	large := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "30"}})
	wallet := cookieOf(t, edgetest.Send(t, large, visit(""), edgetest.Answers(200)).Header())
	wantBill(t, edgetest.Send(t, small, visit(wallet), edgetest.Answers(200)).Header(), "5", "0")
	if x := edgetest.Send(t, small, visit(wallet), edgetest.Answers(200)); x.Code != 402 {
		t.Errorf("%d", x.Code)
	}
	wantBill(t, edgetest.Send(t, large, visit(wallet), edgetest.Answers(200)).Header(), "5", "15")
	// Two meters on the way add up; where the second does not get its part, the first gives
	// its own back.
	both := edgetest.Send(t, large, visit(wallet), func(w http.ResponseWriter, r *http.Request) error {
		return small.ServeHTTP(w, r, edgetest.Answers(200))
	})
	if both.Code != 402 {
		t.Errorf("%d", both.Code)
	}
	wantBill(t, edgetest.Send(t, large, visit(wallet), edgetest.Answers(200)).Header(), "5", "10")
}

// While the database is away, a route refuses guests or lets them pass, as it was told.
func TestGuestOutage(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	relay, dsn := pgtest.NewRelay(t, l.db.DSN)
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	there := l.lodge(l.auth, pool, l.days)
	refusing := there.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "20"}})
	allowing := there.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "20"}, OnOutage: "allow"})
	wallet := cookieOf(t, edgetest.Send(t, refusing, visit(""), edgetest.Answers(200)).Header())
	relay.Cut(true)
	x := edgetest.Send(t, refusing, visit(wallet), edgetest.Answers(200))
	edgetest.WantRefusal(t, x.ResponseRecorder, nil, 503, "Service unavailable: database connection unavailable")
	if x.Reached > 0 || x.Header().Get("Retry-After") == "" {
		t.Errorf("reached %d, %v", x.Reached, x.Header())
	}
	x = edgetest.Send(t, allowing, visit(wallet), edgetest.Answers(200))
	if x.Code != 200 || x.Reached != 1 || x.Placeholders() != "unpaid 0 -" || x.Header().Get("Cache-Control") != "private" {
		t.Errorf("%d, reached %d, %s, %v", x.Code, x.Reached, x.Placeholders(), x.Header())
	}
	relay.Cut(false)
	edgetest.Eventually(t, "guests are served again", func() bool {
		x := edgetest.Send(t, refusing, visit(wallet), edgetest.Answers(200))
		return x.Code == 200 && x.Header().Get("Mana-Credits-Remaining") == "10"
	})
}

// A guest pays for what another site sends as little as a user, and a client that is no
// browser pays.
func TestGuestConsent(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	m := l.meter(&meter.Meter{Credits: "1", Guest: &meter.Guest{Credits: "20"}})
	wallet := cookieOf(t, edgetest.Send(t, m, visit(""), edgetest.Answers(200)).Header())
	for _, c := range []struct {
		name, method string
		headers      []string
		status       int
	}{
		{"prefetch", "GET", []string{"Sec-Purpose: prefetch", "Sec-Fetch-Site: same-origin", "Cookie: " + wallet}, 503},
		{"prefetch of a new guest", "GET", []string{"Sec-Purpose: prefetch"}, 503},
		{"image of another site", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"form of another site", "POST", []string{"Origin: https://evil.test"}, 403},
		{"link of another site", "GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Cookie: " + wallet}, 403},
		{"old browser's image", "GET", []string{"Accept: image/*", "Cookie: " + wallet}, 403},
		{"old browser's image, by its referer", "GET", []string{"Referer: https://evil.test/"}, 403},
		{"typed address", "GET", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, 200},
		{"trusted page", "POST", []string{"Origin: https://todo.example.test", "Cookie: " + wallet}, 200},
		{"program", "POST", nil, 200},
	} {
		x := edgetest.Send(t, m, edgetest.Ask(c.method, "/make", c.headers...), edgetest.Answers(200))
		if x.Code != c.status || (x.Reached > 0) != (c.status == 200) {
			t.Errorf("%s: %d, reached %d: %s", c.name, x.Code, x.Reached, x.Body)
		}
		if c.status != 200 && (cookieOf(t, x.Header()) != "" || !strings.HasPrefix(x.Placeholders(), "refused")) {
			t.Errorf("%s: %s %v", c.name, x.Placeholders(), x.Header())
		}
	}
	wantBill(t, edgetest.Send(t, m, visit(wallet), edgetest.Answers(200)).Header(), "1", "17")
}

// Where the gate leads nobody to the sign-in page, nor does the meter.
func TestGuestNavigationWithoutLogin(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	m := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "5"}})
	wallet := cookieOf(t, edgetest.Send(t, m, visit(""), edgetest.Answers(200)).Header())
	r := edgetest.Ask("GET", "/make", "Cookie: "+wallet, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none")
	x := edgetest.Send(t, m, r.WithContext(&request.Auth{Context: r.Context(), NoLogin: true}), edgetest.Answers(200))
	if x.Code != 402 || x.Header().Get("Location") != "" || !strings.Contains(x.Body.String(), "GUEST_CREDITS_SPENT") {
		t.Errorf("%d %v %s", x.Code, x.Header(), x.Body)
	}
}

// A page load that no credits are left for goes to the sign-in page, and from there back.
func TestGuestNavigation(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	m := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "5"}})
	wallet := cookieOf(t, edgetest.Send(t, m, visit(""), edgetest.Answers(200)).Header())
	load := func(cookie string) *edgetest.Exchange {
		return edgetest.Send(t, m, edgetest.Ask("GET", "/make?x=1", "Cookie: "+cookie, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none"), edgetest.Answers(200))
	}
	x := load(wallet)
	want := edgetest.GateBase + "/login?returnUrl=" + url.QueryEscape(edgetest.GateApp+"/make?x=1")
	if x.Code != 302 || x.Reached > 0 || x.Header().Get("Location") != want || x.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", x.Code, x.Header())
	}
	wantBill(t, x.Header(), "0", "0")
	// Whoever comes back again and again without having signed in is not sent round for ever.
	jar := wallet
	for range 3 {
		for _, value := range x.Header()["Set-Cookie"] {
			pair, _, _ := strings.Cut(value, ";")
			jar = wallet + "; " + pair
		}
		x = load(jar)
	}
	if x.Code != 401 || !strings.HasPrefix(x.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %v", x.Code, x.Header())
	}
}

// Behind a gate whose answers shared caches may keep, what a guest paid is private all the
// same, and the cookie is set.
func TestGuestBehindSharedCache(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	m := l.meter(&meter.Meter{Credits: "5", Guest: &meter.Guest{Credits: "20"}})
	g := edgetest.Gate(l.auth, &gate.Gate{Optional: true, Cache: "shared"})
	x := edgetest.Send(t, g, visit("a=1"), func(w http.ResponseWriter, r *http.Request) error {
		return m.ServeHTTP(w, r, edgetest.Answers(200, "Cache-Control", "public, s-maxage=60", "CDN-Cache-Control", "max-age=60"))
	})
	if cookieOf(t, x.Header()) == "" || x.Header().Get("Cache-Control") != "private" || x.Header().Get("CDN-Cache-Control") != "" {
		t.Errorf("%v", x.Header())
	}
}

func TestGuestFaults(t *testing.T) {
	t.Parallel()
	guests := func(credits string) *meter.Guest {
		g := new(meter.Guest)
		if err := json.Unmarshal([]byte(`{"credits":`+credits+`}`), g); err != nil {
			t.Fatalf("%s: %v", credits, err)
		}
		return g
	}
	for want, m := range map[string]*meter.Meter{
		`guest: "0" is not a number of credits above 0`:     {Credits: "5", Guest: guests(`0`)},
		`guest: "-1" is not a number of credits above 0`:    {Credits: "5", Guest: guests(`-1`)},
		`guest: "NaN" is not a number of credits above 0`:   {Credits: "5", Guest: guests(`"NaN"`)},
		`guest: "1e400" is not a number of credits above 0`: {Credits: "5", Guest: guests(`1e400`)},
		`guest: "2e1" is not a number of credits above 0`:   {Credits: "5", Guest: guests(`2e1`)},
		`guest: "1000000001" is not a number of credits`:    {Credits: "5", Guest: guests(`1000000001`)},
		`guest: "20.0001" is not a number of credits`:       {Credits: "5", Guest: guests(`20.0001`)},
		`guest: "" is not a number of credits`:              {Credits: "5", Guest: new(meter.Guest)},
		`guest per_address: "-5" is not a number`:           {Credits: "5", Guest: &meter.Guest{Credits: "20", PerAddress: "-5"}},
		`guest total: "many" is not a number`:               {Credits: "5", Guest: &meter.Guest{Credits: "20", Total: "many"}},
		`guest per_address: 19 is less than the 20`:         {Credits: "5", Guest: &meter.Guest{Credits: "20", PerAddress: "19"}},
		`guest total: 1 is less than the 20`:                {Credits: "5", Guest: &meter.Guest{Credits: "20", Total: "1"}},
		`guest: 20 a day are less than the 20.001`:          {Credits: "20.001", Guest: guests(`20`)},
		`guest: 1 a day are less than the 2 that`:           {Credits: "50", CostTokens: &meter.TokenPrices{Price: "x", Reserve: "2"}, Guest: guests(`1`)},
		`could tell the app of`:                             {Credits: "5", SettledBy: "app", Guest: guests(`20`)},
		`with payer org an organization pays`:               {Credits: "5", Payer: "org", Guest: guests(`20`)},
	} {
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mana_credits: guest") {
			t.Errorf("want %q: %v", want, err)
		}
	}
	for _, m := range []*meter.Meter{
		{Credits: "20", Guest: guests(`20`)},
		{Credits: "5", Payer: "org_then_user", Durability: "batched", Receipt: true, Guest: guests(`1000000000`)},
		{Credits: "50", CostTokens: &meter.TokenPrices{Price: "x", Reserve: "2"}, Guest: guests(`20`)},
		{PriceName: "later.known", Guest: guests(`20`)},
		{Credits: "5", CostFrom: "X-Cost", AbortCost: "wait", FreeOn: []string{"4xx"}, OnOutage: "allow", Guest: &meter.Guest{Credits: "20", PerAddress: "20", Total: "20"}},
	} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	// A fault of the price is not one of the guests' too.
	if err := (&meter.Meter{Credits: "x", Guest: guests(`20`)}).Validate(); err == nil || strings.Contains(err.Error(), "guest") {
		t.Error(err)
	}
}

// A stream that has used up what a guest has left ends behind an event, with one that says
// so. What an answer turns out to have cost beyond that is not charged.
func TestGuestStreamEndsWithItsCredits(t *testing.T) {
	t.Parallel()
	l := newLodge(t)
	streaming := tokenMeter("0.4")
	streaming.Guest = &meter.Guest{Credits: "1.5", PerAddress: "10"}
	let := 0
	var failure error
	x := edgetest.Send(t, l.meter(streaming), visit(""), func(w http.ResponseWriter, r *http.Request) error {
		if failure = events(1000, &let)(w, r); failure != nil {
			panic(http.ErrAbortHandler) // as reverse_proxy does
		}
		return nil
	})
	if x.Err != nil || failure == nil || let > 8 || let < 6 {
		t.Errorf("%d events were let, %v, %v", let, failure, x.Err)
	}
	wantBill(t, x.Header(), "1.5", "0")
	_, last, _ := strings.Cut(x.Body.String(), "\nevent: error\ndata: ")
	var said struct {
		Code       string
		StatusCode int
		Error      struct{ Type, Message string }
		Details    struct{ CreditType string }
	}
	if err := json.Unmarshal([]byte(last), &said); err != nil || said.Code != "GUEST_CREDITS_SPENT" || said.StatusCode != 402 ||
		said.Error.Type != "guest_credits_spent" || said.Error.Message != spentText || said.Details.CreditType != "guest" {
		t.Errorf("%+v of %q, %v", said, last, err)
	}

	short := tokenMeter("0.5")
	short.Guest = &meter.Guest{Credits: "0.7", PerAddress: "10"}
	x = edgetest.Send(t, l.meter(short), visit(""), says(200, "application/json", "", chatAnswer, 0)) // it comes to 1.2
	wantBill(t, x.Header(), "0.5", "0.2")
	enough := tokenMeter("0.5")
	enough.Guest = &meter.Guest{Credits: "2", PerAddress: "10"}
	x = edgetest.Send(t, l.meter(enough), visit(""), says(200, "application/json", "", chatAnswer, 0))
	wantBill(t, x.Header(), "1.2", "0.8")
}
