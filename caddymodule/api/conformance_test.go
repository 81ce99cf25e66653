package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/token"
)

// conformant is a provider as the certification plans of the OpenID Foundation see it: two
// clients that sign in by code and secret with RS256, and a user in a browser.
type conformant struct {
	*site
	user   authcore.User
	cookie header
	told   *logouts
	posts  chan string // logout tokens that the client received
}

const (
	confCallback = "https://conformance.test/callback"
	confBye      = "https://conformance.test/bye"
)

// conformanceModule is a module of a plan, by the name that the plan has for it.
type conformanceModule struct {
	name string
	// check fails where the provider does not do what the module asks for.
	check func(o *conformant)
}

// conformancePlans are the modules of the certification plans for a provider of the code
// flow with discovery, whose own suite cannot run here. What a module asks for follows the
// specifications that it names: OpenID Connect Core (C), Discovery (D), RP-Initiated Logout
// (R), Back-Channel Logout (B), RFC 6749 and RFC 6750.
var conformancePlans = []struct {
	name    string
	modules []conformanceModule
}{
	{"Basic OP", []conformanceModule{
		{"oidcc-server", func(o *conformant) { o.flow(o.query()) }},
		{"oidcc-response-type-missing", func(o *conformant) {
			o.refused(o.query("response_type", ""), "invalid_request", "unsupported_response_type")
		}},
		{"oidcc-idtoken-signature", func(o *conformant) {
			_, given := o.flow(o.query())
			idToken := given.text("id_token")
			if _, err := o.verified(idToken[:len(idToken)-8] + "AAAAAAAA"); err == nil {
				o.Error("another signature verifies, too")
			}
		}},
		{"oidcc-idtoken-unsigned", func(o *conformant) { // C 3.1.3.7, 15.1: only for who asked for it; nobody can
			if slices.Contains(o.discovered("id_token_signing_alg_values_supported"), any("none")) {
				o.Error("none is offered")
			}
		}},
		{"oidcc-userinfo-get", func(o *conformant) {
			_, given := o.flow(o.query())
			o.userInfo(o.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))))
		}},
		{"oidcc-userinfo-post-header", func(o *conformant) {
			_, given := o.flow(o.query())
			o.userInfo(o.send("POST", "/api/auth/oauth2/userinfo", "", asForm, bearer(given.text("access_token"))))
		}},
		{"oidcc-userinfo-post-body", func(o *conformant) { // RFC 6750, section 2.2
			_, given := o.flow(o.query())
			o.userInfo(o.send("POST", "/api/auth/oauth2/userinfo", url.Values{"access_token": {given.text("access_token")}}.Encode(), asForm))
		}},
		{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", func(o *conformant) {
			if claims, _ := o.flow(o.query("nonce", "")); claims["nonce"] != nil {
				o.Errorf("a nonce that nobody sent: %v", claims["nonce"])
			}
		}},
		{"oidcc-scope-profile", func(o *conformant) { o.scope("openid profile", "name") }},
		{"oidcc-scope-email", func(o *conformant) { o.scope("openid email", "email", "email_verified") }},
		{"oidcc-scope-address", func(o *conformant) { o.unlisted("address") }},
		{"oidcc-scope-phone", func(o *conformant) { o.unlisted("phone", "phone_number", "phone_number_verified") }},
		{"oidcc-scope-all", func(o *conformant) {
			var all []string
			for _, scope := range o.discovered("scopes_supported") {
				all = append(all, scope.(string))
			}
			o.scope(strings.Join(all, " "), "name", "email", "email_verified")
		}},
		{"oidcc-ensure-other-scope-order-succeeds", func(o *conformant) { o.scope("email openid", "email") }},
		{"oidcc-display-page", func(o *conformant) { o.flow(o.query("display", "page")) }},
		{"oidcc-display-popup", func(o *conformant) { o.flow(o.query("display", "popup")) }},
		{"oidcc-prompt-login", func(o *conformant) { o.provesAgain(o.query("prompt", "login")) }},
		{"oidcc-prompt-none-not-logged-in", func(o *conformant) {
			to := o.send("GET", authorizePath(o.query("prompt", "none")), nil).status(302).location()
			o.isError(to, "login_required", "interaction_required", "account_selection_required", "consent_required")
		}},
		{"oidcc-prompt-none-logged-in", func(o *conformant) {
			first, _ := o.flow(o.query())
			second, _ := o.flow(o.query("prompt", "none"))
			if first["sub"] != second["sub"] || first["auth_time"] != second["auth_time"] {
				o.Errorf("then %v, now %v", first, second)
			}
		}},
		{"oidcc-max-age-1", func(o *conformant) { o.provesAgain(o.query("max_age", "1")) }},
		{"oidcc-max-age-10000", func(o *conformant) {
			first, _ := o.flow(o.query())
			second, _ := o.flow(o.query("max_age", "10000"))
			if second["auth_time"] == nil || first["auth_time"] != second["auth_time"] { // C 2: required with max_age
				o.Errorf("then %v, now %v", first["auth_time"], second["auth_time"])
			}
		}},
		{"oidcc-ensure-request-with-unknown-parameter-succeeds", func(o *conformant) { o.flow(o.query("extra", "foobar")) }},
		{"oidcc-id-token-hint", func(o *conformant) {
			first, given := o.flow(o.query())
			second, _ := o.flow(o.query("prompt", "none", "id_token_hint", given.text("id_token")))
			if first["sub"] != second["sub"] {
				o.Errorf("then %v, now %v", first, second)
			}
		}},
		{"oidcc-login-hint", func(o *conformant) {
			to := o.send("GET", authorizePath(o.query("login_hint", "somebody@example.test")), nil).status(302)
			page := o.send("GET", to.location().String(), nil).status(200)
			if !strings.Contains(page.body, `value="somebody@example.test"`) {
				o.Error("the page does not know who is meant")
			}
			o.flow(o.query("login_hint", o.user.Email))
		}},
		{"oidcc-ui-locales", func(o *conformant) {
			for tags, want := range map[string]string{"se": "en", "fr de-CH en": "de", "en-GB de": "en"} {
				to := o.send("GET", authorizePath(o.query("ui_locales", tags)), nil).status(302).location()
				if page := o.send("GET", to.String(), nil).status(200); !strings.Contains(page.body, `lang="`+want+`"`) {
					o.Errorf("%q is not answered in %s", tags, want)
				}
			}
			o.flow(o.query("ui_locales", "se"))
		}},
		{"oidcc-claims-locales", func(o *conformant) { o.flow(o.query("claims_locales", "se")) }},
		{"oidcc-ensure-request-with-acr-values-succeeds", func(o *conformant) { // C 5.5.1.1: voluntary
			claims, _ := o.flow(o.query("acr_values", "urn:mace:incommon:iap:bronze"))
			if claims["acr"] != "urn:mace:incommon:iap:bronze" {
				o.Errorf("acr is %v", claims["acr"])
			}
			o.flow(o.query("acr_values", "1 2"))
		}},
		{"oidcc-codereuse", func(o *conformant) { o.reused("") }},
		{"oidcc-codereuse-30seconds", func(o *conformant) { o.reused("31 seconds") }},
		{"oidcc-ensure-registered-redirect-uri", func(o *conformant) {
			a := o.send("GET", authorizePath(o.query("redirect_uri", confCallback+"/other")), nil, o.cookie, with("Accept", "text/html")).status(400)
			if a.header.Get("Location") != "" || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
				o.Errorf("no page says so: %v", a.header)
			}
		}},
		{"oidcc-ensure-post-request-succeeds", func(o *conformant) { // C 3.1.2.1: GET and POST
			posted := o.send("POST", "/api/auth/oauth2/authorize", o.query().Encode(), asForm, o.cookie, with("Origin", "https://conformance.test")).status(303).location()
			to := o.send("GET", posted.String(), nil, o.cookie).status(302).location()
			form := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {confCallback}}
			o.given(o.exchange(form, basic("conformance", appSecret)), "a nonce")
		}},
		{"oidcc-server-client-secret-post", func(o *conformant) {
			o.given(o.exchange(url.Values{
				"grant_type": {"authorization_code"}, "code": {o.codeFor(o.cookie, o.query())}, "redirect_uri": {confCallback},
				"client_id": {"conformance"}, "client_secret": {appSecret},
			}), "a nonce")
		}},
		{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", func(o *conformant) {
			o.refused(o.query("request_uri", "https://conformance.test/request"), "request_uri_not_supported")
		}},
		{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", func(o *conformant) {
			o.refused(o.query("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported")
		}},
		{"oidcc-ensure-request-object-with-redirect-uri", func(o *conformant) {
			// {"redirect_uri":"https://conformance.test/other"}: it must not be followed.
			o.refused(o.query("request", "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2NvbmZvcm1hbmNlLnRlc3Qvb3RoZXIifQ."), "request_not_supported")
		}},
		{"oidcc-claims-essential", func(o *conformant) { // C 5.5: a provider may leave the parameter out, and says so
			if supported, _ := o.document()["claims_parameter_supported"].(bool); supported {
				o.Error("discovery says that claims are supported")
			}
			o.flow(o.query("claims", `{"userinfo":{"name":{"essential":true}}}`))
		}},
		{"oidcc-refresh-token", (*conformant).refreshes},
		{"oidcc-ensure-request-with-valid-pkce-succeeds", func(o *conformant) {
			q := o.query("code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
			form := codeForm(o.codeFor(o.cookie, q), confCallback)
			form.Set("code_verifier", verifier)
			o.given(o.exchange(form, basic("conformance", appSecret)), "a nonce")
			form.Set("code", o.codeFor(o.cookie, q))
			form.Set("code_verifier", strings.Repeat("b", 43))
			if a := o.exchange(form, basic("conformance", appSecret)); a.code != 400 || a.object()["error"] != "invalid_grant" {
				o.Errorf("another verifier: %d %s", a.code, a.body)
			}
		}},
	}},
	{"Config OP", []conformanceModule{{"oidcc-discovery-endpoint-verification", (*conformant).discovers}}},
	{"RP-initiated logout", []conformanceModule{
		{"oidcc-rp-initiated-logout-discovery-endpoint-verification", func(o *conformant) { o.endpoint("end_session_endpoint") }},
		{"oidcc-rp-initiated-logout", func(o *conformant) {
			cookie, hint := o.signedIn()
			to := o.end(cookie, "id_token_hint", hint, "post_logout_redirect_uri", confBye, "state", "a state").status(302).location()
			if to.String() != confBye+"?state=a+state" || o.live(cookie) {
				o.Errorf("led to %s, signed in %v", to, o.live(cookie))
			}
			// Who asks silently learns that nobody is signed in any more.
			o.isError(o.send("GET", authorizePath(o.query("prompt", "none")), nil, cookie).status(302).location(), "login_required")
		}},
		{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", func(o *conformant) {
			cookie, hint := o.signedIn()
			o.stays(o.end(cookie, "id_token_hint", hint, "post_logout_redirect_uri", "https://conformance.test/elsewhere", "state", "s"))
		}},
		{"oidcc-rp-initiated-logout-modified-id-token-hint", func(o *conformant) {
			cookie, hint := o.signedIn()
			o.stays(o.end(cookie, "id_token_hint", hint[:len(hint)-8]+"AAAAAAAA", "post_logout_redirect_uri", confBye))
		}},
		{"oidcc-rp-initiated-logout-bad-id-token-hint", func(o *conformant) { // signed by somebody else
			cookie, _ := o.signedIn()
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(appSecret + appSecret)}, nil)
			if err != nil {
				o.Fatal(err)
			}
			signed, err := signer.Sign(fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":"conformance","exp":%d}`, base, o.user.ID, time.Now().Add(time.Hour).Unix()))
			if err != nil {
				o.Fatal(err)
			}
			forged, err := signed.CompactSerialize()
			if err != nil {
				o.Fatal(err)
			}
			o.stays(o.end(cookie, "id_token_hint", forged, "post_logout_redirect_uri", confBye))
		}},
		{"oidcc-rp-initiated-logout-no-id-token-hint", func(o *conformant) { // R 2: whose wish it is has to be asked
			cookie, _ := o.signedIn()
			a := o.end(cookie, "post_logout_redirect_uri", confBye, "client_id", "conformance", "state", "s")
			if to := a.status(302).location(); to.Path != "/sign-out" || !o.live(cookie) {
				o.Errorf("led to %s, signed in %v", to, o.live(cookie))
			}
		}},
		{"oidcc-rp-initiated-logout-no-params", func(o *conformant) { o.asks() }},
		{"oidcc-rp-initiated-logout-only-state", func(o *conformant) { o.asks("state", "s") }},
		{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", func(o *conformant) {
			cookie, hint := o.signedIn()
			a := o.end(cookie, "id_token_hint", hint, "state", "s").status(200)
			if a.header.Get("Location") != "" || o.live(cookie) {
				o.Errorf("led to %q, signed in %v", a.header.Get("Location"), o.live(cookie))
			}
		}},
		{"oidcc-rp-initiated-logout-no-state", func(o *conformant) {
			cookie, hint := o.signedIn()
			if to := o.end(cookie, "id_token_hint", hint, "post_logout_redirect_uri", confBye).status(302).location(); to.String() != confBye || o.live(cookie) {
				o.Errorf("led to %s, signed in %v", to, o.live(cookie))
			}
		}},
		{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", func(o *conformant) {
			cookie, hint := o.signedIn()
			o.stays(o.end(cookie, "id_token_hint", hint, "post_logout_redirect_uri", confBye+"?foo=bar", "state", "s"))
		}},
	}},
	{"Back-channel logout", []conformanceModule{
		{"oidcc-backchannel-logout-discovery-endpoint-verification", func(o *conformant) {
			for _, name := range []string{"backchannel_logout_supported", "backchannel_logout_session_supported"} {
				if o.document()[name] != true {
					o.Errorf("%s is %v", name, o.document()[name])
				}
			}
			o.endpoint("end_session_endpoint")
		}},
		{"oidcc-backchannel-rp-initiated-logout", func(o *conformant) {
			cookie, hint := o.signedIn()
			_, claims := claimsOf(o, hint)
			o.end(cookie, "id_token_hint", hint, "post_logout_redirect_uri", confBye, "state", "s").status(302)
			o.logoutReaches(claims["sid"])
		}},
	}},
}

