package clients_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"mana.how/edge/internal/edgetest"
)

// patience is how long a page may take to show what is waited for.
const patience = 20 * time.Second

// page is a tab of a browser that nobody used before.
type page struct {
	*testing.T
	ctx context.Context
	mu  *sync.Mutex
	log *[]string // warnings and errors of the console, blocked requests among them
}

func openPage(t *testing.T) page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox does not run as root
	}
	allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancelAllocator)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithLogf(t.Logf))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	p := page{t, ctx, new(sync.Mutex), new([]string)}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			switch m.Type {
			case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
				p.mu.Lock()
				*p.log = append(*p.log, m.URL+": "+m.String())
				p.mu.Unlock()
			}
		}
	}()
	return p
}

// complaints are what the console has had since the last call.
func (p page) complaints() (list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, *p.log = *p.log, nil
	return list
}

// do runs steps and fails the test if they take too long.
func (p page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatalf("%s: %v; the console has %q", what, err, p.complaints())
	}
}

func (p page) click(selector string) {
	p.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// await waits until an expression is true in the page, whichever that is by then.
func (p page) await(expression string) {
	p.Helper()
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		cancel()
		if is {
			return
		}
		last = err
	}
	body, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("location.href + ': ' + document.body.innerText"))
	p.Fatalf("not in time: %s (%v) at %s; the console has %q", expression, last, body, p.complaints())
}

// shows waits until an element has the text.
func (p page) shows(selector, text string) {
	p.Helper()
	p.await(`document.querySelector("` + selector + `")?.textContent.includes("` + text + `")`)
}

// The page of files signs in by the auth site, once for the device, uses an app on
// another origin, and knows what to do about each refusal.
func TestStaticSiteWorksInABrowser(t *testing.T) {
	e := startEdge(t)
	e.start(t, stacks[0])
	u := e.newUser(t, "static")
	p := openPage(t)
	sessions := func() int {
		return len(call[[]any](t, http.MethodGet, e.base+"/api/v1/auth/sessions", nil, "Authorization", "Bearer "+u.accessToken))
	}
	quiet := func(but ...string) {
		t.Helper()
	complaints:
		for _, complaint := range p.complaints() {
			for _, allowed := range but {
				if strings.Contains(complaint, allowed) {
					continue complaints
				}
			}
			t.Errorf("the console has %q", complaint)
		}
	}
	before := sessions()

	p.do("open the page", chromedp.Navigate(e.pages+"/"))
	p.shows("#who", "Nobody is signed in.")
	p.await(`document.body.dataset.ready`)
	p.click("#sign-in")
	p.do("sign in", chromedp.SendKeys(chromedp.CSS("input[name=email]"), u.email), chromedp.SendKeys(chromedp.CSS("input[name=password]"), edgetest.SignUpPassword))
	p.click("main form button[type=submit]")
	p.shows("#who", "Hello, "+u.email+"!")
	p.await(`document.body.dataset.ready`)
	for _, use := range [][2]string{
		{"answer", "42"},
		{"events", "tick 3"},
		{"upload", "100000 bytes"},
		{"socket", "Hello, " + u.email + "!"},
		{"paid", "done"},
	} {
		p.do("say nothing", chromedp.Evaluate[chromedp.Void](`document.querySelector("output").textContent = ""`))
		p.click("#" + use[0])
		p.shows("output", use[1])
	}
	p.do("pay, and verify the receipt", chromedp.Evaluate[chromedp.Void](`void (async () => {
		const { Mana } = await import("@mana/edge");
		const { ReceiptVerifier } = await import("/clients/ts/receipt.js");
		const { auth, api } = document.body.dataset;
		const mana = new Mana({ baseUrl: auth });
		const { headers } = await mana.fetch(api + "/paid");
		const { cost } = await new ReceiptVerifier({ issuer: auth }).receiptOf(headers.get("X-Request-Id"), headers.get("Mana-Receipt"));
		mana.close();
		document.body.dataset.cost = cost;
	})()`))
	p.await(`document.body.dataset.cost === "4"`)
	// Without its tokens the page gets new ones of the session that the browser has.
	p.do("forget the tokens", chromedp.Evaluate[chromedp.Void](`localStorage.clear()`), chromedp.Navigate(e.pages+"/"))
	p.shows("#who", "Hello, "+u.email+"!")
	p.await(`document.body.dataset.ready`)
	quiet()
	// That of the browser, and one for the tokens of this origin, however often it asks.
	if now := sessions(); now != before+2 {
		t.Errorf("%d sessions of one browser and one origin", now-before)
	}

	p.click("#paid")
	p.shows("output", "This costs 4 credits, you have 0")
	quiet("status of 402")
	p.click("#busy")
	p.shows("output", "not too often")
	quiet("status of 429")
	p.do("spoil the token", chromedp.Evaluate[chromedp.Void](`{
		const tokens = JSON.parse(localStorage.getItem("mana.tokens"));
		localStorage.setItem("mana.tokens", JSON.stringify({ ...tokens, accessToken: "a.b.c" }));
	}`))
	p.click("#upload")
	p.shows("output", "100000 bytes")
	quiet("status of 401")

	p.click("#sign-out")
	p.shows("#who", "Nobody is signed in.")
	p.do("open the app", chromedp.Navigate(e.site+"/"))
	p.await(`location.href.startsWith("` + e.base + `/login")`)
	if now := sessions(); now != before {
		t.Errorf("%d sessions are left of the device", now-before)
	}
	quiet()
}

