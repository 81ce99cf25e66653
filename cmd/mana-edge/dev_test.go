package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const devPassword = "mana-edge-dev"

// dev prepares `mana-edge dev` with all it writes below dir.
func dev(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "mana-edge"), append([]string{"dev"}, args...)...)
	cmd.Dir = dir
	// What a developer's shell may have set leads nowhere near their production.
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir,
		"DATABASE_URL=postgres://nobody@127.0.0.1:1/production", "STRIPE_SECRET_KEY=sk_live_1", "SMTP_USER=a", "SMTP_PASSWORD=b", "BASE_URL=https://auth.example.com")
	return cmd
}

// devDir is one that the user who runs PostgreSQL for root can reach.
func devDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mana-dev-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nothingOf fails the test where a process names the directory, or anything lies in it.
func nothingOf(t *testing.T, dir string) {
	t.Helper()
	if left := (&Edge{dir: dir}).leftRunning(t); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// A command runs with the family around it, and its exit code is that of all.
func TestDevRunsACommandOnce(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	cmd := dev(t, dir, "--once", "--", "bash", "-c", `
set -euo pipefail
me() { curl -sSf "$MANA_URL/api/v1/auth/profile" -H "Authorization: Bearer $1"; }
me "$MANA_TOKEN" | grep -q "$MANA_EMAIL"
me "$MANA_ADMIN_TOKEN" | grep -q '"role":"admin"'
curl -sSf "$MANA_URL/api/v1/credits/balance" -H "Authorization: Bearer $MANA_CREDITS_TOKEN" | grep -q '"balance":1000'
curl -sSf "$MANA_URL/api/v1/internal/users/$MANA_FACTOR_USER_ID" -H "X-Service-Key: $MANA_SERVICE_KEY" | grep -q "$MANA_FACTOR_EMAIL"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$MANA_SITE/")" = 401 ]
curl -sSf "$MANA_MAILBOX/mails" >/dev/null
[ "$DATABASE_URL" = postgres://nobody@127.0.0.1:1/production ]
sleep 600 & # is not waited for
echo all is well
exit 7`)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || stdout.String() != "all is well\n" {
		t.Errorf("%v, %q\n%s", err, stdout.String(), stderr.String())
	}
	nothingOf(t, dir)
	for code, command := range map[int][]string{0: {"true"}, 1: {"false"}, 127: {"no-such-program"}, 128 + 15: {"bash", "-c", "kill -TERM $$"}} {
		cmd := dev(t, dir, append([]string{"--once", "--"}, command...)...)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != code {
			t.Errorf("%v: exit code %d, want %d\n%s", command, cmd.ProcessState.ExitCode(), code, out)
		}
	}
	nothingOf(t, dir)
}

// devRun is a running `mana-edge dev`.
type devRun struct {
	auth, mailbox, site string
	cmd                 *exec.Cmd
	said                *logBuffer
}

// startDev waits until it says where everything is.
func startDev(t *testing.T, dir string, args ...string) devRun {
	t.Helper()
	r := devRun{cmd: dev(t, dir, append([]string{"--port", "0"}, args...)...), said: new(logBuffer)}
	r.cmd.Stdout, r.cmd.Stderr = r.said, r.said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("it said: %s", r.said)
		}
	})
	for deadline := time.Now().Add(startTimeout); !strings.Contains(r.said.String(), "Ctrl-C"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not up within %v: %s", startTimeout, r.said)
		}
	}
	for name, into := range map[string]*string{"auth": &r.auth, "mailbox": &r.mailbox, "app": &r.site} {
		m := regexp.MustCompile(`(?m)^  ` + name + ` +(http://localhost:\d+)\b`).FindStringSubmatch(r.said.String())
		if m == nil {
			t.Fatalf("no address of %s: %s", name, r.said)
		}
		*into = m[1]
	}
	return r
}

func (r devRun) stop(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("the end: %v", err)
	}
}

// mailTo waits for the mail of a kind.
func (r devRun) mailTo(t *testing.T, address, kind string) (text string, links []string) {
	t.Helper()
	a := want(t, send(t, new(http.Client), "GET", r.mailbox+"/mails?wait=20&"+url.Values{"to": {address}, "kind": {kind}}.Encode(), nil), 200)
	var list []struct {
		Text  string
		Links []string
	}
	if err := json.Unmarshal(a.Body, &list); err != nil || len(list) == 0 {
		t.Fatalf("no %s to %s: %v, %s", kind, address, err, a.Body)
	}
	return list[0].Text, list[0].Links
}