// TestConformance holds the provider against each module of the plans, and says how many of
// a plan it passes.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, plan := range conformancePlans {
		var passed atomic.Int64
		t.Run(plan.name, func(t *testing.T) {
			for _, m := range plan.modules {
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					m.check(newConformant(t))
					if !t.Failed() {
						passed.Add(1)
					}
				})
			}
		})
		t.Logf("%s: %d of %d modules pass", plan.name, passed.Load(), len(plan.modules))
	}
}

func newConformant(t *testing.T) *conformant {
	t.Helper()
	told, posts := new(logouts), make(chan string, 2)
	party := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		posts <- r.FormValue("logout_token")
	}))
	t.Cleanup(party.Close)
	o := &conformant{told: told, posts: posts, site: newProvider(t, func(cfg *authcore.Config, deps *authcore.Deps) {
		for _, id := range []string{"conformance", "conformance-2"} {
			cfg.OpenIDClients = append(cfg.OpenIDClients, openid.Client{
				ID: id, SecretDigest: openid.DigestOf(appSecret), Trusted: true, Algorithm: token.RS256, RedirectURIs: []string{confCallback},
				PostLogoutRedirectURIs: []string{confBye}, BackchannelLogoutURI: party.URL,
			})
		}
		deps.Logouts = told
	})}
	o.send("POST", "/api/v1/auth/register", map[string]any{"email": "ada@example.test", "password": testPassword, "name": "Ada Lovelace"}).status(201)
	o.user, o.cookie = o.userOf("ada@example.test"), o.signIn("ada@example.test")
	return o
}

