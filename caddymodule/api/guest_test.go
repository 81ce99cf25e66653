package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/internal/providertest"
)

// Every way to sign up brings the wallet of the guest to the account, and takes its cookie
// away: the API, the page, a provider that leads the browser back, and one that sends it by a
// form, with which the cookie does not go.
func TestSignUpBringsTheWallet(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	company, apple := providertest.New(t), providertest.New(t)
	company.User = providertest.User{Subject: "1", Email: "company@example.test", Verified: true}
	apple.User = providertest.User{Subject: "2", Email: "apple@example.test", Verified: "true"}
	apple.Secret = func(*http.Request) bool { return true } // it is signed anew each time
	var brought []string
	s := federated(t, func(_ *authcore.Config, d *authcore.Deps) {
		open := d.Hooks.RegisterTx
		d.Hooks.RegisterTx = func(ctx context.Context, tx pgx.Tx, u authcore.User, client principal.Client) error {
			brought = append(brought, u.Email+" "+client.Guest)
			return open(ctx, tx, u, client)
		}
	}, openID("first", company), provider.Config{Kind: provider.Apple, Issuer: apple.URL, ClientID: providertest.ClientID, TeamID: "T", KeyID: "K",
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	wantForgotten := func(name string, a answer) {
		t.Helper()
		var cleared int
		for _, value := range a.header["Set-Cookie"] {
			if strings.HasPrefix(value, "__Secure-mana.guest=; Max-Age=0; ") {
				cleared++
			}
		}
		if cleared != 2 {
			t.Errorf("%s: %q", name, a.header["Set-Cookie"])
		}
	}
	guest := func() (id string, cookie header) {
		id, set := s.auth.Cookies().NewGuest(time.Now())
		pair, _, _ := strings.Cut(set, ";")
		return id, with("Cookie", pair)
	}
	var want []string

	id, cookie := guest()
	want = append(want, "api@example.test "+id)
	wantForgotten("API", s.send("POST", "/api/v1/auth/register", `{"email":"api@example.test","password":"`+testPassword+`"}`, cookie).status(201))
	// No account, nothing forgotten.
	if again := s.send("POST", "/api/v1/auth/register", `{"email":"api@example.test","password":"`+testPassword+`"}`, cookie).status(409); again.header["Set-Cookie"] != nil {
		t.Errorf("a taken address: %q", again.header["Set-Cookie"])
	}
	// A cookie that nobody signed is none.
	want = append(want, "forged@example.test ")
	s.send("POST", "/api/v1/auth/register", `{"email":"forged@example.test","password":"`+testPassword+`"}`,
		with("Cookie", "__Secure-mana.guest="+id+".AAAA")).status(201)

	id, cookie = guest()
	want = append(want, "page@example.test "+id)
	wantForgotten("page", s.form("/register", url.Values{"email": {"page@example.test"}, "password": {testPassword}}, cookie).status(303))

	b := s.browser()
	id, cookie = guest()
	want = append(want, "company@example.test "+id)
	back := company.Authorize(b.leave("first", ""))
	wantForgotten("provider", b.do("GET", "/api/auth/callback/first?"+back.Encode(), "", false, cookie).status(303))

	b = s.browser()
	id, cookie = guest()
	want = append(want, "apple@example.test "+id)
	left := b.do("GET", "/api/auth/sign-in/social/apple", "", false, cookie).status(303).header.Get("Location")
	b.do("POST", "/api/auth/callback/apple", apple.Authorize(left).Encode(), true, with("Origin", "https://appleid.apple.com"), with("Sec-Fetch-Site", "cross-site")).status(303)
	if !slices.Equal(brought, want) {
		t.Errorf("brought %q, want %q", brought, want)
	}
}

// Where nobody may learn that an address has an account, the answer to its owner's guest is
// that of a new account, and what becomes of the wallet too.
func TestTakenAddressSpendsTheWallet(t *testing.T) {
	t.Parallel()
	var again []string
	company := providertest.New(t)
	company.User = providertest.User{Subject: "1", Email: "ada@example.test", Verified: false}
	s := federated(t, func(c *authcore.Config, d *authcore.Deps) {
		c.VerificationRequired = true
		d.Hooks.RegisterAgainTx = func(_ context.Context, _ pgx.Tx, client principal.Client) error {
			again = append(again, client.Guest)
			return nil
		}
	}, openID("first", company))
	send := func() (id string, a answer) {
		id, set := s.auth.Cookies().NewGuest(time.Now())
		pair, _, _ := strings.Cut(set, ";")
		return id, s.send("POST", "/api/v1/auth/register", `{"email":"ada@example.test","password":"`+testPassword+`"}`, with("Cookie", pair)).status(201)
	}
	_, first := send()
	id, second := send()
	if !slices.Equal(again, []string{id}) || !slices.Equal(first.header["Set-Cookie"], second.header["Set-Cookie"]) || len(second.header["Set-Cookie"]) != 2 {
		t.Errorf("again %q, cookies %q, then %q", again, first.header["Set-Cookie"], second.header["Set-Cookie"])
	}
	b := s.browser()
	_, set := s.auth.Cookies().NewGuest(time.Now())
	pair, _, _ := strings.Cut(set, ";")
	b.do("GET", "/api/auth/callback/first?"+company.Authorize(b.leave("first", "")).Encode(), "", false, with("Cookie", pair)).status(200)
	if len(again) != 2 || !strings.Contains(pair, again[1]) {
		t.Errorf("again %q", again)
	}
}
