package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/npmtest"
)

// clientPage is an app of somebody else's in a browser, by oidc-client-ts.
const clientPage = `<!doctype html><title>Partner</title><script src="/oidc-client-ts.js"></script>
<button id="in">Sign in</button> <button id="again">Refresh</button> <p id="who"></p> <p id="what"></p>
<script>
const {UserManager, WebStorageStateStore} = oidc
const manager = new UserManager({
  authority: %q, client_id: 'partner', redirect_uri: location.origin + '/callback', scope: 'openid profile email offline_access',
  loadUserInfo: true, automaticSilentRenew: false, userStore: new WebStorageStateStore({store: localStorage}),
})
const show = (id, text) => document.getElementById(id).textContent = text
const showUser = user => show('who', user ? user.profile.name + ' <' + user.profile.email + '> ' + user.profile.email_verified : 'nobody')
document.getElementById('in').onclick = () => manager.signinRedirect()
document.getElementById('again').onclick = () => manager.signinSilent()
  .then(user => show('what', 'refreshed for ' + user.profile.name))
  .catch(async e => { await manager.removeUser(); show('what', 'signed out: ' + e.error); showUser(null) })
if (location.pathname === '/callback') manager.signinCallback().then(() => location.replace('/'), e => show('what', 'failed: ' + e))
else manager.getUser().then(showUser)
</script>`

// Somebody comes from an app that the edge does not know them by, registers on the way,
// proves the address, makes a passkey, allows the app what it asks for and lands in it; then
// takes that back in the account, and the app is signed out.
func TestBrowserConnectsAnApp(t *testing.T) {
	t.Parallel()
	modules := npmtest.Dir(t)
	e := newEdge(t)
	app := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oidc-client-ts.js" {
			http.ServeFile(w, r, filepath.Join(modules, "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, clientPage, e.Auth())
	}))
	t.Cleanup(app.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(app.URL, "https://"), ":")
	partner := "https://app.partner.localhost:" + port
	e.Options = fmt.Sprintf("email_verification required\noidc_client partner {\n name \"Partner\"\n public\n redirect_uri %s/callback\n}", partner)
	e.start(t)

	p := openPage(t)
	p.plugIn()
	complaints := p.complaints()
	const email = "dorothy@mana.how"
	p.open(partner + "/")
	p.wait("see the app", func(string) bool { return p.text("#who") == "nobody" })
	p.click("#in")
	p.arrive(e.Auth() + "/login")
	p.click(`a[href^="/register"]`)
	p.arrive(e.Auth() + "/register")
	p.fill(`input[name=name]`, "Dorothy")
	p.fill(`input[name=email]`, email)
	p.fill(`input[name=password]`, password)
	p.submit()
	p.open(mailedLink(t, e, "/api/auth/verify-email"))
	p.submit()
	p.arrive(e.Auth() + "/login")
	p.fill(`input[name=password]`, password)
	p.submit()
	question := p.arrive(e.Auth() + "/consent").String()
	if text := p.text("main"); !strings.Contains(text, "Partner") || !strings.Contains(text, email) {
		t.Errorf("the question is %q", text)
	}

	p.open(e.Auth() + "/account/passkeys")
	p.fill(`form[data-passkey] input[name=name]`, "Key ring")
	p.click(`form[data-passkey] button`)
	p.wait("see the passkey", func(string) bool { return strings.Contains(p.text("main"), "Key ring") })

	p.open(question)
	p.click(`button[value=allow]`)
	p.arrive(partner + "/")
	p.wait("be known to the app", func(string) bool { return p.text("#who") == "Dorothy <"+email+"> true" })
	p.click("#again")
	p.wait("see the session prolonged", func(string) bool { return p.text("#what") == "refreshed for Dorothy" })

	p.open(e.Auth() + "/account/apps")
	if text := p.text("main"); !strings.Contains(text, "Partner") {
		t.Errorf("the connected apps are %q", text)
	}
	if got := complaints(); len(got) > 0 {
		t.Errorf("the console has %q", got)
	}
	p.click(`form[action="/account/apps"] button`)
	p.wait("see that nothing is connected", func(string) bool { return !strings.Contains(p.text("main"), "Partner") })
	p.open(partner + "/")
	p.click("#again")
	p.wait("be signed out", func(string) bool { return p.text("#what") == "signed out: invalid_grant" && p.text("#who") == "nobody" })

	// The app asks once more, and so does the edge.
	p.click("#in")
	p.arrive(e.Auth() + "/consent")
	p.click(`button[value=refuse]`)
	p.arrive(partner + "/callback")
	p.wait("be told", func(string) bool {
		return strings.Contains(p.text("#what"), "access_denied") || strings.Contains(p.text("#what"), "failed")
	})
	for line := range strings.Lines(e.log.String()) { // what the library of OpenID writes is part of the log
		if strings.Contains(line, "oidc_error") && line[0] != '{' || strings.Contains(line, "registered route") {
			t.Errorf("logged past Caddy: %s", line)
		}
	}
}

// mailedLink is the last link to a path that was mailed; without SMTP mails stand in the log.
func mailedLink(t testing.TB, e *Edge, path string) string {
	t.Helper()
	link := regexp.MustCompile(regexp.QuoteMeta(e.Auth()+path) + `\?[^\s"\\]+`)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if found := link.FindAllString(e.log.String(), -1); len(found) > 0 {
			return found[len(found)-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no mail with a link to %s", path)
		}
	}
}