// query is a request of the suite: without PKCE, unless a module is about that.
func (o *conformant) query(more ...string) url.Values {
	q := url.Values{
		"client_id": {"conformance"}, "redirect_uri": {confCallback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"a state"}, "nonce": {"a nonce"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
		if more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return q
}

// flow goes through the code flow (C 3.1) and checks what comes back.
func (o *conformant) flow(q url.Values) (claims map[string]any, given answer) {
	o.Helper()
	to := o.send("GET", authorizePath(q), nil, o.cookie).status(302).location()
	back := to.Query()
	if !strings.HasPrefix(to.String(), confCallback+"?") || back.Get("code") == "" || back.Get("state") != q.Get("state") || to.Fragment != "" {
		o.Fatalf("led to %s", to)
	}
	given = o.exchange(url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {confCallback}}, basic("conformance", appSecret))
	return o.given(given, q.Get("nonce")), given
}

// given checks an answer of the token endpoint (C 3.1.3.3, RFC 6749, section 5.1) and its ID
// token (C 2, 3.1.3.6, 3.1.3.7), and returns the claims.
func (o *conformant) given(given answer, nonce string) map[string]any {
	o.Helper()
	given.status(200)
	body := given.object()
	if !strings.EqualFold(fmt.Sprint(body["token_type"]), "Bearer") || given.text("access_token") == "" || body["expires_in"].(float64) <= 0 ||
		given.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(given.header.Get("Content-Type"), "application/json") {
		o.Errorf("the token answer: %v %s", given.header, given.body)
	}
	claims, err := o.verified(given.text("id_token"))
	if err != nil {
		o.Fatal(err)
	}
	now := float64(time.Now().Unix())
	subject, _ := claims["sub"].(string)
	if claims["iss"] != base || claims["aud"] != "conformance" || subject == "" || len(subject) > 255 || claims["exp"].(float64) <= now || claims["iat"].(float64) > now+1 ||
		nonce != "" && claims["nonce"] != nonce || claims["azp"] != nil && claims["azp"] != "conformance" {
		o.Errorf("ID token %v", claims)
	}
	return claims
}

// verified checks the signature of an ID token by the key that jwks_uri has for it, RS256
// alone (C 3.1.3.7, 10.1), and returns the claims.
func (o *conformant) verified(idToken string) (claims map[string]any, err error) {
	o.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(o.send("GET", o.endpoint("jwks_uri"), nil).status(200).body), &keys); err != nil {
		o.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(idToken, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, err
	}
	found := keys.Key(signed.Signatures[0].Header.KeyID)
	if len(found) != 1 || found[0].Use != "sig" && found[0].Use != "" || !found[0].IsPublic() {
		return nil, fmt.Errorf("%d keys have the id of the token", len(found))
	}
	payload, err := signed.Verify(found[0])
	if err != nil {
		return nil, err
	}
	return claims, json.Unmarshal(payload, &claims)
}

// userInfo checks an answer of the userinfo endpoint (C 5.3.2).
func (o *conformant) userInfo(a answer) map[string]any {
	o.Helper()
	info := a.status(200).object()
	if info["sub"] != o.user.ID || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		o.Errorf("userinfo %s", a.body)
	}
	return info
}

