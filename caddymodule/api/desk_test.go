package api_test

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/webhook"
)

// office is a site with a desk and the people who come to it: an admin, somebody of
// support, an owner of an organisation, and a plain user whose account everything is
// about.
type office struct {
	*site
	box                                *outbox.Box
	userID, ownerID, supportID, bossID string
	user, owner, support, boss         header
	organization, gift, key, letter    string
	webhook                            string
}

// unsealed keeps what is put into an outbox as it is.
type unsealed struct{}

func (unsealed) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (unsealed) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// newOffice has the text in every place that somebody else than an admin writes.
func newOffice(t testing.TB, written string) *office {
	t.Helper()
	o := &office{site: newSite(t)}
	o.box = outbox.New(outbox.Config{
		DB: dbscope.DB{Pool: o.db.Pool, Error: func(err error) error { return err }}, Sealer: unsealed{},
		Channels: map[string]outbox.Deliver{"mail": func(context.Context, outbox.Message) error { return nil }},
		Families: map[string]outbox.Family{webhook.Family: {Deliver: func(context.Context, outbox.Message) error { return nil }}},
	})
	o.Outbox = o.box
	o.Webhooks = webhook.New(webhook.Config{DB: dbscope.DB{Pool: o.db.Pool, Error: func(err error) error { return err }}, Sealer: unsealed{}})
	o.Webhooks.Use(o.box)
	sign := func(email, role string) (string, header) {
		id, _ := o.member(email)
		o.exec(`UPDATE auth.users SET email_verified = true, role = $2::text::auth.user_role WHERE id = $1`, id, role)
		return id, o.cookie(email)
	}
	o.userID, o.user = sign("ada@example.test", "user")
	o.ownerID, o.owner = sign("owner@example.test", "user")
	o.supportID, o.support = sign("support@example.test", "support")
	o.bossID, o.boss = sign("boss@example.test", "admin")
	o.grant(o.userID, 100)
	access, _ := o.login("owner@example.test")
	o.organization = o.send("POST", "/api/v1/auth/organizations", map[string]any{"name": "Engines"}, bearer(access)).status(201).text("id")
	access, _ = o.login("ada@example.test")
	made := o.send("POST", "/api/v1/gifts", map[string]any{"credits": 5, "message": "for you"}, bearer(access)).status(201).object()
	o.gift, _ = made["code"].(string)
	o.key = o.send("POST", "/api/v1/api-keys", map[string]any{"name": "Speech"}, bearer(access)).status(201).text("id")
	o.letter = o.deadLetter()
	if err := dbscope.InTx(t.Context(), o.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		made, _, err := o.Webhooks.CreateTx(t.Context(), tx, webhook.Endpoint{URL: "https://hooks.example.test/in", Types: []string{"user.created"}})
		o.webhook = made.ID
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := o.auth.CreateOpenIDClient(t.Context(), principal.Operator{Name: "test"}, openid.Client{ID: "newcomer", Name: written[:min(len(written), 128)], RedirectURIs: []string{appCallback}}); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`UPDATE auth.users SET name = $1 WHERE role = 'user'`, `UPDATE auth.organizations SET name = $1, metadata = jsonb_build_object('note', $1::text)`,
		`UPDATE gifts.gift_codes SET message = $1`, `UPDATE auth.api_keys SET name = $1, scopes = jsonb_build_array($1::text)`,
		`UPDATE auth.sessions SET user_agent = $1, device_name = $1, ip_address = $1`, `UPDATE mana.outbox SET last_error = $1, kind = $1`,
		`INSERT INTO auth.security_events (user_id, event_type, ip_address, user_agent, metadata)
		 SELECT id, $1, $1, $1, jsonb_build_object($1::text, $1::text) FROM auth.users`,
		`INSERT INTO auth.revocations (user_id, session_id, reason) VALUES ($1, $1, $1)`,
		`INSERT INTO auth.invitations (id, organization_id, email, role, expires_at, inviter_id)
		 SELECT 'i', o.id, lower($1), 'member', now() + interval '1 day', m.user_id FROM auth.organizations AS o JOIN auth.members AS m ON m.organization_id = o.id`,
		`INSERT INTO credits.purchases (user_id, credits, price_euro_cents, stripe_payment_intent_id) SELECT user_id, 1000, 100, $1 FROM credits.balances LIMIT 1`,
		`INSERT INTO credits.purchases (user_id, credits, price_euro_cents, stripe_payment_intent_id) SELECT 'org:' || id, 1000, 100, 'of ' || $1 FROM auth.organizations`,
		`INSERT INTO credits.edges (id, horizon) VALUES ($1, $1)`,
		`INSERT INTO credits.alerts (account_id, user_id, kind, data)
		 SELECT 'org:' || o.id, u.id, 'budget', jsonb_build_object('keyId', $1::text, 'budget', 5, 'period', 'day') FROM auth.organizations AS o, auth.users AS u WHERE u.email = 'ada@example.test'`,
		`INSERT INTO credits.alerts (account_id, kind, data) SELECT u.id, $1, jsonb_build_object('reason', $1::text) FROM auth.users AS u WHERE u.email = 'ada@example.test'`,
		`INSERT INTO credits.alerts (account_id, kind, data) SELECT u.id, 'debt', jsonb_build_object('credits', 40, 'debtId', $1::text) FROM auth.users AS u WHERE u.email = 'ada@example.test'`,
		`INSERT INTO credits.abuse_scores (user_id, score, signals) SELECT id, 200, jsonb_build_array(
			jsonb_build_object('kind', 'spent_and_refunded', 'points', 40, 'count', 1, 'purchases', jsonb_build_array($1::text)),
			jsonb_build_object('kind', 'gift_ring', 'points', 30, 'count', 1, 'circles', jsonb_build_array(jsonb_build_object('users', jsonb_build_array(id, $1::text), 'rounds', 2))),
			jsonb_build_object('kind', 'shared_card', 'points', 20, 'count', 3, 'users', jsonb_build_array(id, $1::text)))
		 FROM auth.users WHERE email = 'ada@example.test'`,
		`INSERT INTO credits.price_versions (version, prices, effective_at, reason, published_by)
		 VALUES (1, '[{"name":"chat.generate","credits":6,"per":1,"unit":""}]', now(), $1, $1),
		        (2, '[{"name":"chat.generate","credits":7,"per":1,"unit":""}]', now() + interval '1 day', $1, $1)`,
		`WITH event AS (
		 INSERT INTO mana.webhook_events (id, type, subject, data, relayed_at) VALUES ('evt_1', 'user.created', $1, '{}', now()) RETURNING id, sequence)
		 INSERT INTO mana.webhook_deliveries (endpoint_id, event_id, sequence, message_id, tries, last_answer, delivered_at)
		 SELECT e.id, v.id, v.sequence, 'gone', 1, $1, now() FROM mana.webhook_endpoints AS e, event AS v`,
	} {
		o.exec(sql, written)
	}
	if err := o.Ledger.LoadPrices(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

// deadLetter is the id of a mail that was given up.
func (o *office) deadLetter() string {
	o.Helper()
	err := dbscope.InTx(o.Context(), o.db.Pool, dbscope.System(), func(tx pgx.Tx) error {
		return o.box.Put(o.Context(), tx, outbox.Message{Channel: "mail", Kind: "welcome", UserID: o.userID, Body: json.RawMessage(`{}`)})
	})
	if err != nil {
		o.Fatal(err)
	}
	o.exec(`UPDATE mana.outbox SET dead_at = now()`)
	list, err := o.box.Dead(o.Context(), 1)
	if err != nil || len(list) != 1 {
		o.Fatalf("dead: %v, %v", list, err)
	}
	return list[0].ID
}

// pages are those of the desk, with what each only says in English.
func (o *office) pages() map[string]string {
	return map[string]string{
		"/admin": "Sign-ins in 24 hours", "/admin/users": "ada@example.test", "/admin/users?q=ADA+exam": "ada@example.test", "/admin/users/" + o.userID: "Ways to sign in",
		"/admin/organizations": "owner@example.test", "/admin/organizations?q=engines": "owner@example.test", "/admin/organizations/" + o.organization: "Open invitations",
		"/admin/ledger": "Accounts that owe", "/admin/ledger?q=ada": "ada@example.test", "/admin/ledger/" + o.userID: "What the balance is made of",
		"/admin/ledger/" + o.userID + "?audit=1": "Entries checked", "/admin/gifts": o.gift, "/admin/gifts?user=ada@example.test": o.gift,
		"/admin/abuse": "signals, not a verdict", "/admin/abuse?before=100.x": "Nothing found.", "/admin/abuse/" + o.userID: "gifts in a circle",
		"/admin/coupons": "redeems a coupon once", "/admin/sales": "Stripe is set up", "/admin/sales?status=pending": `href="/admin/organizations/` + o.organization, "/admin/api-keys": "sk_live_", "/admin/api-keys?user=" + o.userID: "sk_live_",
		"/admin/clients": "newcomer", "/admin/api-keys?org=" + o.organization: "Nothing found.", "/admin/events": "login_success",
		"/admin/events?type=login_success&user=ada@example.test&from=2020-01-01&to=2999-01-01": "login_success", "/admin/events?ip=192.0.2.1": "Nothing found.",
		"/admin/alerts": "Money was taken back", "/admin/alerts?kind=debt&user=ada@example.test": "Money was taken back", "/admin/alerts?org=" + o.organization: "A budget is spent",
		"/admin/alerts?kind=renewal_failed": "Nothing found.",
		"/admin/webhooks":                   "hooks.example.test", "/admin/webhooks/" + o.webhook: "Last answer", "/admin/outbox": "Messages given up", "/admin/signing-keys": "signing", "/admin/edges": "Latest revocations",
		"/admin/books": "Each day opens", "/admin/books?from=2026-01-01&to=2026-01-03": "2026-01-02", "/admin/books?from=x&to=": "no such period",
		"/admin/prices": "chat.generate", "/admin/prices/2": "to come", "/admin/price-draft": "chat.generate 6",
		"/admin/search":             "Finds exactly",
		"/admin/search?q=" + o.gift: o.gift, "/admin/search?q=6RE55SIM2YUGDJIZXNOALIIURM": "looks like the id of a request",
	}
}

// forms are those of the desk: where they go and what they send beside a reason.
func (o *office) forms() map[string][]string {
	return map[string][]string{
		"/admin/users/" + o.userID:               {"action", "disable"},
		"/admin/organizations/" + o.organization: {"action", "deleteOrganization"},
		"/admin/ledger/" + o.userID:              {"action", "forgive"},
		"/admin/api-keys":                        {"action", "revokeKey", "item", o.key},
		"/admin/clients":                         {"action", "deleteClient", "item", "newcomer"},
		"/admin/outbox":                          {"action", "retry", "item", o.letter},
		"/admin/webhooks":                        {"action", "createWebhook", "url", "https://more.example.test/"},
		"/admin/webhooks/" + o.webhook:           {"action", "disableWebhook"},
		"/admin/abuse/" + o.userID:               {"action", "holdGifting"},
		"/admin/coupons":                         {"action", "createCoupon", "name", "Spring", "amount", "5"},
		"/admin/signing-keys":                    {"action", "rotateNow"},
		"/admin/prices/2":                        {"action", "withdrawPrices"},
		"/admin/price-draft":                     {"action", "publishPrices", "table", "chat 1", "key", "2"},
	}
}

// everything is what forms of the desk could change. Sessions are left out, and
// events: that somebody looked is an event; and mail under way, which leaves by itself.
func (o *office) everything() string {
	o.Helper()
	list, err := dbscope.Rows[struct{ Text string }](o.Context(), o.db.Pool, dbscope.System(),
		`SELECT u::text AS text FROM (SELECT id, role, disabled_at, deleted_at, auth_epoch FROM auth.users ORDER BY id) AS u
		 UNION ALL SELECT x::text FROM auth.organizations AS x UNION ALL SELECT x.id || coalesce(x.revoked_at::text, '') FROM auth.api_keys AS x
		 UNION ALL SELECT x.id || x.attempts || x.dead_at::text FROM mana.outbox AS x WHERE dead_at IS NOT NULL UNION ALL SELECT x.id || coalesce(x.gone_at::text, '') FROM auth.jwks AS x
		 UNION ALL SELECT x.client_id FROM auth.oauth_applications AS x UNION ALL SELECT x::text FROM credits.price_versions AS x
		 UNION ALL SELECT x.id || coalesce(x.disabled_at::text, '') FROM mana.webhook_endpoints AS x
		 UNION ALL SELECT x.user_id || coalesce(x.held_at::text, '') FROM credits.abuse_scores AS x
		 UNION ALL SELECT x.id || x.redeemed || coalesce(x.ended_at::text, '') FROM credits.coupons AS x
		 UNION ALL SELECT x.id FROM credits.transactions AS x UNION ALL SELECT x::text FROM credits.debts AS x UNION ALL SELECT x.id::text FROM auth.revocations AS x`)
	if err != nil {
		o.Fatal(err)
	}
	var all strings.Builder
	for _, row := range list {
		all.WriteString(row.Text + "\n")
	}
	return all.String()
}

// Every page of the desk, by everybody, by every method.
func TestDeskIsForAdminsAndSupport(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	before := o.everything()
	english := with("Accept-Language", "en")
	for path, says := range o.pages() {
		if to := o.send("GET", path, nil).status(303).header.Get("Location"); to != "/login?returnUrl="+url.QueryEscape(path) {
			t.Errorf("%s: a guest is led to %s", path, to)
		}
		for who, cookie := range map[string]header{"user": o.user, "owner": o.owner} {
			if got := o.send("GET", path, nil, cookie, english).status(403); !strings.Contains(got.body, "for admins and support") || strings.Contains(got.body, "support@example.test") {
				t.Errorf("%s: %s is told %s", path, who, got.body)
			}
		}
		for who, cookie := range map[string]header{"support": o.support, "admin": o.boss} {
			got := o.send("GET", path, nil, cookie, english).status(200)
			if !strings.Contains(got.body, says) || strings.Contains(got.body, "<form method=\"post\">") && who == "support" {
				t.Errorf("%s as %s: %s", path, who, got.body)
			}
			if len(got.body) > pageLimit {
				t.Errorf("%s has %d bytes", path, len(got.body))
			}
		}
		bare, _, _ := strings.Cut(path, "?")
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			o.send(method, bare, nil, o.boss).status(405)
		}
		if _, has := o.forms()[bare]; !has {
			o.send("POST", bare, "", asForm, with("Origin", base), o.boss).status(405)
		}
	}
	for path, fields := range o.forms() {
		form := append([]string{"reason", "because I may"}, fields...)
		if to := o.post(path, with("Cookie", "none=1"), form...).status(303).header.Get("Location"); !strings.HasPrefix(to, "/login?") {
			t.Errorf("%s: a guest is led to %s", path, to)
		}
		for _, cookie := range []header{o.user, o.owner, o.support} {
			o.post(path, cookie, form...).status(403)
		}
	}
	if after := o.everything(); after != before {
		t.Errorf("something changed, though nobody who may did:\n%s\n%s", before, after)
	}
}

// The admins of the config sit at the desk without the role.
func TestDeskOfConfiguredAdmins(t *testing.T) {
	t.Parallel()
	var admins []string
	s := newSite(t)
	id, _ := s.proven("root@example.test", "Root")
	admins = append(admins, id)
	cfg, deps := settings(s.auth, &s.Credits)
	cfg.Admins = admins
	var err error
	if s.Handler, err = api.New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	cookie := s.cookie("root@example.test")
	s.send("GET", "/admin", nil, cookie).status(200)
	s.post("/admin/signing-keys", cookie, "action", "rotateNow", "reason", "a new quarter").status(303)
}

// A change wants a reason and a recent proof, and the form of one of our pages.
func TestDeskChangesWantReasonProofAndOrigin(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	before := o.everything()
	for path, fields := range o.forms() {
		for name, reason := range map[string]string{"none": "", "blank": " \t\n ", "short": "ok", "long": strings.Repeat("a", 1001), "longer": strings.Repeat("a", 5000)} {
			got := o.post(path, o.boss, append([]string{"reason", reason}, fields...)...).status(400)
			if !strings.Contains(got.body, "Please give a reason") {
				t.Errorf("%s with a reason that is %s: %s", path, name, got.body)
			}
		}
		if got := o.post(path, o.boss, "reason", "because", "action", "conquer").status(400); !strings.Contains(got.body, "could not be read") {
			t.Errorf("%s: %s", path, got.body)
		}
		form := url.Values{"reason": {"because"}}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		for _, origin := range []string{"", foreign, "null", app, "http://auth.example.test"} {
			headers := []header{asForm, o.boss}
			if origin != "" {
				headers = append(headers, with("Origin", origin))
			}
			o.send("POST", path, form.Encode(), headers...).status(403)
			o.send("POST", path, form.Encode(), append(headers, with("Sec-Fetch-Site", "cross-site"))...).status(403)
		}
		o.send("POST", path, `{"action":"disable","reason":"because"}`, o.boss, with("Origin", foreign)).status(403)
	}
	o.exec(`UPDATE auth.sessions SET authenticated_at = now() - interval '16 minutes'`)
	for path, fields := range o.forms() {
		to := o.post(path, o.boss, append([]string{"reason", "because"}, fields...)...).status(303).header.Get("Location")
		if to != "/reauthenticate?returnUrl="+url.QueryEscape(path) {
			t.Errorf("%s: an old session is led to %s", path, to)
		}
		if got := o.send("GET", path, nil, o.boss, with("Accept-Language", "en")).status(200); strings.Contains(got.body, `<form method="post">`) || !strings.Contains(got.body, `href="/reauthenticate?returnUrl=`) {
			t.Errorf("%s offers changes to an old session: %s", path, got.body)
		}
	}
	if after := o.everything(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// What admins do at the desk happens, and stands in their events and in those of the
// account, with the reason.
func TestDeskChangesThings(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	access, _ := o.login("boss@example.test")
	ada := "/admin/users/" + o.userID
	do := func(path, done string, fields ...string) {
		t.Helper()
		if to := o.post(path, o.boss, append([]string{"reason", "asked by letter"}, fields...)...).status(303).header.Get("Location"); !strings.HasSuffix(to, "?done="+done) {
			t.Errorf("%v leads to %s", fields, to)
		}
	}
	refused := func(status int, text string, fields ...string) {
		t.Helper()
		if got := o.post(ada, o.boss, append([]string{"reason", "asked by letter"}, fields...)...).status(status); !strings.Contains(got.body, text) {
			t.Errorf("%v: %s", fields, got.body)
		}
	}
	do(ada, "desk-role", "action", "role", "role", "support")
	if got := o.send("GET", ada+"?done=desk-role", nil, o.boss, with("Accept-Language", "en")).status(200); !strings.Contains(got.body, "The role is changed.") {
		t.Errorf("afterwards: %s", got.body)
	}
	o.send("GET", "/admin", nil, o.cookie("ada@example.test")).status(200)
	refused(400, "There is no such role", "action", "role", "role", "emperor")
	do(ada, "desk-role", "action", "role", "role", "user")
	do(ada, "desk-sessions", "action", "sessions")
	do(ada, "desk-disabled", "action", "disable")
	do(ada, "desk-enabled", "action", "enable")
	refused(400, "", "action", "factor")
	for _, amount := range []string{"", "0", "-1", "many", "0.0001", "9007199254740992"} {
		refused(400, "", "action", "grant", "amount", amount, "key", "k")
	}
	refused(400, "The day must be one to come", "action", "grant", "amount", "5", "key", "k", "expires", "2020-01-01")
	do(ada, "desk-granted", "action", "grant", "amount", "2.5", "key", "k", "expires", "2999-12-31")
	refused(409, "has given the credits before", "action", "grant", "amount", "2.5", "key", "k")
	if b, err := o.Ledger.BalanceOf(t.Context(), o.userID); err != nil || b.Available.String() != "97.5" {
		t.Errorf("balance %v, %v", b.Available, err)
	}
	file := o.post(ada, o.boss, "action", "export", "reason", "asked by letter").status(200)
	if !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") || file.object()["memberships"] == nil || !strings.Contains(file.body, `"email": "ada@example.test"`) {
		t.Errorf("export: %v %.500s", file.header, file.body)
	}
	refused(400, "not the address of the account", "action", "erase", "confirm", "boss@example.test")
	for _, own := range []string{"role", "disable", "erase"} {
		o.post("/admin/users/"+o.bossID, o.boss, "reason", "because", "action", own, "role", "user", "confirm", "boss@example.test").status(409)
	}

	account := "/admin/ledger/" + o.ownerID // who has nothing that would pay a debt
	if page := o.send("GET", account, nil, o.boss).status(200).body; strings.Contains(page, `value="forgive"`) {
		t.Error("a debt is offered to be written off where there is none")
	}
	o.post(account, o.boss, "reason", "goodwill", "action", "forgive").status(409)
	o.db.Tamper(t, `INSERT INTO credits.balances (user_id, debt) VALUES ($1, 5000) ON CONFLICT (user_id) DO UPDATE SET debt = 5000`, o.ownerID)
	o.db.Tamper(t, `INSERT INTO credits.debts (user_id, reference, kind, amount) VALUES ($1, 'ch_1', 'incurred', 5000)`, o.ownerID)
	if page := o.send("GET", account, nil, o.boss).status(200).body; !strings.Contains(page, `value="forgive"`) {
		t.Errorf("no way to write a debt off: %s", page)
	}
	for _, amount := range []string{"0", "-1", "much"} {
		o.post(account, o.boss, "reason", "goodwill", "action", "forgive", "atMost", amount).status(400)
	}
	o.post(account, o.boss, "reason", "goodwill", "action", "grant").status(400)
	do(account, "desk-forgiven", "action", "forgive", "atMost", "2")
	if b, err := o.Ledger.BalanceOf(t.Context(), o.ownerID); err != nil || b.Debt.String() != "3" {
		t.Errorf("debt %v, %v", b.Debt, err)
	}
	do(account, "desk-forgiven", "action", "forgive")
	if b, err := o.Ledger.BalanceOf(t.Context(), o.ownerID); err != nil || b.Debt != 0 || b.Available != 0 {
		t.Errorf("afterwards %+v, %v", b, err)
	}

	do("/admin/api-keys", "desk-key", "action", "revokeKey", "item", o.key)
	o.post("/admin/api-keys", o.boss, "reason", "again", "action", "revokeKey", "item", o.key).status(404)
	do("/admin/clients", "desk-client", "action", "deleteClient", "item", "newcomer")
	o.post("/admin/clients", o.boss, "reason", "again", "action", "deleteClient", "item", "newcomer").status(404)
	do("/admin/outbox", "desk-mail", "action", "retry", "item", o.letter)
	o.post("/admin/outbox", o.boss, "reason", "again", "action", "retry", "item", o.letter).status(404)
	do("/admin/signing-keys", "desk-rotated", "action", "rotate")
	o.post("/admin/signing-keys", o.boss, "reason", "gone", "action", "revokeSigning", "item", "nothing").status(404)
	do("/admin/organizations/"+o.organization, "desk-organization", "action", "deleteOrganization")
	o.send("GET", "/admin/organizations/"+o.organization, nil, o.boss).status(404)
	for _, action := range []string{"role_changed", "session_revoked", "account_disabled", "account_enabled", "credits_granted", "data_exported", "api_key_revoked"} {
		o.wantAdminAction(bearer(access), action, o.userID, "asked by letter")
	}
	o.wantAdminAction(bearer(access), "debt_forgiven", o.ownerID, "asked by letter")
	o.wantAdminAction(bearer(access), "message_retried", "", "asked by letter")
	o.wantAdminAction(bearer(access), "key_rotated", "", "asked by letter")
	o.wantAdminAction(bearer(access), "organization_deleted", o.ownerID, "asked by letter")

	do(ada, "desk-erased", "action", "erase", "confirm", " ADA@example.test ")
	o.wantAdminAction(bearer(access), "account_deleted", o.userID, "asked by letter")
	o.send("GET", ada, nil, o.boss).status(404)
	if got := o.send("GET", "/admin/users?q=ada", nil, o.boss, with("Accept-Language", "en")).status(200); !strings.Contains(got.body, "Nothing found.") {
		t.Errorf("an erased account is found: %s", got.body)
	}
}

// Whatever others write is shown as text by the desk: nothing of it runs, or leads
// anywhere.
func TestDeskShowsNothingThatRuns(t *testing.T) {
	t.Parallel()
	value := regexp.MustCompile(`="[^"]*"`)
	handler := regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=|<script|<iframe|<object|<img[^>]*\ssrc=x|\sstyle=|ZgotmplZ`)
	target := regexp.MustCompile(`(?i)(href|src|action|xlink:href)="\s*(javascript|data|vbscript):`)
	runs := func(page string) string {
		return handler.FindString(value.ReplaceAllString(page, `=""`)) + target.FindString(page)
	}
	outside := regexp.MustCompile(`href="([^"]*)"`)
	for i, payload := range []string{
		attackText + `<script>alert(1)</script>"><img src=x onerror=alert(1)>' onmouseover='alert(1)</title><svg/onload=alert(1)>{{.}}`, `javascript:alert(1)`, "../../login", "//evil.test/",
	} {
		o := newOffice(t, payload)
		readers := []header{o.boss}
		if i == 0 {
			readers = append(readers, o.support)
		}
		for path := range o.pages() {
			for _, cookie := range readers {
				got := o.send("GET", path, nil, cookie, with("Accept-Language", "en")).status(200)
				if found := runs(got.body); found != "" {
					t.Errorf("%q at %s: %s", payload, path, found)
				}
				for _, link := range outside.FindAllStringSubmatch(got.body, -1) {
					if to := link[1]; strings.HasPrefix(to, "//") || strings.Contains(to+"/", "/../") || !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "?") && !strings.HasPrefix(to, "#") {
						t.Errorf("%q at %s leads to %s", payload, path, to)
					}
				}
				if csp := got.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
					t.Errorf("%s: policy %q", path, csp)
				}
			}
		}
		for _, query := range []string{"/admin/users?q=", "/admin/events?type=", "/admin/events?ip=", "/admin/events?user=", "/admin/search?q=", "/admin/gifts?user=", "/admin/sales?status=", "/admin/users?before=", "/admin/events?before=", "/admin/alerts?user=", "/admin/alerts?org=", "/admin/alerts?before=", "/admin?done="} {
			if got := o.send("GET", query+url.QueryEscape(payload), nil, o.boss).status(200); runs(got.body) != "" {
				t.Errorf("%s%q: %s", query, payload, runs(got.body))
			}
		}
	}
}

