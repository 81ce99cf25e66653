package cookie_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/cookie"
)

const (
	testKey     = "0123456789abcdef0123456789abcdef"
	vectorToken = "abcdefghijklmnopqrstuvwxyzABCDEF"
	vectorValue = "abcdefghijklmnopqrstuvwxyzABCDEF.M2ywRDp5rcBzPkujXjncHeiPyZUNaplgYBDEjlr95jQ%3D"
	otherToken  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
)

func secureCookies() cookie.Codec {
	return cookie.New("https://auth.mana.how", ".mana.how", []byte(testKey))
}

// valueOf is the value of a Set-Cookie header.
func valueOf(t testing.TB, setCookie string) string {
	t.Helper()
	c, err := http.ParseSetCookie(setCookie)
	if err != nil {
		t.Fatalf("%q: %v", setCookie, err)
	}
	return c.Value
}

func TestSetCookie(t *testing.T) {
	t.Parallel()
	plain := cookie.New("http://localhost:3001", "", []byte(testKey))
	for _, tt := range []struct{ name, got, want string }{
		{
			"persistent", secureCookies().Set(vectorToken, true, 7*24*time.Hour),
			"__Secure-mana.session_token=" + vectorValue + "; Max-Age=604800; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"not to be remembered", secureCookies().Set(vectorToken, false, 24*time.Hour),
			"__Secure-mana.session_token=" + vectorValue + "; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"plain http", plain.Set(vectorToken, true, time.Hour),
			"mana.session_token=" + vectorValue + "; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax",
		},
		{
			"run out", plain.Set(vectorToken, true, -time.Hour),
			"mana.session_token=" + vectorValue + "; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
		},
	} {
		if tt.got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
	briefly := secureCookies().SetBriefly()
	if !strings.HasPrefix(briefly, "__Secure-mana.dont_remember=true.") || strings.Contains(briefly, "Max-Age") {
		t.Errorf("SetBriefly is %s", briefly)
	}
}

func TestClearCookies(t *testing.T) {
	t.Parallel()
	want := []string{
		"__Secure-mana.session_token=; Max-Age=0; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Secure-mana.dont_remember=; Max-Age=0; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Secure-mana.session_token=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax",
		"__Secure-mana.dont_remember=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax",
	}
	if diff := cmp.Diff(want, secureCookies().Clear()); diff != "" {
		t.Error(diff)
	}
	host := cookie.New("https://auth.mana.how", "", []byte(testKey))
	if diff := cmp.Diff(want[2:], host.Clear()); diff != "" {
		t.Error(diff)
	}
}

func TestCookieTokens(t *testing.T) {
	t.Parallel()
	c := secureCookies()
	name := c.Name()
	unescaped, err := url.PathUnescape(vectorValue)
	if err != nil {
		t.Fatal(err)
	}
	other := valueOf(t, c.Set(otherToken, true, time.Hour))
	foreign := valueOf(t, cookie.New("https://auth.mana.how", "", []byte("fedcba9876543210fedcba9876543210")).Set(otherToken, true, time.Hour))
	signature := unescaped[strings.LastIndexByte(unescaped, '.')+1:]
	for _, tt := range []struct {
		name    string
		headers []string
		want    []string
	}{
		{"the contract's vector", []string{name + "=" + vectorValue}, []string{vectorToken}},
		{"not URL-encoded", []string{name + "=" + unescaped}, []string{vectorToken}},
		{"lower-case escapes", []string{name + "=" + strings.ReplaceAll(vectorValue, "%3D", "%3d")}, []string{vectorToken}},
		{"quoted", []string{name + `="` + vectorValue + `"`}, []string{vectorToken}},
		{"among others", []string{"a=b; " + name + "=" + vectorValue + "; c=d"}, []string{vectorToken}},
		{"without blanks", []string{"a=b;" + name + "=" + vectorValue + ";c=d"}, []string{vectorToken}},
		{"two of the name", []string{name + "=" + other + "; " + name + "=" + vectorValue}, []string{otherToken, vectorToken}},
		{"two headers", []string{name + "=" + vectorValue, name + "=" + other}, []string{vectorToken, otherToken}},
		{"a forged one first", []string{name + "=" + foreign + "; " + name + "=" + vectorValue}, []string{vectorToken}},
		{"rubbish first", []string{name + "=; " + name + "; =;;; " + name + "=x; " + name + "=" + vectorValue}, []string{vectorToken}},
		{"the same twice", []string{name + "=" + vectorValue + "; " + name + "=" + vectorValue}, []string{vectorToken}},
		{"no header", nil, nil},
		{"another name", []string{"mana.session_token=" + vectorValue}, nil},
		{"another case of the name", []string{strings.ToUpper(name) + "=" + vectorValue}, nil},
		{"another key", []string{name + "=" + foreign}, nil},
		{"another token", []string{name + "=" + otherToken + "." + url.QueryEscape(signature)}, nil},
		{"no signature", []string{name + "=" + vectorToken}, nil},
		{"empty signature", []string{name + "=" + vectorToken + "."}, nil},
		{"unpadded", []string{name + "=" + strings.TrimSuffix(unescaped, "=")}, nil},
		{"last bits of the signature", []string{name + "=" + strings.Replace(unescaped, "jQ=", "jR=", 1)}, nil},
		{"bad escape", []string{name + "=" + vectorToken + ".%zz"}, nil},
		{"token too short", []string{valuePair(t, c, vectorToken[:31])}, nil},
		{"token too long", []string{valuePair(t, c, vectorToken+"a")}, nil},
		{"token with a dot", []string{valuePair(t, c, vectorToken[:31]+".")}, nil},
		{"token with a blank", []string{valuePair(t, c, vectorToken[:31]+" ")}, nil},
	} {
		if diff := cmp.Diff(tt.want, c.Tokens(tt.headers)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// valuePair is a well-signed pair of any token.
func valuePair(t testing.TB, c cookie.Codec, token string) string {
	t.Helper()
	pair, _, _ := strings.Cut(c.Set(token, true, time.Hour), ";")
	return pair
}

func TestCookieWithoutKey(t *testing.T) {
	t.Parallel()
	var forger, victim cookie.Codec
	if got := victim.Tokens([]string{valuePair(t, forger, vectorToken)}); got != nil {
		t.Errorf("without a key, %q were read", got)
	}
}

func TestDeviceCookie(t *testing.T) {
	t.Parallel()
	c := secureCookies()
	set := c.NewDevice()
	if !strings.HasPrefix(set, c.DeviceName()+"=") ||
		!strings.HasSuffix(set, "; Max-Age=34560000; Domain=.mana.how; Path=/; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("NewDevice is %s", set)
	}
	pair, _, _ := strings.Cut(set, ";")
	id, ok := c.Device([]string{"a=b", c.DeviceName() + "=rubbish; " + pair})
	if !ok || len(id) != 32 {
		t.Errorf("device %q, %v", id, ok)
	}
	if set == c.NewDevice() {
		t.Error("two devices are alike")
	}
	if id, ok := c.Device([]string{c.DeviceName() + "=" + vectorValue}); ok {
		t.Errorf("the SSO cookie passes for device %q", id)
	}
	if got := c.Tokens([]string{c.Name() + strings.TrimPrefix(pair, c.DeviceName())}); got != nil {
		t.Errorf("the device cookie passes for the session %q", got)
	}
	if _, ok := c.Device(nil); ok {
		t.Error("a device without a cookie")
	}
}

func FuzzCookieValue(f *testing.F) {
	c := secureCookies()
	foreign := cookie.New("https://auth.mana.how", "", []byte("fedcba9876543210fedcba9876543210"))
	for _, seed := range []string{
		c.Name() + "=" + vectorValue, c.Name() + "=" + vectorValue + "; " + c.Name() + "=x",
		c.Name() + `="` + vectorValue + `"`, "a=b;;=", c.Name() + "=%", c.Name() + "=" + vectorToken + ".", c.NewDevice(),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		tokens := c.Tokens([]string{header})
		for i, token := range tokens {
			if len(token) != 32 || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
				t.Errorf("token %q", token)
			}
			if slices.Contains(tokens[:i], token) {
				t.Errorf("token %q came twice", token)
			}
			if !strings.Contains(header, c.Name()) {
				t.Errorf("token %q without its cookie", token)
			}
		}
		if tokens != nil && foreign.Tokens([]string{header}) != nil {
			t.Error("one header is signed by two keys")
		}
		// What is not ours must not hide what is.
		if !strings.Contains(header, ";") {
			if got := c.Tokens([]string{header, c.Name() + "=" + vectorValue}); !slices.Contains(got, vectorToken) {
				t.Errorf("hidden by %q", header)
			}
		}
		c.Device([]string{header})
	})
}

// The companions are cookies of the host alone, which no other host can set.
func TestCompanions(t *testing.T) {
	t.Parallel()
	plain := cookie.New("http://localhost:3001", ".mana.how", []byte(testKey))
	for _, tt := range []struct{ got, want string }{
		{secureCookies().TwoFactor().Set("token", 10*time.Minute), "__Host-mana.two_factor=token; Max-Age=600; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{secureCookies().TrustedDevice().Clear(), "__Host-mana.trusted_device=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{plain.PasskeyChallenge().Set("state", -1), "mana.passkey_challenge=state; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
	headers := []string{"__Host-mana.two_factor=a; mana.two_factor=b; __Secure-mana.two_factor=c", "__Host-mana.two_factor=; __Host-mana.two_factor=d"}
	if got := secureCookies().TwoFactor().Tokens(headers); !slices.Equal(got, []string{"a", "d"}) {
		t.Errorf("the tokens are %q", got)
	}
}
