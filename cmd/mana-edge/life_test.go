package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"mana.how/edge/internal/npmtest"
)

// Somebody lives with an account from the first visit to its end: on a phone, in German,
// and by the pages alone.
func TestBrowserLivesWithAnAccount(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.Options = "email_verification required"
	e.start(t)
	p := openPage(t, chromedp.Flag("accept-lang", "de-DE,de"))
	key := p.plugIn()
	p.do("hold a phone", chromedp.EmulateViewport(390, 844))
	complaints := p.complaints()
	const email, later = "hedy@mana.how", "hedy.lamarr@mana.how"
	at := func(path string) string { return e.Auth() + path }
	says := func(what string) {
		t.Helper()
		p.wait("read "+what, func(string) bool { return strings.Contains(p.text("body"), what) })
	}

	// Register, open the mail, prove the address, sign in.
	p.open(at("/register"))
	if got := evaluate[string](p, `document.documentElement.lang`); got != "de" {
		t.Errorf("the page is in %q", got)
	}
	p.fill(`input[name=name]`, "Hedy")
	p.fill(`input[name=email]`, email)
	p.fill(`input[name=password]`, password)
	p.submit()
	p.open(mailedLink(t, e, "/api/auth/verify-email"))
	p.submit()
	p.arrive(at("/login"))
	says("bestätigt")
	p.fill(`input[name=password]`, password)
	p.submit()
	p.arrive(at("/account"))

	// A passkey, and a sign-in with it alone.
	p.open(at("/account/passkeys"))
	p.fill(`form[data-passkey] input[name=name]`, "Telefon")
	p.click(`form[data-passkey] button`)
	says("Telefon")
	p.touch(key, false) // else the page after the sign-out would sign in again
	p.signOut(e)
	p.open("about:blank")
	p.touch(key, true)
	p.open(at("/login?returnUrl=/account/passkeys"))
	p.arrive(at("/account/passkeys")) // what the browser suggests is taken

	// A second factor from the QR code, lost, and a backup code in its place.
	p.open(at("/account/two-factor"))
	if evaluate[bool](p, `!!document.querySelector("input[name=password]")`) {
		p.fill(`input[name=password]`, password)
	}
	p.click(`button[value=enroll]`)
	p.do("see the code", chromedp.WaitVisible(chromedp.CSS(`svg.qr`)))
	codes := strings.Fields(evaluate[string](p, `[...document.querySelectorAll("ul.codes code")].map(c => c.textContent).join(" ")`))
	if len(codes) != 10 {
		t.Fatalf("%d backup codes", len(codes))
	}
	size, path := evaluate[string](p, `document.querySelector("svg.qr").getAttribute("viewBox").split(" ")[2]`), evaluate[string](p, `document.querySelector("svg.qr path").getAttribute("d")`)
	secret := secretOf(t, scan(t, size, path))
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.fill(`input[name=code]`, code)
	p.click(`button[value=confirm]`)
	p.wait("see that it is on", func(string) bool {
		return evaluate[bool](p, `!document.querySelector("svg.qr") && !!document.querySelector("button[value=disable]")`)
	})
	p.touch(key, false)
	p.signOut(e)
	p.unplug()
	p.open(at("/login"))
	p.fill(`input[type=email]`, email)
	p.fill(`input[type=password]`, password)
	p.submit()
	p.arrive(at("/two-factor"))
	p.click(`a[href*="backup_code"]`)
	p.fill(`input[name=code]`, codes[0])
	p.submit()
	p.arrive(at("/account"))

	// Another device, which is signed out from here.
	other := e.client()
	var asked struct{ Details struct{ Challenge string } }
	decode(t, string(want(t, send(t, other, http.MethodPost, at("/api/v1/auth/login"), map[string]string{"email": email, "password": password}), http.StatusConflict).Body), &asked)
	tokens := want(t, send(t, other, http.MethodPost, at("/api/v1/auth/login/second-factor"),
		map[string]string{"challenge": asked.Details.Challenge, "method": "backup_code", "code": codes[1], "deviceName": "Tablet"}), http.StatusOK)
	p.open(at("/account/devices"))
	p.click(`button[aria-label*="Tablet"]`)
	p.wait("see the tablet go", func(string) bool { return !strings.Contains(p.text("ul.devices"), "Tablet") })
	want(t, send(t, other, http.MethodGet, at("/api/v1/auth/session"), nil, "Authorization", "Bearer "+tokens.Text("accessToken")), http.StatusUnauthorized)

	// Another address, and back.
	p.open(at("/account/email"))
	p.fill(`input[name=email]`, later)
	p.submit()
	p.open(mailedLink(t, e, "/api/auth/change-email/verify"))
	p.submit()
	p.left(at("/api/auth/change-email/verify"))
	undo := mailedLink(t, e, "/api/auth/change-email/undo")
	p.open(at("/account/email"))
	says(later)
	p.open(undo)
	p.submit()
	p.arrive(at("/login")) // with the address filled in
	p.fill(`input[type=password]`, password)
	p.submit()
	p.arrive(at("/two-factor"))
	p.click(`a[href*="backup_code"]`)
	p.fill(`input[name=code]`, codes[2])
	p.submit()
	p.arrive(at("/account"))

	// A gift to somebody, and one from somebody.
	mana := func(args ...string) { e.run(t, append([]string{"mana"}, append(args, "--config", e.config)...)...) }
	mana("credits", "grant", "--user", email, "--amount", "50")
	p.open(at("/account/gifts"))
	p.fill(`input[name=credits]`, "5")
	p.fill(`textarea[name=message]`, "Für dich")
	p.click(`button[value=make]`)
	p.do("see the code", chromedp.WaitVisible(chromedp.CSS(`.done code`)))
	given := p.text(`.done code`)
	var friend struct{ Email, Password string }
	decode(t, e.run(t, "mana", "user", "create", "--email", "george@mana.how", "--config", e.config, "--json"), &friend)
	mana("user", "verify", friend.Email)
	mana("credits", "grant", "--user", friend.Email, "--amount", "20")
	his := "Bearer " + want(t, send(t, e.client(), http.MethodPost, at("/api/v1/auth/login"), map[string]string{"email": friend.Email, "password": friend.Password}), http.StatusOK).Text("accessToken")
	taken := want(t, send(t, e.client(), http.MethodPost, at("/api/v1/gifts/"+given+"/redeem"), map[string]string{}, "Authorization", his), http.StatusOK)
	if !strings.Contains(string(taken.Body), `"success":true`) {
		t.Errorf("the friend redeems: %s", taken.Body)
	}
	back := want(t, send(t, e.client(), http.MethodPost, at("/api/v1/gifts"), map[string]any{"credits": 7}, "Authorization", his), http.StatusCreated).Text("code")
	p.open(at("/g/" + back))
	p.submit()
	p.arrive(at("/account/gifts"))
	p.open(at("/account/credits"))
	says("52") // of 50, five given and seven got

	// The data, and the end.
	files := t.TempDir()
	p.do("take files", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: files})
		return err
	}))
	p.open(at("/account/data"))
	p.click(`form[action="/account/data/export"] button`)
	doc := downloaded(t, files)
	for _, part := range []string{email, given, back, "Telefon"} {
		if !strings.Contains(doc, part) {
			t.Errorf("the export has no %s", part)
		}
	}
	p.open(at("/account/data"))
	p.fill(`input[name=confirm]`, email)
	if evaluate[bool](p, `!!document.querySelector("form[action='/account/data'] input[type=password]")`) {
		p.fill(`form[action="/account/data"] input[type=password]`, password)
	}
	p.click(`button.danger`)
	says("Dein Konto ist gelöscht")
	p.open(at("/account"))
	p.arrive(at("/login"))
	if got := complaints(); len(got) > 0 {
		t.Errorf("the console has %q", got)
	}
}

