package services_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// Pages and mails are of the brand of the config.
func TestBrandOfPagesAndMails(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, mails, address := pgtest.New(t), newMailServer(t), freeport.Address(t)
	app := edgetest.With(edgetest.With(edgetest.With(edgetest.ExternalApp(db), "base_url", "http://"+address), "smtp",
		map[string]any{"host": "127.0.0.1", "port": mails.port, "from": "Mana <noreply@mana.example>"}),
		"brand", map[string]any{"name": "Teahouse", "colour": "#0a7", "imprint": "https://teahouse.example/imprint", "support": "help@teahouse.example"})
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	site := "http://" + address
	r, err := http.Get(site + "/api/auth/verify-email?token=x&lang=de") //nolint:noctx // of this test
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"E-Mail bestätigen · Teahouse", "--button:#00aa77", `href="https://teahouse.example/imprint"`, `href="mailto:help@teahouse.example"`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%s: the page has no %q: %s", r.Status, want, page)
		}
	}
	if r := edgetest.Fetch(t, "POST", site+"/api/v1/auth/register", `{"email":"ada@example.com","password":"`+edgetest.SignUpPassword+`"}`); r.StatusCode != http.StatusCreated {
		t.Fatalf("register: %s", r.Status)
	}
	edgetest.Eventually(t, "the mail arrives", func() bool { return len(mails.to("ada@example.com")) == 1 })
	for _, want := range []string{"Teahouse", "https://teahouse.example/imprint", "help@teahouse.example"} {
		if mail := mails.to("ada@example.com")[0]; !strings.Contains(mail, want) || strings.Contains(mail, "ManaCore") {
			t.Errorf("the mail has no %q: %s", want, mail)
		}
	}
}
