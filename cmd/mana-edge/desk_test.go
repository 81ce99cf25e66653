package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"mana.how/edge/internal/npmtest"
)

// An admin works at the desk on a phone and on a desk: nothing is wider than the window or
// amiss to axe-core, and the keyboard alone is enough to change something.
func TestBrowserAtTheDesk(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join(npmtest.Dir(t), "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	e := startEdge(t)
	var admin, user struct{ ID, Email, Password string }
	decode(t, e.run(t, "mana", "user", "create", "--email", "katherine@mana.how", "--role", "admin", "--config", e.config, "--json"), &admin)
	decode(t, e.run(t, "mana", "user", "create", "--email", "mary@mana.how", "--config", e.config, "--json"), &user)
	e.run(t, "mana", "credits", "grant", "--user", user.Email, "--amount", "10", "--config", e.config)

	p := openPage(t)
	complaints := p.complaints()
	p.open(e.Auth() + "/login?returnUrl=/admin")
	p.fill(`input[type=email]`, admin.Email)
	p.fill(`input[type=password]`, admin.Password)
	p.submit()
	p.arrive(e.Auth() + "/admin")
	for _, path := range []string{
		"/admin", "/admin/users", "/admin/users/" + user.ID, "/admin/organizations", "/admin/ledger", "/admin/ledger/" + user.ID, "/admin/gifts", "/admin/sales",
		"/admin/api-keys", "/admin/clients", "/admin/events", "/admin/outbox", "/admin/webhooks", "/admin/prices", "/admin/price-draft", "/admin/signing-keys", "/admin/edges", "/admin/search?q=" + user.ID,
	} {
		for _, width := range []int64{390, 1280} {
			p.do("fit the window", chromedp.EmulateViewport(width, 900))
			p.open(e.Auth() + path)
			if wide := evaluate[int64](p, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s is %d pixels wide, the window %d", path, wide, width)
			}
			evaluate[any](p, string(axe)+"; null")
			ctx := p.ctx
			list, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
				.then(found => JSON.stringify(found.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" "))))`, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			if err := json.Unmarshal([]byte(list), &found); err != nil || len(found) > 0 {
				t.Errorf("%s at %d pixels: %q (%v)", path, width, found, err)
			}
		}
	}

	// The keyboard finds the account and gives it credits.
	p.open(e.Auth() + "/admin/users")
	p.tabTo(`input[name=q]`)
	p.do("search", chromedp.KeyEvent("mary\r"))
	p.wait("see the search", func(string) bool { return strings.Contains(p.location(), "q=mary") })
	p.tabTo(`main table a[href^="/admin/users/"]`)
	p.do("follow", chromedp.KeyEvent("\r"))
	p.arrive(e.Auth() + "/admin/users/" + user.ID)
	const grant = `details:has(input[name=action][value=grant])`
	p.tabTo(grant + ` > summary`)
	p.do("open the form", chromedp.KeyEvent("\r"))
	p.tabTo(grant + ` input[name=amount]`)
	p.do("type", chromedp.KeyEvent("2.5"))
	p.tabTo(grant + ` textarea[name=reason]`)
	p.do("type", chromedp.KeyEvent("for a good idea"))
	p.tabTo(grant + ` button`)
	p.do("send", chromedp.KeyEvent("\r"))
	p.wait("see it done", func(string) bool { return strings.Contains(p.text("main"), "granted") })
	if got := e.run(t, "mana", "credits", "audit", "--config", e.config); !strings.Contains(got, "checked 2 rows") { // both grants
		t.Errorf("the audit says %s", got)
	}
	if got := complaints(); len(got) > 0 {
		t.Errorf("the console has %q", got)
	}
}

// tabTo presses the tabulator until an element has the focus.
func (p page) tabTo(selector string) {
	p.Helper()
	for range 200 {
		p.do("press the tabulator", chromedp.KeyEvent("\t"))
		if evaluate[bool](p, `!!document.activeElement && document.activeElement.matches(`+quoted(selector)+`)`) {
			return
		}
	}
	p.Fatalf("no tabulator leads to %s at %s", selector, p.location())
}

func quoted(text string) string {
	doc, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text
	}
	return string(doc)
}
