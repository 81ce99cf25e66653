package gate_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/site"
)

// GHSA-7r4p-vjf4-gxv4, CVE-2026-52845, CVE-2025-64484, CVE-2026-40575: no
// spelling of an identity header reaches the upstream.
func TestStripIdentityAliases(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"X-Mana-User-Id", "x-mana-user-id", "X-MANA-USER-ID", "X_Mana_User_Id", "x_mana-user_id",
		"X-Mana_Role", "X.Mana.Role", "X-Mana-Anything", "X~Mana~Email", "X-Mana-",
	} {
		h := http.Header{name: {"admin"}, "X-Forwarded-User": {"kept"}, "X-Auth-Token": {"kept"}, "X-Manager": {"kept"}}
		site.StripIdentity(&http.Request{Header: h})
		want := http.Header{"X-Forwarded-User": {"kept"}, "X-Auth-Token": {"kept"}, "X-Manager": {"kept"}}
		if diff := cmp.Diff(want, h); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A client cannot have the sealed headers removed as hop-by-hop.
func TestStripConnectionTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want []string }{
		{[]string{"keep-alive, Upgrade"}, []string{"keep-alive, Upgrade"}},
		{[]string{"close,  te"}, []string{"close,  te"}},
		{[]string{"X-Mana-User-Id"}, nil},
		{[]string{"upgrade, x-mana-role ,X_MANA_EMAIL"}, []string{"upgrade"}},
		{[]string{"Upgrade", "authorization"}, []string{"Upgrade"}},
		{[]string{"Cookie"}, []string{"Cookie"}},
	} {
		h := http.Header{"Connection": c.in}
		site.StripIdentity(&http.Request{Header: h})
		if diff := cmp.Diff(c.want, h["Connection"]); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
}

func TestStripTrailers(t *testing.T) {
	t.Parallel()
	late := func(trailer http.Header) io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader("body"), readerFunc(func([]byte) (int, error) {
			trailer["X-Mana-User-Id"] = []string{"late"}
			trailer["X_mana_role"] = []string{"late"}
			trailer["Digest"] = []string{"kept"}
			return 0, io.EOF
		})))
	}
	trailer := http.Header{"X-Mana-User-Id": nil, "Digest": nil}
	r := &http.Request{Header: http.Header{}, Trailer: trailer, Body: late(trailer)}
	site.StripIdentity(r)
	if diff := cmp.Diff(http.Header{"Digest": nil}, r.Trailer); diff != "" {
		t.Errorf("before the body: %s", diff)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "body" {
		t.Fatalf("body %q, %v", body, err)
	}
	if diff := cmp.Diff(http.Header{"Digest": {"kept"}}, r.Trailer); diff != "" {
		t.Errorf("after the body: %s", diff)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestHeaderSafe(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ada@example.test":             "ada@example.test",
		"":                             "",
		"a@b\r\nX-Mana-Role: admin":    "a@b%0D%0AX-Mana-Role:%20admin",
		"josé@example.test":            "jos%C3%A9@example.test",
		"jos%C3%A9@example.test":       "jos%25C3%25A9@example.test",
		" a\x00\x7f":                   "%20a%00%7F",
		`"quoted,list"@example.test`:   `"quoted,list"@example.test`,
		"\xff\xfe invalid":             "%FF%FE%20invalid",
		"plus+tag=x!#$&'*/?^_`{|}~@ex": "plus+tag=x!#$&'*/?^_`{|}~@ex",
	} {
		got := gate.HeaderSafe(in)
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if back, err := url.PathUnescape(got); err != nil || back != in {
			t.Errorf("%q decodes to %q, %v", got, back, err)
		}
	}
}

func TestTrustedHeadersTellOnlyWhatIsKnown(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	gate.SetTrustedHeaders(h, token.Claims{Subject: "u1", Email: "a@example.test", Role: "user", SessionID: "s1"})
	want := http.Header{"X-Mana-User-Id": {"u1"}, "X-Mana-Email": {"a@example.test"}, "X-Mana-Role": {"user"}, "X-Mana-Session-Id": {"s1"}, "X-Mana-Email-Verified": {"false"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	h.Add("X-Mana-User-Id", "second") // must not run into the next header's memory
	if got := h.Get("X-Mana-Email"); got != "a@example.test" {
		t.Errorf("e-mail became %q", got)
	}
}

// FuzzStripIdentity: after strip and seal no header an upstream could take for
// an identity header is left but the sealed ones, each with one safe value.
func FuzzStripIdentity(f *testing.F) {
	f.Add("X-Mana-User-Id", "1", "X_MANA_ROLE", "admin", "close, x-mana-email", "u", "a@b\r\nc")
	f.Add("x.mana.role", "", "X-Mana", "", "", "", "")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, connection, id, email string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header[name1] = []string{value1}
		r.Header.Add(name2, value2)
		r.Header.Add("Connection", connection)
		r.Trailer = http.Header{name1: {value1}, name2: nil}
		claims := token.Claims{Subject: id, Email: email, Role: "user"}
		site.StripIdentity(r)
		gate.SetTrustedHeaders(r.Header, claims)

		sealed := map[string]string{"X-Mana-User-Id": id, "X-Mana-Email": email, "X-Mana-Role": "user", "X-Mana-Email-Verified": "false"}
		for name, values := range r.Header {
			if !looksLikeIdentity(name) {
				continue
			}
			want, ours := sealed[name]
			if !ours || len(values) != 1 {
				t.Fatalf("%q: %q survived", name, values)
			}
			for _, c := range []byte(values[0]) {
				if c <= ' ' || c >= 0x7f {
					t.Fatalf("%q: unsafe value %q", name, values[0])
				}
			}
			if back, err := url.PathUnescape(values[0]); err != nil || back != want {
				t.Fatalf("%q: %q decodes to %q, want %q", name, values[0], back, want)
			}
		}
		for name := range r.Trailer {
			if looksLikeIdentity(name) {
				t.Fatalf("trailer %q survived", name)
			}
		}
		for _, value := range r.Header["Connection"] {
			for _, token := range strings.Split(value, ",") {
				if looksLikeIdentity(strings.TrimSpace(token)) {
					t.Fatalf("Connection: %q survived", value)
				}
			}
		}
	})
}

// looksLikeIdentity is the widest reading of an upstream: CGI's.
func looksLikeIdentity(name string) bool {
	cgi := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') {
			return r
		}
		return '_'
	}, name)
	return strings.HasPrefix(cgi, "X_MANA_")
}