// Every word of the desk has a text in both languages.
func TestDeskHasItsWords(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	key := regexp.MustCompile(`[>"]\s*((desk[A-Za-z]*|done|section)\.[a-zA-Z-]+)`)
	for path := range o.pages() {
		for _, lang := range []string{"de", "en"} {
			for _, done := range []string{"", "desk-role", "desk-erased"} {
				at := path + "?done=" + done
				if strings.Contains(path, "?") {
					at = path + "&done=" + done
				}
				got := o.send("GET", at, nil, o.boss, with("Accept-Language", lang)).status(200)
				if found := key.FindStringSubmatch(got.body); found != nil {
					t.Errorf("%s in %s shows the key %s", path, lang, found[1])
				}
				if !strings.Contains(got.body, `<html lang="`+lang+`">`) || strings.Count(got.body, `aria-current="page"`) != 2 {
					t.Errorf("%s in %s: %s", path, lang, got.body)
				}
			}
		}
	}
}

// Support reads what the routes of admins show, and changes nothing there either.
func TestSupportReadsAdminRoutes(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	access, _ := o.login("support@example.test")
	support, before := bearer(access), o.everything()
	of := "/api/v1/admin/users/" + o.userID
	for _, path := range []string{"/api/v1/admin/users", "/api/v1/api/v1/admin/users", of + "/data", of + "/security-events"} {
		o.send("GET", path, nil, support).status(200)
	}
	reason := map[string]any{"reason": "because"}
	o.send("PATCH", of, map[string]any{"reason": "because", "role": "admin"}, support).status(403).message("Admin access required")
	o.send("DELETE", of+"/data", reason, support).status(403)
	o.send("DELETE", "/api/v1/api/v1/admin/users/"+o.userID+"/data", reason, support).status(403)
	o.send("DELETE", of+"/sessions", reason, support).status(403)
	o.send("POST", of+"/reset-factor", reason, support).status(403)
	if after := o.everything(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	access, _ = o.login("boss@example.test")
	o.send("DELETE", of+"/sessions", map[string]any{}, bearer(access)).status(400)
	o.send("POST", of+"/reset-factor", map[string]any{"reason": " "}, bearer(access)).status(400)
}

// A list is read page by page, each row once, whatever comes in meanwhile.
func TestDeskPagesThroughLists(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "plain")
	o.exec(`INSERT INTO auth.users (id, name, email, created_at) SELECT 'u' || i, 'Number ' || i, 'number' || i || '@crowd.test', now() - make_interval(hours => i / 3) FROM generate_series(1, 70) AS i`)
	o.exec(`INSERT INTO auth.security_events (user_id, event_type, created_at) SELECT 'u1', 'test_event', now() - make_interval(hours => i / 3) FROM generate_series(1, 70) AS i`)
	o.exec(`INSERT INTO credits.alerts (account_id, kind, data, created_at) SELECT 'u1', 'debt', jsonb_build_object('credits', i), now() - make_interval(hours => i / 3) FROM generate_series(1, 70) AS i`)
	older := regexp.MustCompile(`<a href="([^"]+)" rel="next">`)
	shown := regexp.MustCompile(`<a href="/admin/users/u[0-9]+">number[0-9]+@`)
	for start, row := range map[string]*regexp.Regexp{"/admin/users?q=crowd+number": shown, "/admin/events?type=test_event": regexp.MustCompile(`<code>test_event</code>`),
		"/admin/alerts?kind=debt&user=number1@crowd.test": regexp.MustCompile(`Credits: <span class="number">[0-9]+`)} {
		rows, pages := 0, 0
		seen := map[string]bool{}
		for at := start; at != ""; pages++ {
			got := o.send("GET", at, nil, o.boss).status(200)
			for _, found := range row.FindAllString(got.body, -1) {
				rows++
				seen[found] = true
			}
			o.exec(`INSERT INTO auth.users (id, name, email) VALUES ('late' || $1, 'Late', 'late' || $1 || '@crowd.test')`, start+at)
			at = ""
			if next := older.FindStringSubmatch(got.body); next != nil {
				at = strings.ReplaceAll(next[1], "&amp;", "&")
			}
		}
		if rows != 70 || pages != 3 || !strings.HasPrefix(start, "/admin/events") && len(seen) != 70 {
			t.Errorf("%s: %d rows, %d of them different, on %d pages", start, rows, len(seen), pages)
		}
	}
}
