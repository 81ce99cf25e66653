package api_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore/billing"
)

// breaches is a directory of range files in which one password stands.
func breaches(t testing.TB, stolen string, taken ...string) password.Breached {
	t.Helper()
	dir := t.TempDir()
	put := func(prefix, text string) {
		if err := os.WriteFile(filepath.Join(dir, prefix+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const filler = "0018A45C4D1DEF81644B54AB7F969B88D65:3\r\n"
	digits := func(p string) string {
		sum := sha1.Sum([]byte(p))
		return strings.ToUpper(hex.EncodeToString(sum[:]))
	}
	for i := range 256 {
		put(fmt.Sprintf("%05X", i*0xFFFFF/255), filler)
	}
	for _, p := range taken {
		put(digits(p)[:5], filler)
	}
	put(digits(stolen)[:5], filler+digits(stolen)[5:]+":42\r\n")
	b, err := password.OpenBreached(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A password of a breach is refused wherever one is chosen, with a text that
// says so.
func TestBreachedPasswordsOverTheAPI(t *testing.T) {
	t.Parallel()
	const stolen = "stolen horse battery"
	mails := new(mailbox)
	s := newSiteOf(t, billing.Config{BaseURL: base}, func(c *authcore.Config, d *authcore.Deps) {
		c.Passwords, d.Mailer = password.Policy{}.RefusingBreached(breaches(t, stolen, testPassword)), mails
	})
	id, token := s.member("ada@example.test")
	s.send("POST", "/api/v1/auth/forgot-password", `{"email":"ada@example.test"}`).status(200)
	link := mails.last(t, notice.ResetPassword)
	for field, got := range map[string]answer{
		"password": s.send("POST", "/api/v1/auth/register", map[string]any{"email": "b@example.test", "password": stolen}),
		"newPassword": s.send("POST", "/api/v1/auth/change-password",
			map[string]any{"currentPassword": testPassword, "newPassword": stolen}, token),
		"newPassword of a link": s.send("POST", "/api/v1/auth/reset-password", map[string]any{"token": link.Token, "newPassword": stolen}),
	} {
		field, _, _ = strings.Cut(field, " ")
		if got.status(400).message(field + " was found in a data breach"); got.text("code") != "PASSWORD_BREACHED" {
			t.Errorf("%s: %s", field, got.body)
		}
	}
	const sorry = "collection of stolen passwords"
	for name, got := range map[string]answer{
		"register": s.form("/register", url.Values{"email": {"b@example.test"}, "password": {stolen}}),
		"reset":    s.form("/reset-password", url.Values{"token": {link.Token}, "password": {stolen}}),
	} {
		if !strings.Contains(got.status(400).body, sorry) {
			t.Errorf("the page %s: %s", name, got.body)
		}
	}
	if err := s.auth.SetPassword(t.Context(), principal.Operator{Name: "test"}, id, stolen); err == nil || err.Error() != password.InBreach {
		t.Errorf("set by an operator: %v", err)
	}
	s.login("ada@example.test")
}
