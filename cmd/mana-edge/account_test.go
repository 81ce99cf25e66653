package main_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// A person signs up, makes a passkey, signs in with it alone, shows with it once
// more who they are, and deletes the account, in a real browser with an
// authenticator.
func TestBrowserSignsInWithAPasskeyAlone(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	p := openPage(t)
	key := p.plugIn()
	complaints := p.complaints()
	const email = "grace@mana.how"

	p.open(e.Auth() + "/register")
	p.fill(`input[name=name]`, "Grace")
	p.fill(`input[name=email]`, email)
	p.fill(`input[name=password]`, password)
	p.submit()
	p.arrive(e.Auth() + "/account")

	p.open(e.Auth() + "/account/passkeys")
	p.fill(`form[data-passkey] input[name=name]`, "Key ring")
	p.click(`form[data-passkey] button`)
	p.wait("see the passkey", func(string) bool { return strings.Contains(p.text("main"), "Key ring") })
	if got := p.text(`[role=status]`); got == "" {
		t.Error("nothing says that the passkey is kept")
	}

	// Every section fits a narrow phone, and its menu opens by keyboard.
	p.do("narrow the window", chromedp.EmulateViewport(320, 640))
	for _, path := range []string{"", "/email", "/password", "/two-factor", "/passkeys", "/devices", "/events", "/preferences", "/data"} {
		p.open(e.Auth() + "/account" + path)
		if width := evaluate[int](p, `document.documentElement.scrollWidth`); width > 320 {
			t.Errorf("/account%s is %d pixels wide", path, width)
		}
	}
	evaluate[bool](p, `document.querySelector("details.sections-small summary").focus(), true`)
	p.do("open the menu", chromedp.KeyEvent("\r"))
	p.do("see the menu", chromedp.WaitVisible(chromedp.CSS(`details.sections-small a[aria-current=page]`)))
	p.do("widen the window", chromedp.EmulateViewport(1200, 900))
	if !evaluate[bool](p, `document.querySelector("nav.sections a").offsetHeight > 0 && document.querySelector("details.sections-small").offsetHeight === 0`) {
		t.Error("a wide page does not show its navigation, or shows it twice")
	}

	p.open(e.Auth() + "/account")
	p.touch(key, false) // else the page after the sign-out would sign in again
	p.click(`button[value=sign-out]`)
	p.arrive(e.Auth() + "/login")
	p.forget()
	p.do("leave the page, which waits for the key", chromedp.Navigate("about:blank"))
	p.touch(key, true)

	// The authenticator takes what the browser suggests where the address is typed.
	p.open(e.AppURL() + "/?page=2")
	if at := p.arrive(e.AppURL() + "/"); at.RawQuery != "page=2" {
		t.Errorf("the passkey led to %s, the page was ?page=2", at)
	}
	if got := p.text("#email"); got != email {
		t.Errorf("the app shows e-mail %q", got)
	}

	p.open(e.Auth() + "/reauthenticate?returnUrl=/account/data")
	p.click(`form[data-passkey] button`)
	p.arrive(e.Auth() + "/account/data")
	p.fill(`input[name=confirm]`, email)
	p.click(`button.danger`)
	p.wait("see that the account is gone", func(string) bool {
		body := p.text("body")
		return strings.Contains(body, "Your account is deleted")
	})
	p.open(e.Auth() + "/account")
	p.arrive(e.Auth() + "/login")
	if got := complaints(); len(got) > 0 {
		t.Errorf("the console has %q", got)
	}
}

// Who has no passkey is told so on the page, which goes on to work.
func TestBrowserIsToldOfNoPasskey(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	p := openPage(t)
	p.plugIn()
	p.open(e.Auth() + "/login?returnUrl=/account/events")
	p.click(`form[data-passkey] button`)
	p.wait("be told", func(string) bool { return strings.Contains(p.text("main"), "No passkey was used") })
}

// plugIn gives the tab an authenticator that keeps passkeys and verifies its user, who
// touches it at once.
func (p page) plugIn() (authenticator webauthn.AuthenticatorID) {
	p.Helper()
	p.do("plug an authenticator in", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		added, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
			},
		})
		authenticator = added.AuthenticatorID
		return err
	}))
	return authenticator
}

// touch says whether the user touches the authenticator when it is asked.
func (p page) touch(authenticator webauthn.AuthenticatorID, does bool) {
	p.Helper()
	p.do("touch the authenticator", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: authenticator, Enabled: does})
		return err
	}))
}

// evaluate is what an expression is on the page.
func evaluate[T any](p page, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
		switch {
		case err == nil:
			return v
		case !gaveWay(err) || ctx.Err() != nil:
			p.Fatalf("evaluate %s at %s: %v", expression, p.location(), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// complaints listens to the console, and gives the warnings and errors that the
// pages have brought it so far.
func (p page) complaints() func() []string {
	p.Helper()
	var mu sync.Mutex
	var list []string
	messages := chromedp.Console(p.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			switch m.Type {
			case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
				mu.Lock()
				list = append(list, m.URL+": "+m.String())
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}