// scope checks that a scope gives its claims (C 5.4), and the ID token no wrong ones.
func (o *conformant) scope(scope string, claims ...string) {
	o.Helper()
	_, given := o.flow(o.query("scope", scope))
	info := o.userInfo(o.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))))
	for _, name := range claims {
		if info[name] == nil {
			o.Errorf("%s: no %s in %v", scope, name, info)
		}
	}
	if !strings.Contains(scope, "email") && info["email"] != nil || !strings.Contains(scope, "profile") && info["name"] != nil {
		o.Errorf("%s gives more: %v", scope, info)
	}
}

// unlisted checks that a scope that discovery does not name is passed over (C 3.1.2.1).
func (o *conformant) unlisted(scope string, claims ...string) {
	o.Helper()
	if slices.Contains(o.discovered("scopes_supported"), any(scope)) {
		o.Fatalf("discovery names %s", scope)
	}
	_, given := o.flow(o.query("scope", "openid "+scope))
	info := o.userInfo(o.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))))
	for _, name := range append(claims, scope) {
		if info[name] != nil {
			o.Errorf("%s in %v", name, info)
		}
	}
	if given.object()["scope"] != "openid" { // RFC 6749, section 5.1: told where it is not what was asked for
		o.Errorf("granted %v", given.object()["scope"])
	}
}