// downloaded is the file that comes to a directory.
func downloaded(t testing.TB, dir string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		found, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 1 {
			if text, err := os.ReadFile(found[0]); err == nil && json.Valid(text) {
				return string(text)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no file came, but %q", found)
		}
	}
}

// secretOf is the secret of an otpauth address.
func secretOf(t testing.TB, address string) string {
	t.Helper()
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		t.Fatalf("the QR code says %q: %v", address, err)
	}
	return key.Secret()
}

// unplug takes the authenticator away.
func (p page) unplug() {
	p.Helper()
	p.do("unplug the authenticator", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, webauthn.Disable, cdp.Empty{})
		return err
	}))
}

// signOut signs out by the account page.
func (p page) signOut(e *Edge) {
	p.Helper()
	p.open(e.Auth() + "/account")
	p.click(`button[value=sign-out]`)
	p.arrive(e.Auth() + "/login")
}

// scan reads a QR code as a phone does: from its picture.
func scan(t testing.TB, size, path string) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(npmtest.Dir(t), "node_modules/jsqr/dist/jsQR.js"))
	if err != nil {
		t.Fatal(err)
	}
	p := openPage(t)
	p.open("about:blank")
	evaluate[any](p, string(script)+"; null")
	return evaluate[string](p, fmt.Sprintf(`(() => {
		const scale = 8, width = %s * scale, canvas = new OffscreenCanvas(width, width), c = canvas.getContext("2d")
		c.fillStyle = "#fff"; c.fillRect(0, 0, width, width); c.fillStyle = "#000"; c.scale(scale, scale); c.fill(new Path2D(%q))
		const found = jsQR(c.getImageData(0, 0, width, width).data, width, width)
		return found ? found.data : ""
	})()`, size, path))
}