// The family works as one in production does, but for codes and mails.
func TestDevIsAFamily(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %t", r.Header.Get("X-Mana-Email"), r.Header.Get("X-Mana-Assertion") != "")
	}))
	t.Cleanup(app.Close)
	dir := devDir(t)
	data := filepath.Join(dir, "kept")
	r := startDev(t, dir, "--data", data, "--upstream", strings.TrimPrefix(app.URL, "http://"))
	client := new(http.Client)
	post := func(path string, body map[string]any, headers ...string) Answer {
		t.Helper()
		return send(t, client, "POST", r.auth+path, body, headers...)
	}

	want(t, send(t, client, "GET", r.site+"/", nil), 401)
	login := want(t, post("/api/v1/auth/login", map[string]any{"email": "user@dev.test", "password": devPassword}), 200)
	if a := want(t, send(t, client, "GET", r.site+"/", nil, "Authorization", "Bearer "+login.Text("accessToken")), 200); string(a.Body) != "user@dev.test true" {
		t.Errorf("the app says %q", a.Body)
	}

	challenge := want(t, post("/api/v1/auth/login", map[string]any{"email": "factor@dev.test", "password": devPassword}), 409)
	details, _ := challenge.JSON()["details"].(map[string]any)
	second := func(code string) Answer {
		t.Helper()
		return post("/api/v1/auth/login/second-factor", map[string]any{"challenge": details["challenge"], "code": code})
	}
	want(t, second("111111"), 401)
	want(t, second("000000"), 200)

	want(t, post("/api/auth/sign-in/magic-link", map[string]any{"email": "user@dev.test"}), 200)
	if text, _ := r.mailTo(t, "user@dev.test", "magic_link"); !strings.Contains(strings.ReplaceAll(text, " ", ""), "00000000") {
		t.Errorf("the mail says %s", text)
	}
	want(t, post("/api/v1/auth/login/code", map[string]any{"email": "user@dev.test", "code": "00000000"}), 200)

	newcomer := map[string]any{"email": "new@dev.test", "password": "a password of a newcomer", "name": "New"}
	want(t, post("/api/v1/auth/register", newcomer), 201)
	delete(newcomer, "name")
	want(t, post("/api/v1/auth/login", newcomer), 403)
	_, links := r.mailTo(t, "new@dev.test", "verify_email")
	if len(links) == 0 || !strings.HasPrefix(links[0], r.auth+"/") {
		t.Fatalf("the links are %v", links)
	}
	link, err := url.Parse(links[0])
	if err != nil {
		t.Fatal(err)
	}
	confirm, err := http.NewRequestWithContext(t.Context(), "POST", r.auth+link.Path, strings.NewReader(link.Query().Encode()))
	if err != nil {
		t.Fatal(err)
	}
	confirm.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {r.auth}}
	if resp, err := http.DefaultTransport.RoundTrip(confirm); err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the address is not confirmed: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	want(t, post("/api/v1/auth/login", newcomer), 200)

	page := want(t, send(t, client, "GET", r.mailbox+"/", nil), 200)
	for _, text := range []string{"new@dev.test", "factor@dev.test", r.auth, r.site, devPassword} {
		if !strings.Contains(string(page.Body), text) {
			t.Errorf("the mailbox does not show %s", text)
		}
	}
	mail := want(t, send(t, client, "GET", r.mailbox+regexp.MustCompile(`/mails/\d+`).FindString(string(page.Body)), nil), 200)
	if !strings.Contains(string(mail.Body), "<iframe") || !strings.Contains(mail.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("a mail as %s", mail.Body)
	}
	foreign, err := http.NewRequestWithContext(t.Context(), "GET", r.mailbox+"/mails", nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign.Host = "rebound.example.com"
	if resp, err := client.Do(foreign); err != nil || resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	want(t, send(t, client, "POST", r.mailbox+"/mails/empty", nil, "Origin", "https://example.com"), 403)
	want(t, send(t, client, "DELETE", r.mailbox+"/mails", nil), 204)
	if a := send(t, client, "GET", r.mailbox+"/mails", nil); string(a.Body) != "[]\n" {
		t.Errorf("the empty mailbox has %s", a.Body)
	}
	r.stop(t)

	// What was written is there again, and serves no other purpose.
	r = startDev(t, dir, "--data", data)
	want(t, post("/api/v1/auth/login", newcomer), 200)
	r.stop(t)
	if err := os.Remove(filepath.Join(data, "mana-edge-dev")); err != nil {
		t.Fatal(err)
	}
	if out, err := dev(t, dir, "--data", data).CombinedOutput(); err == nil || !strings.Contains(string(out), "neither empty nor made by mana-edge dev") {
		t.Errorf("with the data of others: %v, %s", err, out)
	}
	if left := (&Edge{dir: dir}).leftRunning(t); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
}