// isError checks that a request is answered by an error at the client (C 3.1.2.6).
func (o *conformant) isError(to *url.URL, wants ...string) {
	o.Helper()
	got := to.Query()
	if !strings.HasPrefix(to.String(), confCallback+"?") || !slices.Contains(wants, got.Get("error")) || got.Get("state") != "a state" || got.Has("code") {
		o.Errorf("led to %s, want an error of %v", to, wants)
	}
}

func (o *conformant) refused(q url.Values, wants ...string) {
	o.Helper()
	o.isError(o.send("GET", authorizePath(q), nil, o.cookie).status(302).location(), wants...)
}

// provesAgain checks that who is signed in is asked once more who they are, and that the ID
// token has the later time.
func (o *conformant) provesAgain(q url.Values) {
	o.Helper()
	first, _ := o.flow(o.query())
	time.Sleep(2100 * time.Millisecond) // more than max_age, and by the second of auth_time
	to := o.send("GET", authorizePath(q), nil, o.cookie).status(302).location()
	if to.Path != "/reauthenticate" {
		o.Fatalf("led to %s", to)
	}
	form := url.Values{"password": {testPassword}, "returnUrl": {to.Query().Get("returnUrl")}}
	on := o.send("POST", "/reauthenticate", form.Encode(), asForm, with("Origin", base), o.cookie).status(303).location()
	back := o.send("GET", on.String(), nil, o.cookie).status(302).location()
	given := o.exchange(url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {confCallback}}, basic("conformance", appSecret))
	second := o.given(given, "a nonce")
	if second["sub"] != first["sub"] || second["auth_time"] == nil || second["auth_time"].(float64) <= first["auth_time"].(float64) {
		o.Errorf("then %v, now %v", first, second)
	}
}

