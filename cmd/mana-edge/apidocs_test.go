package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Whoever is signed in searches the routes of the API and tries one, on a phone.
func TestAPIDocsAreTried(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	r := startDev(t, dir)
	p := openPage(t, chromedp.Flag("host-resolver-rules", "MAP localhost 127.0.0.1, MAP * ~NOTFOUND"), chromedp.WindowSize(390, 844))
	complaints := p.complaints()
	const route = `details[data-method="GET"][data-path="/api/v1/credits/balance"]`
	try := func(want string) {
		t.Helper()
		p.open(r.auth + "/api-docs")
		p.fill("#find", "balance caller")
		if found := p.text("#found"); !strings.Contains(found, " ") || strings.HasPrefix(found, "0 ") {
			t.Errorf("the search says %q", found)
		}
		if !evaluate[bool](p, `document.querySelector('details[data-path="/api/v1/auth/login"]').hidden && !document.querySelector('`+route+`').hidden`) {
			t.Error("the search shows what it should not, or hides what was looked for")
		}
		// Who is faster than the description of the route stays on the page.
		evaluate[bool](p, `(() => {
			const other = document.querySelector('details[data-path="/api/v1/auth/jwks"]');
			other.addEventListener("toggle", () => {
				const sent = new Event("submit", { cancelable: true });
				other.querySelector("form").dispatchEvent(sent);
				window.stayed = sent.defaultPrevented;
			}, { once: true });
			return other.open = true;
		})()`)
		p.wait("send a form without its fields", func(string) bool { return evaluate[bool](p, `window.stayed !== undefined`) })
		if !evaluate[bool](p, `window.stayed`) {
			t.Error("a form that is sent before its fields are there leaves the page")
		}
		p.click(route + " summary")
		for deadline := time.Now().Add(patience); ; {
			p.click(route + " form button") // again, where the page moved under the pointer
			time.Sleep(time.Second)
			if said := p.text(route + " form"); strings.Contains(said, want) {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("the page says %q, want %q", said, want)
			}
		}
		if !evaluate[bool](p, `document.documentElement.scrollWidth <= innerWidth`) {
			t.Error("the page is wider than a phone")
		}
	}
	try("sign in")
	p.open(r.auth + "/login")
	p.fill(`input[name=email]`, "credits@dev.test")
	p.fill(`input[name=password]`, devPassword)
	p.submit()
	p.left(r.auth + "/login")
	try(`"balance": 1000`)
	for _, complaint := range complaints() {
		if !strings.Contains(complaint, "401") { // of the try as nobody
			t.Errorf("the console has %q", complaint)
		}
	}
	r.stop(t)
	nothingOf(t, dir)
}