// form sends one to the pages beside the auth site, as a browser does, and does
// not follow where it leads.
func (r devRun) form(t *testing.T, address string, values url.Values) (status int, location, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", address, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// Payments go through Stripe's pages without money, time passes for what is
// stored, and both are there again after a restart.
func TestDevPaymentsAndTime(t *testing.T) {
	t.Parallel()
	dir := devDir(t)
	data := filepath.Join(dir, "kept")
	r := startDev(t, dir, "--data", data)
	client := new(http.Client)
	var access, refresh string
	at := func(method, path string, body any) Answer {
		t.Helper()
		return send(t, client, method, r.auth+path, body, "Authorization", "Bearer "+access)
	}
	signIn := func() {
		t.Helper()
		login := want(t, send(t, client, "POST", r.auth+"/api/v1/auth/login", map[string]any{"email": "user@dev.test", "password": devPassword}), 200)
		access, refresh = login.Text("accessToken"), login.Text("refreshToken")
	}
	balance := func() float64 {
		t.Helper()
		n, _ := want(t, at("GET", "/api/v1/credits/balance", nil), 200).JSON()["balance"].(float64)
		return n
	}
	pass := func(by string) {
		t.Helper()
		if status, _, body := r.form(t, r.mailbox+"/time", url.Values{"by": {by}}); status != 303 {
			t.Fatalf("%s do not pass: %d %s", by, status, body)
		}
	}
	signIn()
	before := balance()

	// A package, bought by a card that is declined at first.
	var packages []map[string]any
	if err := json.Unmarshal(want(t, at("GET", "/api/v1/credits/packages", nil), 200).Body, &packages); err != nil || len(packages) == 0 {
		t.Fatalf("no packages: %v", err)
	}
	bought := want(t, at("POST", "/api/v1/credits/purchase", map[string]any{"packageId": packages[0]["id"], "successUrl": r.auth + "/account/credits?done", "cancelUrl": r.auth + "/account/credits"}), 201)
	checkout := bought.Text("checkoutUrl")
	if !strings.HasPrefix(checkout, r.mailbox+"/stripe/c/pay/") {
		t.Fatalf("the checkout is at %q", checkout)
	}
	if page := want(t, send(t, client, "GET", checkout, nil), 200); !strings.Contains(string(page.Body), "EUR") {
		t.Errorf("the checkout shows %s", page.Body)
	}
	if _, to, body := r.form(t, checkout, url.Values{"how": {"declined"}}); to == "" || balance() != before {
		t.Errorf("a declined card leads to %q, %s", to, body)
	}
	if _, to, _ := r.form(t, checkout, url.Values{"how": {"card"}}); to != r.auth+"/account/credits?done" {
		t.Errorf("paid leads to %q", to)
	}
	paid := balance()
	if want := before + packages[0]["credits"].(float64); paid != want {
		t.Errorf("the balance is %v, want %v", paid, want)
	}
	if status, _, body := r.form(t, checkout, url.Values{"how": {"card"}}); status != 400 || !strings.Contains(body, "cannot be paid") {
		t.Errorf("paid twice: %d %s", status, body)
	}
	page := string(want(t, send(t, client, "GET", r.mailbox+"/stripe", nil), 200).Body)
	charge := regexp.MustCompile(`<td>(ch_\w+)</td><td>[^<]*</td><td>succeeded</td>`).FindStringSubmatch(page)
	if charge == nil || !strings.Contains(page, "<td>failed</td>") {
		t.Fatalf("the dashboard shows %s", page)
	}
	if status, _, body := r.form(t, r.mailbox+"/stripe", url.Values{"do": {"refund"}, "id": {charge[1]}}); status != 303 || balance() != before {
		t.Errorf("refunded: %d %s, the balance is %v", status, body, balance())
	}

	// A card that is saved, and whose bank asks about what it is charged for.
	saving := want(t, at("POST", "/api/v1/credits/auto-top-up/card", map[string]any{}), 200).Text("url")
	if page := want(t, send(t, client, "GET", saving, nil), 200); !strings.Contains(string(page.Body), "Save a card") {
		t.Errorf("the checkout shows %s", page.Body)
	}
	if _, to, body := r.form(t, saving, url.Values{"how": {"asks"}}); !strings.HasPrefix(to, r.auth+"/account/credits/auto-top-up?session=cs_") {
		t.Errorf("saved leads to %q, %s", to, body)
	}
	topUp := func() map[string]any {
		var now map[string]any
		if err := json.Unmarshal(want(t, at("GET", "/api/v1/credits/auto-top-up", nil), 200).Body, &now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	await := func(what string, is func(map[string]any) bool) {
		for end := time.Now().Add(time.Minute); !is(topUp()); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %v", what, topUp())
			}
		}
	}
	await("no card is saved", func(now map[string]any) bool { return now["card"] != nil })
	large := packages[len(packages)-1]
	want(t, at("PUT", "/api/v1/credits/auto-top-up", map[string]any{"enabled": true, "consent": true, "packageId": large["id"],
		"threshold": large["credits"], "monthlyCapEuroCents": large["priceEuroCents"]}), 200)
	await("the bank does not ask", func(now map[string]any) bool {
		running, _ := now["running"].(map[string]any)
		return running["confirm"] == true
	})
	bank := want(t, at("POST", "/api/v1/credits/auto-top-up/confirm", map[string]any{}), 200).Text("url")
	if page := want(t, send(t, client, "GET", bank, nil), 200); !strings.Contains(string(page.Body), "Confirm") {
		t.Errorf("the bank shows %s", page.Body)
	}
	if _, to, body := r.form(t, bank, url.Values{"how": {"confirm"}}); !strings.HasPrefix(to, r.auth+"/account/credits/auto-top-up") || balance() != before+large["credits"].(float64) {
		t.Errorf("confirmed leads to %q, %s; the balance is %v", to, body, balance())
	}
	before = balance()

	// A plan, which is renewed as time passes.
	var plans []map[string]any
	if err := json.Unmarshal(want(t, at("GET", "/api/v1/subscriptions/plans", nil), 200).Body, &plans); err != nil {
		t.Fatal(err)
	}
	var plus any
	for _, plan := range plans {
		if plan["name"] == "Plus" {
			plus = plan["id"]
		}
	}
	ordered := want(t, at("POST", "/api/v1/subscriptions/checkout", map[string]any{"planId": plus, "billingInterval": "month", "successUrl": r.auth + "/", "cancelUrl": r.auth + "/"}), 201)
	if status, _, body := r.form(t, ordered.Text("url"), url.Values{"how": {"card"}}); status != 303 {
		t.Fatalf("the plan is not paid: %d %s", status, body)
	}
	invoices := func() int {
		t.Helper()
		var list []any
		if err := json.Unmarshal(want(t, at("GET", "/api/v1/subscriptions/invoices", nil), 200).Body, &list); err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := invoices(); n != 1 {
		t.Errorf("%d invoices", n)
	}
	r.stop(t)
	r = startDev(t, dir, "--data", data)
	signIn() // ports have changed, and the issuer with them

	// An access token is over after its time, a session is not.
	pass("16m")
	want(t, at("GET", "/api/v1/credits/balance", nil), 401)
	renewed := want(t, send(t, client, "POST", r.auth+"/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}), 200)
	access = renewed.Text("accessToken")
	pass("32d")
	signIn()
	if n := invoices(); n != 2 {
		t.Errorf("%d invoices after a month", n)
	}
	pass("400d")
	want(t, send(t, client, "POST", r.auth+"/api/v1/auth/refresh", map[string]any{"refreshToken": refresh}), 401)
	signIn()
	if n := invoices(); n < 12 {
		t.Errorf("%d invoices after a year", n)
	}
	for _, by := range []string{"", "-1h", "0s", "soon", "100000d"} {
		if status, _, body := r.form(t, r.mailbox+"/time", url.Values{"by": {by}}); status != 400 || !strings.HasPrefix(body, "by: ") {
			t.Errorf("by %q: %d %s", by, status, body)
		}
	}

	if status, _, body := r.form(t, r.mailbox+"/stripe", url.Values{"do": {"dance"}}); status != 400 {
		t.Errorf("an unknown verb: %d %s", status, body)
	}
	r.stop(t)
}
