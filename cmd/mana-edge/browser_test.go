package main_test

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to show what is waited for.
const patience = 20 * time.Second

// A person signs up, signs in, uses two apps and signs out, in a real browser.
func TestBrowserSignsInOnceForAllApps(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	p := openPage(t)
	const email = "margaret@mana.how"

	p.open(e.Auth() + "/register")
	p.fill(`input[name=name]`, "Margaret")
	p.fill(`input[name=email]`, email)
	p.fill(`input[name=password]`, password)
	p.submit()
	p.left(e.Auth() + "/register")
	p.forget() // so that what follows proves the sign-in, whatever sign-up left behind

	p.open(e.AppURL() + "/?page=2")
	at := p.arrive(e.Auth() + "/login")
	if got := at.Query().Get("returnUrl"); got != e.AppURL()+"/?page=2" {
		t.Errorf("the sign-in page was given returnUrl %q", got)
	}
	p.fill(`input[name=email]`, email)
	p.fill(`input[name=password]`, password)
	p.submit()
	if at := p.arrive(e.AppURL() + "/"); at.RawQuery != "page=2" {
		t.Errorf("sign-in led back to %s, the page was ?page=2", at)
	}
	if got := p.text("#email"); got != email {
		t.Errorf("the app shows e-mail %q", got)
	}
	if got := p.text("#bearer"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("the app got Authorization %q", got)
	}

	p.open(e.Notes() + "/")
	p.arrive(e.Notes() + "/")
	if got := p.text("#email"); got != email {
		t.Errorf("the second app shows e-mail %q", got)
	}

	p.click("#account")
	p.arrive(e.Auth() + "/account")
	p.click(`button[value=sign-out]`)
	p.arrive(e.Auth() + "/login")
	for _, app := range []string{e.AppURL(), e.Notes()} {
		p.open(app + "/")
		p.arrive(e.Auth() + "/login")
	}
}

// page is a tab of a browser that nobody used before.
type page struct {
	testing.TB
	ctx context.Context
}

func openPage(t testing.TB, more ...chromedp.ExecAllocatorOption) page {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.IgnoreCertErrors, // the internal authority is not installed
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.mana.localhost 127.0.0.1, MAP *.partner.localhost 127.0.0.1, MAP * ~NOTFOUND"),
	)
	options = append(options, more...)
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
	return page{TB: t, ctx: ctx}
}

// do runs steps and fails the test if they take too long.
func (p page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatalf("%s at %s: %v", what, p.location(), err)
	}
}

// open goes to an address. Where another page is on its way it waits for that to end.
func (p page) open(url string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		err := chromedp.Do(ctx, chromedp.Navigate(url))
		switch {
		case err == nil:
			return
		case !strings.Contains(err.Error(), "ERR_ABORTED") || ctx.Err() != nil:
			p.Fatalf("open %s at %s: %v", url, p.location(), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p page) fill(selector, text string) {
	p.Helper()
	p.do("fill "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (p page) click(selector string) {
	p.Helper()
	p.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// submit presses the page's button.
func (p page) submit() {
	p.Helper()
	p.click(`main form button[type=submit]`)
}

// text is what an element says. A page that gives way to another while it is read is read
// anew.
func (p page) text(selector string) string {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
		switch {
		case err == nil:
			return strings.TrimSpace(text)
		case !gaveWay(err) || ctx.Err() != nil:
			p.Fatalf("read %s at %s: %v", selector, p.location(), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// gaveWay reports whether an error is that of a page that another has replaced meanwhile.
func gaveWay(err error) bool {
	return slices.ContainsFunc([]string{"No node with given id", "Cannot find context", "Could not find node", "Execution context was destroyed", "Inspected target navigated"},
		func(what string) bool { return strings.Contains(err.Error(), what) })
}

// location is where the tab is, as a text for people if that is unknown.
func (p page) location() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return "an unknown page (" + err.Error() + ")"
	}
	return at
}

// arrive waits until the tab is at the address, whatever its query.
func (p page) arrive(address string) *url.URL {
	p.Helper()
	return p.wait("arrive at "+address, func(at string) bool { return at == address })
}

// left waits until the tab is somewhere else.
func (p page) left(address string) *url.URL {
	p.Helper()
	return p.wait("leave "+address, func(at string) bool { return at != address })
}

func (p page) wait(what string, there func(address string) bool) *url.URL {
	p.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		at, err := url.Parse(p.location())
		if err == nil && there(at.Scheme+"://"+at.Host+at.Path) {
			return at
		}
		if time.Now().After(deadline) {
			body, _ := chromedp.Run(p.ctx, chromedp.Text(chromedp.CSS("body")))
			p.Fatalf("did not %s but is at %s, which says:\n%s", what, p.location(), body)
		}
	}
}

// forget drops every cookie.
func (p page) forget() {
	p.Helper()
	p.do("clear the cookies", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
}