// reused checks that a code is refused once it was used, some time ago, and that what it
// gave has ended (RFC 6749, section 4.1.2).
func (o *conformant) reused(ago string) {
	o.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {o.codeFor(o.cookie, o.query())}, "redirect_uri": {confCallback}}
	given := o.exchange(form, basic("conformance", appSecret)).status(200)
	if ago != "" {
		o.exec(`UPDATE auth.oauth_authorization_codes SET consumed_at = consumed_at - $1::interval`, ago)
	}
	again := o.exchange(form, basic("conformance", appSecret)).status(400)
	if again.object()["error"] != "invalid_grant" {
		o.Errorf("%s", again.body)
	}
	o.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(given.text("access_token"))).status(401)
}

// refreshes checks the refresh of tokens (C 12, RFC 6749, section 6).
func (o *conformant) refreshes() {
	o.Helper()
	q := o.query("scope", "openid profile offline_access", "prompt", "consent")
	ask := o.send("GET", authorizePath(q), nil, o.cookie).status(302).location()
	if ask.Path != "/consent" {
		o.Fatalf("led to %s", ask)
	}
	form := url.Values{"consent_code": {ask.Query().Get("consent_code")}, "decision": {"allow"}}
	back := o.send("POST", "/consent", form.Encode(), asForm, with("Origin", base), o.cookie).status(303).location()
	given := o.exchange(url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {confCallback}}, basic("conformance", appSecret))
	first := o.given(given, "a nonce")
	refresh := func(token, id string) answer {
		return o.exchange(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, basic(id, appSecret))
	}
	next := refresh(given.text("refresh_token"), "conformance")
	second := o.given(next, "")
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "azp"} {
		if first[name] != second[name] {
			o.Errorf("%s was %v and is %v", name, first[name], second[name])
		}
	}
	if second["iat"].(float64) < first["iat"].(float64) || second["nonce"] != nil && second["nonce"] != first["nonce"] {
		o.Errorf("then %v, now %v", first, second)
	}
	o.userInfo(o.send("GET", "/api/auth/oauth2/userinfo", nil, bearer(next.text("access_token"))))
	if a := refresh(next.text("refresh_token"), "conformance-2"); a.code != 400 || a.object()["error"] != "invalid_grant" {
		o.Errorf("another client: %d %s", a.code, a.body)
	}
	o.given(refresh(next.text("refresh_token"), "conformance"), "")
}

// document is what discovery says.
func (o *conformant) document() map[string]any {
	o.Helper()
	return o.send("GET", "/.well-known/openid-configuration", nil).status(200).object()
}

// discovered is a list of the discovery document.
func (o *conformant) discovered(name string) []any {
	o.Helper()
	list, ok := o.document()[name].([]any)
	if !ok {
		o.Fatalf("%s is %v", name, o.document()[name])
	}
	return list
}

// endpoint is a path that discovery names by an https address of the issuer.
func (o *conformant) endpoint(name string) string {
	o.Helper()
	at, _ := o.document()[name].(string)
	path, ok := strings.CutPrefix(at, base+"/")
	if !ok || !strings.HasPrefix(at, "https://") {
		o.Fatalf("%s is %q", name, at)
	}
	return "/" + path
}

