package services_test

import (
	"net/http"
	"strings"
	"testing"

	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// An invitation is mailed to the address, with its link and how long that is good.
// What people call themselves and their organisations is text in it, and never
// markup or a link. One that is refused mails nothing.
func TestInvitationByMail(t *testing.T) {
	edgetest.StopAtEnd(t)
	db, mails, address := pgtest.New(t), newMailServer(t), freeport.Address(t)
	app := edgetest.With(edgetest.With(edgetest.ExternalApp(db), "base_url", "http://"+address), "smtp",
		map[string]any{"host": "127.0.0.1", "port": mails.port, "from": "Mana <noreply@mana.example>"})
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}
	site := "http://" + address
	const evil = `Acme <img src=x onerror=alert(1)> & "Sons"`
	owner := `{"ownerEmail":"boss@example.com","password":"` + edgetest.SignUpPassword + `","ownerName":"<b>The Boss</b> evil.example","organizationName":"Acme <img src=x onerror=alert(1)> & \"Sons\""}`
	if r := edgetest.Fetch(t, "POST", site+"/api/v1/auth/register/b2b", owner); r.StatusCode != http.StatusCreated {
		t.Fatalf("register: %s", r.Status)
	}
	boss, err := dbscope.Row[struct{ ID string }](t.Context(), db.Pool, dbscope.System(), `UPDATE auth.users SET email_verified = true RETURNING id`)
	if err != nil {
		t.Fatal(err)
	}
	auth := edgetest.LiveRuntime(t).Auth
	c := principal.Caller{UserID: boss.ID, Role: principal.RoleUser, Client: principal.Client{Language: "en"}}
	all, err := auth.Organizations(t.Context(), c)
	if err != nil || len(all) != 1 || all[0].Name != evil {
		t.Fatalf("%+v, %v", all, err)
	}
	i, err := auth.Invite(t.Context(), c, all[0].ID, "guest@example.com", organization.RoleMember)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Invite(t.Context(), c, all[0].ID, "guest@example.com", organization.RoleMember); err == nil {
		t.Error("invited twice")
	}
	edgetest.Eventually(t, "the mail arrives", func() bool { return len(mails.to("guest@example.com")) == 1 })
	sent := mails.to("guest@example.com")[0]
	if !strings.Contains(sent, site+"/accept-invitation?id="+i.ID) || !strings.Contains(sent, "48 hours") && !strings.Contains(sent, "2 days") {
		t.Errorf("the mail: %s", sent)
	}
	_, page, ok := strings.Cut(sent, "text/html")
	if !ok {
		t.Fatalf("no page: %s", sent)
	}
	for _, markup := range []string{"<img", "<b>The Boss", "evil.example"} {
		if strings.Contains(page, markup) {
			t.Errorf("%s is markup in %s", markup, page)
		}
	}
	if !strings.Contains(page, "Acme &lt;img src=x") || !strings.Contains(page, "The Boss") {
		t.Errorf("the page does not say who invites: %s", page)
	}
	if n := len(mails.to("guest@example.com")); n != 1 {
		t.Errorf("%d mails", n)
	}
}
