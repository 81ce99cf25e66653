package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/internal/dbscope"
)

// company is a site with people, and organisations as they are needed.
type company struct {
	*site
	ids   map[string]string // of users, by name
	mails *mailbox
	made  int
}

// The people: three in each organisation, one outside, one invited, an admin of
// the platform, and one more to be invited or removed.
var people = []string{"owner", "admin", "member", "outsider", "guest", "platform", "peer"}

func newCompany(t *testing.T) *company {
	t.Helper()
	c := &company{ids: map[string]string{}, mails: new(mailbox)}
	c.site = newSiteOf(t, billing.Config{BaseURL: base}, func(_ *authcore.Config, d *authcore.Deps) { d.Mailer = c.mails })
	for _, name := range people {
		role := principal.RoleUser
		if name == "platform" {
			role = principal.RoleAdmin
		}
		u, err := c.auth.CreateUser(t.Context(), principal.Operator{Name: "test"}, authcore.NewUser{
			Email: name + "@example.test", Password: testPassword, Name: name, Role: role, Verified: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.ids[name] = u.ID
	}
	return c
}

func (c *company) exec(sql string, args ...any) {
	c.Helper()
	if _, err := dbscope.Exec(c.Context(), c.db.Pool, dbscope.System(), sql, args...); err != nil {
		c.Fatalf("%s: %v", sql, err)
	}
}

// organization makes one with the owner, the admin, the member and the peer, and
// an invitation of the guest. Their ids begin with its own.
func (c *company) organization() string {
	c.Helper()
	c.made++
	id := fmt.Sprintf("o%d", c.made)
	c.exec(`INSERT INTO auth.organizations (id, name, slug) VALUES ($1, 'Acme', $1)`, id)
	for name, role := range map[string]string{"owner": "owner", "admin": "admin", "member": "member", "peer": "member"} {
		c.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ($1 || '-' || $2, $1, $3, $4)`, id, name, c.ids[name], role)
	}
	c.exec(`INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
		VALUES ($1 || '-i', $1, 'guest@example.test', 'admin', now() + interval '1 hour', $2)`, id, c.ids["owner"])
	return id
}

// as signs somebody in: what they held before may have been cut off.
func (c *company) as(name string) header {
	c.Helper()
	if name == "nobody" {
		return func(http.Header) {}
	}
	access, _ := c.login(name + "@example.test")
	return bearer(access)
}

// Every route for everybody: who may, and in which words the others are refused.
func TestOrganizationRoutesByRole(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	const (
		notFound  = "404 ORGANIZATION_NOT_FOUND Organization not found"
		noToken   = "401 NO_TOKEN No token provided"
		noInvite  = "403 FORBIDDEN You do not have permission to invite members"
		noRemove  = "403 FORBIDDEN You do not have permission to remove members"
		noRole    = "403 FORBIDDEN You do not have permission to change member roles"
		noUpdate  = "403 FORBIDDEN You do not have permission to update this organization"
		noDelete  = "403 FORBIDDEN Only the owner can delete the organization"
		noPass    = "403 FORBIDDEN Only the owner can transfer the organization"
		noList    = "403 FORBIDDEN You do not have permission to view invitations"
		noCancel  = "403 FORBIDDEN You do not have permission to cancel this invitation"
		foreign   = "403 NOT_RECIPIENT You are not the recipient of this invitation"
		noMember  = "404 MEMBER_NOT_FOUND Member not found"
		ownerRole = "403 OWNER_ROLE Cannot change the owner's role"
		notThere  = "404 ORGANIZATION_NOT_FOUND Organization not found or you are not a member"
	)
	type want map[string]string // by person; what is missing is "else"
	for _, row := range []struct {
		method, path, body string
		want               want
	}{
		{"GET", "", "", want{"else": "200", "nobody": noToken}},
		{"GET", "/{o}", "", want{"else": "200", "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"GET", "/nothing", "", want{"else": notFound, "nobody": noToken}},
		{"GET", "/{o}/members", "", want{"else": "200", "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"GET", "/nothing/members", "", want{"else": notFound, "nobody": noToken}},
		{"GET", "/{o}/invitations", "", want{"else": notFound, "owner": "200", "admin": "200", "platform": "200", "member": noList, "nobody": noToken}},
		{"GET", "/nothing/invitations", "", want{"else": notFound, "nobody": noToken}},
		{"PUT", "/{o}", `{"name":"New name","logo":"https://acme.test/l.png","metadata":{"a":1}}`,
			want{"else": noUpdate, "owner": "200", "admin": "200", "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"PUT", "/nothing", `{"name":"New name"}`, want{"else": notFound, "nobody": noToken}},
		{"DELETE", "/{o}", "", want{"else": noDelete, "owner": "204", "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"DELETE", "/nothing", "", want{"else": notFound, "nobody": noToken}},
		{"POST", "/{o}/invite", `{"organizationId":"{o}","employeeEmail":"new@example.test","role":"member"}`,
			want{"else": noInvite, "owner": "201", "admin": "201", "nobody": noToken}},
		{"POST", "/nothing/invite", `{"organizationId":"nothing","employeeEmail":"new@example.test","role":"member"}`, want{"else": noInvite, "nobody": noToken}},
		{"POST", "/accept-invitation", `{"invitationId":"{o}-i"}`, want{"else": foreign, "guest": "201", "nobody": noToken}},
		{"POST", "/accept-invitation", `{"invitationId":"nothing"}`, want{"else": "404 INVITATION_NOT_FOUND Invitation not found or expired", "nobody": noToken}},
		{"DELETE", "/{o}/members/{o}-peer", "", want{"else": noRemove, "owner": "200", "admin": "200", "nobody": noToken}},
		{"DELETE", "/{o}/members/peer@example.test", "", want{"else": noRemove, "owner": "200", "admin": "200", "nobody": noToken}},
		{"DELETE", "/{o}/members/{o}-member", "", want{"else": noRemove, "owner": "200", "admin": "200", "member": "200", "nobody": noToken}},
		{"DELETE", "/{o}/members/{o}-admin", "", want{"else": noRemove, "owner": "200", "admin": "200", "nobody": noToken}},
		{"DELETE", "/{o}/members/{o}-owner", "", want{"else": noRemove, "owner": "409 LAST_OWNER The last owner cannot leave the organization", "nobody": noToken}},
		{"DELETE", "/{o}/members/nothing", "", want{"else": noRemove, "owner": noMember, "admin": noMember, "nobody": noToken}},
		{"PATCH", "/{o}/members/{o}-peer/role", `{"role":"admin"}`, want{"else": noRole, "owner": "200", "admin": "200", "nobody": noToken}},
		{"PATCH", "/{o}/members/{o}-admin/role", `{"role":"member"}`, want{"else": noRole, "owner": "200", "admin": "200", "nobody": noToken}},
		{"PATCH", "/{o}/members/{o}-owner/role", `{"role":"member"}`, want{"else": noRole, "owner": ownerRole, "admin": ownerRole, "nobody": noToken}},
		{"PATCH", "/{o}/members/nothing/role", `{"role":"member"}`, want{"else": noRole, "owner": noMember, "admin": noMember, "nobody": noToken}},
		{"POST", "/{o}/transfer", `{"memberId":"{o}-member"}`, want{"else": noPass, "owner": "200", "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"POST", "/{o}/transfer", `{"memberId":"nothing","keep":true}`, want{"else": noPass, "owner": noMember, "outsider": notFound, "guest": notFound, "nobody": noToken}},
		{"POST", "/set-active", `{"organizationId":"{o}"}`, want{"else": "200", "outsider": notThere, "guest": notThere, "platform": notThere, "nobody": noToken}},
		{"POST", "/set-active", `{"organizationId":""}`, want{"else": "200", "nobody": noToken}},
		{"GET", "../invitations", "", want{"else": "200", "nobody": noToken}},
		{"DELETE", "../invitations/{o}-i", "", want{"else": noCancel, "owner": "204", "admin": "204", "guest": "204", "nobody": noToken}},
		{"DELETE", "../invitations/nothing", "", want{"else": "404 INVITATION_NOT_FOUND Invitation not found", "nobody": noToken}},
	} {
		for _, name := range append(people[:6:6], "nobody") {
			id := c.organization()
			fill := strings.NewReplacer("{o}", id)
			path := "/api/v1/auth/organizations" + fill.Replace(row.path)
			if strings.HasPrefix(row.path, "..") {
				path = "/api/v1/auth" + strings.TrimPrefix(fill.Replace(row.path), "..")
			}
			var body any
			if row.body != "" {
				body = fill.Replace(row.body)
			}
			before := c.standing(id)
			got := c.send(row.method, path, body, c.as(name))
			said := fmt.Sprint(got.code)
			if got.code >= 400 {
				said = fmt.Sprintf("%d %s %s", got.code, got.text("code"), got.text("message"))
			}
			want, ok := row.want[name]
			if !ok {
				want = row.want["else"]
			}
			if said != want {
				t.Errorf("%s %s by the %s: %s, want %s", row.method, row.path, name, said, want)
			}
			if after := c.standing(id); got.code >= 400 && after != before {
				t.Errorf("%s %s by the %s was refused, and changed %s into %s", row.method, row.path, name, before, after)
			}
			c.exec(`DELETE FROM auth.organizations`)
		}
	}
}

// standing is all that there is to say of an organisation.
func (c *company) standing(id string) string {
	c.Helper()
	row, err := dbscope.Row[struct{ Said string }](c.Context(), c.db.Pool, dbscope.System(),
		`SELECT concat((SELECT o::text FROM auth.organizations AS o WHERE o.id = $1),
		   (SELECT string_agg(m.user_id || m.role, ',' ORDER BY m.id) FROM auth.members AS m WHERE m.organization_id = $1),
		   (SELECT string_agg(i.id || i.status, ',' ORDER BY i.id) FROM auth.invitations AS i WHERE i.organization_id = $1)) AS said`, id)
	if err != nil {
		c.Fatal(err)
	}
	return row.Said
}

// The contract's walk: made, invited, accepted, active, promoted, handed on, left.
func TestOrganizationOverTheAPI(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	const at = "/api/v1/auth/organizations"
	owner, guest := c.as("owner"), c.as("guest")
	made := c.send("POST", at, `{"name":"Smith & <b>Sons</b>","metadata":{"plan":"team"}}`, owner).status(201)
	o := made.object()
	if o["slug"] != "smith-bsonsb" || o["logo"] != nil || o["metadata"].(map[string]any)["plan"] != "team" || o["createdAt"] == nil || o["members"] != nil {
		t.Errorf("made: %s", made.body)
	}
	id := made.text("id")
	if list := c.send("GET", at, nil, owner).status(200).object()["organizations"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != id {
		t.Errorf("the list: %v", list)
	}
	c.send("POST", at, `{"name":"Again","slug":"smith-bsonsb"}`, owner).status(409)
	c.send("POST", at, `{"name":"Again","slug":"Not a slug"}`, owner).status(400).message("slug must be lower-case letters, digits, underscores and single hyphens")
	c.send("POST", at, `{"name":"x"}`, owner).status(400).message("name must be longer than or equal to 2 characters")
	c.send("POST", at, `{"name":" x "}`, owner).status(400).message("name must be longer than or equal to 2 characters")
	c.send("PUT", at+"/"+id, `{"metadata":{"x":"`+strings.Repeat("x", 17<<10)+`"}}`, owner).status(400)

	c.send("POST", at+"/"+id+"/invite", `{"organizationId":"another","employeeEmail":"guest@example.test","role":"member"}`, owner).status(400).
		message("organizationId must be that of the path")
	c.send("POST", at+"/"+id+"/invite", `{"employeeEmail":"guest@example.test","role":"owner"}`, owner).status(400).
		message("role must be one of the following values: admin, member")
	invited := c.send("POST", at+"/"+id+"/invite", map[string]string{"organizationId": id, "employeeEmail": "Guest@example.test", "role": "member"}, owner).status(201)
	i := invited.object()
	if i["email"] != "guest@example.test" || i["status"] != "pending" || i["role"] != "member" || i["organizationId"] != id || i["inviterId"] != c.ids["owner"] || i["expiresAt"] == nil {
		t.Errorf("invited: %s", invited.body)
	}
	if n := c.mails.last(t, notice.Invitation); n.Invitation.OrganizationName != "Smith & <b>Sons</b>" || n.Invitation.InviterName != "owner" {
		t.Errorf("the mail: %+v", n)
	}
	again := c.send("POST", at+"/"+id+"/invite", `{"employeeEmail":"guest@example.test","role":"member"}`, owner).status(400)
	again.message("User is already invited to this organization")
	if list := c.send("GET", at+"/"+id+"/invitations", nil, owner).status(200); !strings.HasPrefix(list.body, `[{"id":"`+invited.text("id")) || strings.Contains(list.body, "organizationName") {
		t.Errorf("its invitations: %s", list.body)
	}
	if list := c.send("GET", "/api/v1/auth/invitations", nil, guest).status(200); !strings.Contains(list.body, `"organizationName":"Smith`) {
		t.Errorf("own invitations: %s", list.body)
	}
	accepted := c.send("POST", at+"/accept-invitation", map[string]string{"invitationId": invited.text("id")}, guest).status(201)
	done := accepted.object()
	if done["invitation"].(map[string]any)["status"] != "accepted" || done["member"].(map[string]any)["role"] != "member" || done["organization"].(map[string]any)["id"] != id {
		t.Errorf("accepted: %s", accepted.body)
	}
	checked := c.send("POST", "/api/v1/auth/validate", map[string]string{"token": accepted.text("accessToken")}).status(200).object()["payload"].(map[string]any)
	if checked["org"] != id || checked["org_role"] != "member" {
		t.Errorf("the token says %v", checked)
	}
	c.send("POST", at+"/"+id+"/invite", `{"employeeEmail":"guest@example.test","role":"member"}`, owner).status(400).message("User is already a member of this organization")

	active := c.send("POST", at+"/set-active", map[string]string{"organizationId": id}, owner).status(200)
	if a := active.object(); a["id"] != id || a["activeOrganizationId"] != id || a["userId"] != c.ids["owner"] || a["slug"] == nil {
		t.Errorf("active: %s", active.body)
	}
	if s := c.send("GET", "/api/v1/auth/session", nil, owner).status(200).object()["session"].(map[string]any); s["activeOrganizationId"] != id {
		t.Errorf("the session: %v", s)
	}
	left := c.send("POST", at+"/set-active", `{"organizationId":""}`, owner).status(200)
	if a := left.object(); a["id"] != nil || a["activeOrganizationId"] != nil {
		t.Errorf("in none: %s", left.body)
	}
	c.send("POST", at+"/set-active", `{}`, owner).status(400)

	member := done["member"].(map[string]any)["id"].(string)
	changed := c.send("PATCH", at+"/"+id+"/members/"+member+"/role", `{"role":"admin"}`, owner).status(200)
	if m := changed.object(); m["role"] != "admin" || m["user"].(map[string]any)["email"] != "guest@example.test" || m["organizationId"] != id {
		t.Errorf("promoted: %s", changed.body)
	}
	c.send("GET", at, nil, guest).status(401).message("Invalid token")
	c.exec(`UPDATE auth.sessions SET authenticated_at = now() - interval '1 hour'`)
	c.send("POST", at+"/"+id+"/transfer", map[string]string{"memberId": member}, owner).status(403)
	owner = c.as("owner")
	handed := c.send("POST", at+"/"+id+"/transfer", map[string]any{"memberId": member, "keep": false}, owner).status(200)
	if handed.text("role") != "owner" {
		t.Errorf("handed on: %s", handed.body)
	}
	whole := c.send("GET", at+"/"+id, nil, c.as("owner")).status(200)
	members := whole.object()["members"].([]any)
	if len(members) != 2 || members[0].(map[string]any)["role"] != "admin" || members[1].(map[string]any)["role"] != "owner" {
		t.Errorf("in the end: %s", whole.body)
	}
	removed := c.send("DELETE", at+"/"+id+"/members/"+url.PathEscape("owner@example.test"), nil, c.as("owner")).status(200)
	if strings.TrimSpace(removed.body) != `{"success":true,"message":"Member removed successfully"}` {
		t.Errorf("left: %s", removed.body)
	}
	gone := c.send("DELETE", at+"/"+id, nil, c.as("guest")).status(204)
	if gone.body != "" || gone.header.Get("Content-Type") != "" {
		t.Errorf("deleted: %v %q", gone.header, gone.body)
	}

	c.exec(`UPDATE auth.users SET email_verified = false`)
	refused := c.send("POST", at, `{"name":"Unproven"}`, c.as("owner")).status(403)
	if refused.text("code") != "EMAIL_NOT_VERIFIED" {
		t.Errorf("without a proven address: %s", refused.body)
	}
}

func TestRegisterB2B(t *testing.T) {
	t.Parallel()
	const content = `{"ownerEmail":"Boss@example.test","password":"` + testPassword + `","ownerName":"The Boss","organizationName":"Boss & Co"}`
	s := newSite(t)
	got := s.send("POST", "/api/v1/auth/register/b2b", content).status(201)
	o := got.object()
	user, organization := o["user"].(map[string]any), o["organization"].(map[string]any)
	if token, there := o["token"]; token != nil || !there || user["email"] != "boss@example.test" || user["name"] != "The Boss" || user["role"] != "user" ||
		organization["name"] != "Boss & Co" || organization["slug"] != "boss-co" {
		t.Errorf("made: %s", got.body)
	}
	access, _ := s.login("boss@example.test")
	whole := s.send("GET", "/api/v1/auth/organizations/"+organization["id"].(string), nil, bearer(access)).status(200)
	if m := whole.object()["members"].([]any); len(m) != 1 || m[0].(map[string]any)["role"] != "owner" || m[0].(map[string]any)["userId"] != user["id"] {
		t.Errorf("read: %s", whole.body)
	}
	before := s.rows()
	taken := s.send("POST", "/api/v1/auth/register/b2b", content).status(409).message("Owner email already exists")
	if taken.text("code") != "EMAIL_TAKEN" {
		t.Errorf("taken: %s", taken.body)
	}
	s.send("POST", "/api/v1/auth/register/b2b", `{"ownerEmail":"a","password":"short","organizationName":"x"}`).status(400).message(
		"ownerEmail must be an email", "password must be longer than or equal to 8 characters", "ownerName must be shorter than or equal to 255 characters",
		"ownerName must be a string", "organizationName must be longer than or equal to 2 characters")
	if after := s.rows(); after["auth.users"] != before["auth.users"] || after["auth.organizations"] != before["auth.organizations"] {
		t.Errorf("refused, and written: %v, %v", before, after)
	}

	strict, mails := strictSite(t)
	first := strict.send("POST", "/api/v1/auth/register/b2b", content).status(201)
	mails.last(t, notice.VerifyEmail)
	if _, err := strict.auth.ConfirmEmail(t.Context(), principal.Client{}, mails.last(t, notice.VerifyEmail).Token); err != nil {
		t.Fatal(err)
	}
	second := strict.send("POST", "/api/v1/auth/register/b2b", content).status(201)
	mails.last(t, notice.AccountExists)
	for _, part := range []string{"user", "organization"} {
		one, two := first.object()[part].(map[string]any), second.object()[part].(map[string]any)
		if one["id"] == two["id"] || len(one) != len(two) || one["emailVerified"] != two["emailVerified"] || one["role"] != two["role"] {
			t.Errorf("the second is told apart: %v, %v", one, two)
		}
	}
	if n := strict.rows()["auth.organizations"]; n != 1 {
		t.Errorf("%d organisations", n)
	}
}