// discovers checks the discovery document (D 3) and the keys that it names.
func (o *conformant) discovers() {
	o.Helper()
	if o.document()["issuer"] != base {
		o.Errorf("issuer %v", o.document()["issuer"])
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"} {
		o.endpoint(name)
	}
	for name, wants := range map[string][]any{
		"response_types_supported": {"code"}, "subject_types_supported": {"public"}, "id_token_signing_alg_values_supported": {"RS256"},
		"scopes_supported": {"openid"}, "grant_types_supported": {"authorization_code"}, "claims_supported": {"sub", "iss", "auth_time", "name", "email"},
		"token_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post"},
	} {
		for _, want := range wants {
			if list := o.discovered(name); !slices.Contains(list, want) {
				o.Errorf("%s is %v, without %v", name, list, want)
			}
		}
	}
	for name, byDefault := range map[string]bool{"claims_parameter_supported": false, "request_parameter_supported": false, "request_uri_parameter_supported": true} {
		said, ok := o.document()[name].(bool)
		if !ok {
			said = byDefault // D 3: what counts where it is left out
		}
		if said {
			o.Errorf("discovery says %s", name)
		}
	}
	keys, _ := o.send("GET", o.endpoint("jwks_uri"), nil).status(200).object()["keys"].([]any)
	seen := map[any]bool{}
	for _, k := range keys {
		key := k.(map[string]any)
		if key["kid"] == nil || seen[key["kid"]] || key["kty"] == nil {
			o.Errorf("a key without an id or type of its own: %v", key)
		}
		seen[key["kid"]] = true
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if key[private] != nil {
				o.Errorf("key %v has %s", key["kid"], private)
			}
		}
	}
	if len(seen) == 0 {
		o.Error("no keys")
	}
}

// signedIn is a browser of its own with an ID token of its session.
func (o *conformant) signedIn() (cookie header, idToken string) {
	o.Helper()
	o.cookie = o.signIn(o.user.Email)
	_, given := o.flow(o.query())
	return o.cookie, given.text("id_token")
}

// end sends a browser to the end of its session (R 2).
func (o *conformant) end(cookie header, pairs ...string) answer {
	o.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return o.send("GET", o.endpoint("end_session_endpoint")+"?"+q.Encode(), nil, cookie)
}

// live reports whether a browser is signed in.
func (o *conformant) live(cookie header) bool {
	o.Helper()
	return o.send("GET", "/api/auth/get-session", nil, cookie).status(200).body != "null"
}

// stays checks that an answer leads nowhere and has signed nobody out.
func (o *conformant) stays(a answer) {
	o.Helper()
	if a.status(400).header.Get("Location") != "" || !o.live(o.cookie) {
		o.Errorf("led to %q, signed in %v", a.header.Get("Location"), o.live(o.cookie))
	}
}

// asks checks that somebody who may not have asked for it is asked whether to sign out, and
// is signed out once they say so.
func (o *conformant) asks(pairs ...string) {
	o.Helper()
	cookie, _ := o.signedIn()
	to := o.end(cookie, pairs...).status(302).location()
	if to.Path != "/sign-out" || !o.live(cookie) {
		o.Fatalf("led to %s, signed in %v", to, o.live(cookie))
	}
	o.send("GET", to.String(), nil, cookie).status(200)
	if a := o.send("POST", "/sign-out", "", asForm, with("Origin", base), cookie); a.code >= http.StatusBadRequest || o.live(cookie) {
		o.Errorf("%d, signed in %v", a.code, o.live(cookie))
	}
}

// logoutReaches checks that the client is told of the end of one of its sessions, by a token
// as B 2.4 has it.
func (o *conformant) logoutReaches(sid any) {
	o.Helper()
	ctx, stop := context.WithCancel(o.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = o.auth.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	for end := time.Now().Add(20 * time.Second); o.told.of("conformance") == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			o.Fatal("the client was told nothing")
		}
	}
	if len(o.told.list) != 1 {
		o.Fatalf("told %+v", o.told.list)
	}
	if err := o.auth.DeliverLogout(o.Context(), o.told.list[0]); err != nil {
		o.Fatal(err)
	}
	claims, err := o.verified(<-o.posts)
	if err != nil {
		o.Fatal(err)
	}
	events, _ := claims["events"].(map[string]any)
	event, _ := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	if claims["iss"] != base || claims["aud"] != "conformance" || claims["sub"] != o.user.ID || claims["sid"] != sid || claims["jti"] == nil || claims["nonce"] != nil ||
		event == nil || claims["iat"] == nil || claims["exp"].(float64) <= float64(time.Now().Unix()) {
		o.Errorf("the logout token says %v", claims)
	}
}