// The mobile app and the program of the command line renew their tokens, wait when
// they are told to, and say what there is to pay.
func TestPhoneAndCommandLineWorkWithTheEdge(t *testing.T) {
	e := startEdge(t)
	e.start(t, stacks[0])
	run(t, "../examples/mobile", e.env(t, "mobile"), "node", "--test", "drive.mjs")

	env := append(e.env(t, "cli"), "XDG_STATE_HOME="+t.TempDir())
	ask := func(path, want string) {
		t.Helper()
		if got := run(t, "../examples/cli", env, "python3", "answer.py", path); !strings.Contains(got, want) {
			t.Errorf("answer.py %s: %q", path, got)
		}
	}
	ask("/", "Hello, cli@example.test!")
	env = append(env, "MANA_EMAIL=", "MANA_PASSWORD=") // so that it lives by the tokens that it kept
	run(t, ".", env, "python3", "-c", `
import json, os, pathlib
kept = pathlib.Path(os.environ["XDG_STATE_HOME"]) / "answer.json"
assert kept.stat().st_mode & 0o77 == 0
kept.write_text(json.dumps({**json.loads(kept.read_text()), "accessToken": "a.b.c"}))`)
	ask("/", "Hello, cli@example.test!")
	for range 3 {
		ask("/busy", "done")
	}
	ask("/paid", "done")
	ask("/paid", "done")
	run(t, "../examples/cli", env, "bash", "-c", `! python3 answer.py /paid 2>said && grep "this costs 4 credits, you have 2" said; code=$?; rm -f said; exit $code`)
}

// The page of the first app, which comes from behind the gate, works by its cookie
// alone, and its link signs out and comes back.
func TestFirstAppWorksInABrowser(t *testing.T) {
	e := startEdge(t)
	e.start(t, stack{name: "first", dir: "../examples/first", command: []string{"go", "run", "."}})
	u := e.newUser(t, "first")
	p := openPage(t)
	signIn := func() {
		t.Helper()
		p.await(`location.href.startsWith("` + e.base + `/login")`)
		p.do("sign in", chromedp.SendKeys(chromedp.CSS("input[name=email]"), u.email), chromedp.SendKeys(chromedp.CSS("input[name=password]"), edgetest.SignUpPassword))
		p.click("main form button[type=submit]")
		p.shows("#who", "Hello, Zoë 100%!")
	}
	use := func(button, says string) {
		t.Helper()
		p.do("say nothing", chromedp.Evaluate[chromedp.Void](`document.querySelector("output").textContent = ""`))
		p.click(button)
		p.shows("output", says)
	}
	p.do("open the app", chromedp.Navigate(e.site+"/"))
	signIn()
	use("#picture", "(^_^)")
	use("#talk", "Hello, "+u.email+"!")
	for range 5 {
		use("#answer", "42")
	}
	if complaints := p.complaints(); len(complaints) > 0 {
		t.Errorf("the console has %q", complaints)
	}
	use("#answer", "Too few credits: "+e.base+"/account/credits")

	p.click("#sign-out")
	p.await(`location.pathname === "/sign-out"`)
	p.click("main form button[type=submit]")
	signIn()
}
