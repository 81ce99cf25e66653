package origin_test

import (
	"net/url"
	"strings"
	"testing"

	"mana.how/edge/authcore/origin"
)

func testOrigins(t testing.TB) origin.List {
	t.Helper()
	o, faults := origin.Parse("https://auth.mana.how", []string{
		"https://*.mana.how", "https://mana.how", "http://localhost:3000", "https://*.apps.example:8443",
		"https://bücher.example", "HTTPS://Upper.Example/", "capacitor://localhost", "ionic://localhost/", "how.mana.app://Main",
		"http://192.0.2.7", "http://[2001:DB8::1]:8080", "https://*.mana.localhost",
	})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return o
}

func TestTrusts(t *testing.T) {
	t.Parallel()
	o := testOrigins(t)
	for origin, want := range map[string]bool{
		"https://auth.mana.how":                             true,
		"https://chat.mana.how":                             true,
		"https://a.b.c.mana.how":                            true,
		"https://mana.how":                                  true,
		"https://mana.how:443":                              true,
		"HTTPS://CHAT.MANA.HOW":                             true,
		"http://localhost:3000":                             true,
		"https://x.apps.example:8443":                       true,
		"https://xn--bcher-kva.example":                     true,
		"https://upper.example":                             true,
		"http://192.0.2.7":                                  true,
		"http://[2001:db8::1]:8080":                         true,
		"http://[2001:db8:0:0::1]:8080":                     true,
		"https://app.mana.localhost":                        true,
		"capacitor://localhost":                             true,
		"ionic://localhost":                                 true,
		"how.mana.app://main":                               true,
		"capacitor://localhost:1":                           false,
		"capacitor://localhost/":                            false,
		"capacitor://evil":                                  false,
		"tauri://localhost":                                 false,
		"http://main":                                       false,
		"":                                                  false,
		"null":                                              false,
		"NULL":                                              false,
		"*":                                                 false,
		"https://*.mana.how":                                false,
		"https://.mana.how":                                 false,
		"https://mana.how.":                                 false,
		"https://chat.mana.how.":                            false,
		"https://chat..mana.how":                            false,
		"http://chat.mana.how":                              false,
		"http://auth.mana.how":                              false,
		"https://chat.mana.how:8443":                        false,
		"https://chat.mana.how:80":                          false,
		"http://localhost":                                  false,
		"https://localhost:3000":                            false,
		"http://localhost:3001":                             false,
		"https://apps.example:8443":                         false,
		"https://x.apps.example":                            false,
		"https://evilmana.how":                              false,
		"https://mana.how.evil.example":                     false,
		"https://chat.mana.how.evil.example":                false,
		"https://evil.example":                              false,
		"https://evil.example/chat.mana.how":                false,
		"https://evil.example?.mana.how":                    false,
		"https://evil.example#.mana.how":                    false,
		`https://evil.example\.mana.how`:                    false,
		"https://evil.example%2f.mana.how":                  false,
		"https://chat.mana.how/":                            false,
		"https://chat.mana.how/path":                        false,
		"https://user@chat.mana.how":                        false,
		"https://chat.mana.how@evil.example":                false,
		"https://chat.mana.how https://evil.example":        false,
		" https://chat.mana.how":                            false,
		"https://chat.mana.how\n":                           false,
		"https://chat.mana.how:":                            false,
		"https://chat.mana.how:x":                           false,
		"https://chat.mana.how:+443":                        false,
		"https://chat.mana.how:65979":                       false, // 443 in 16 bits
		"https://chat.mana.how:0":                           false,
		"https:chat.mana.how":                               false,
		"https:/chat.mana.how":                              false,
		"https:///chat.mana.how":                            false,
		"//chat.mana.how":                                   false,
		"chat.mana.how":                                     false,
		"wss://chat.mana.how":                               false,
		"file://chat.mana.how":                              false,
		"https://chat\u3002mana.how":                        false,
		"https://ch\u0430t.mana.how":                        false,
		"https://bücher.example":                            false, // browsers send ASCII
		"http://3221225991":                                 false, // 192.0.2.7 as one number
		"http://0300.0.2.7":                                 false,
		"http://[2001:db8::1%25eth0]:8080":                  false,
		"http://[2001:db8::1]":                              false,
		"http://[2001:db8::1":                               false,
		"https://" + strings.Repeat("a.", 150) + "mana.how": false,
	} {
		if got := o.Trusts(origin); got != want {
			t.Errorf("Trusts(%q) = %v", origin, got)
		}
	}
	if (origin.List{}).Trusts("https://auth.mana.how") {
		t.Error("the zero value trusts somebody")
	}
}

func TestParseOriginsFaults(t *testing.T) {
	t.Parallel()
	bad := []string{
		"", "*", "https://*", "https://*.", "https://*.com", "http://*:3000", "https://chat.*.how", "https://*chat.mana.how", "https://**.mana.how",
		"https://*.192.0.2.7", "https://*.[2001:db8::1]", "mana.how", "//mana.how", "ftp://mana.how", "javascript://mana.how", "null",
		"https://mana.how/path", "https://mana.how//", "https://mana.how?x", "https://mana.how#x", "https://a:b@mana.how",
		"https://mana.how:0", "https://mana.how:99999", "https://mana.how:https", "https://ma na.how", "https://mana..how", "https://-\u00fc.example",
		// Public suffixes: whoever buys a name below one would be trusted.
		"https://*.co.uk", "https://*.co.uk:8443", "https://*.github.io", "https://*.any.ck", "https://*.xn--55qx5d.cn", "https://*.公司.cn",
	}
	o, faults := origin.Parse("https://auth.mana.how", append(bad, "https://good.example"))
	if len(faults) != len(bad) {
		t.Errorf("%d faults for %d patterns: %v", len(faults), len(bad), faults)
	}
	for i, fault := range faults[:min(len(faults), len(bad))] {
		if bad[i] != "https://-\u00fc.example" && !strings.Contains(fault.Error(), `"`+bad[i]+`"`) {
			t.Errorf("fault %v does not name %q", fault, bad[i])
		}
	}
	if o.Trusts("https://evil.co.uk") {
		t.Error("a refused pattern is used")
	}
	if !o.Trusts("https://good.example") {
		t.Error("the good pattern among bad ones is not used")
	}
	for _, base := range []string{"", "auth.mana.how", "https://*.mana.how", "https://auth.mana.how/path"} {
		o, faults := origin.Parse(base, nil)
		if len(faults) != 1 {
			t.Errorf("base URL %q: faults %v", base, faults)
		}
		if target, ok := o.ReturnTarget("/"); ok {
			t.Errorf("base URL %q: target %q", base, target)
		}
	}
}

func TestReturnTarget(t *testing.T) {
	t.Parallel()
	o := testOrigins(t)
	for _, tt := range []struct{ raw, want string }{
		{"https://chat.mana.how/rooms/1?tab=a&b=%2F%2Fc#top", "https://chat.mana.how/rooms/1?tab=a&b=%2F%2Fc#top"},
		{"https://chat.mana.how", "https://chat.mana.how/"},
		{"https://chat.mana.how?x=1", "https://chat.mana.how/?x=1"},
		{"HTTPS://Chat.Mana.How:443/Path", "https://chat.mana.how/Path"},
		{"http://localhost:3000/", "http://localhost:3000/"},
		{"https://x.apps.example:8443/a", "https://x.apps.example:8443/a"},
		{"https://chat.mana.how/?next=https://evil.example/..;/", "https://chat.mana.how/?next=https://evil.example/..;/"},
		{"https://chat.mana.how/#//evil.example", "https://chat.mana.how/#//evil.example"},
		{"https://chat.mana.how/a%2Fb/100%25/x;v=1", "https://chat.mana.how/a%2Fb/100%25/x;v=1"},
		{"https://chat.mana.how/grüße ?q=ä b", "https://chat.mana.how/gr%C3%BC%C3%9Fe%20?q=%C3%A4%20b"},
		{`https://chat.mana.how/?q="><script>`, "https://chat.mana.how/?q=%22%3E%3Cscript%3E"},
		{"https://chat.mana.how/?q=100%&r=%4#%0x", "https://chat.mana.how/?q=100%25&r=%254#%250x"},
		{"https://chat.mana.how/...", "https://chat.mana.how/..."},
		{"https://chat.mana.how/a//b", "https://chat.mana.how/a//b"},
		{"/account", "https://auth.mana.how/account"},
		{"/account?x=//evil.example#y", "https://auth.mana.how/account?x=//evil.example#y"},
		{"/", "https://auth.mana.how/"},
		{"/javascript:alert(1)", "https://auth.mana.how/javascript:alert(1)"},
		{"/@evil.example", "https://auth.mana.how/@evil.example"},

		{"", ""},
		{"account", ""},
		{"?x=1", ""},
		{"#x", ""},
		{"null", ""},
		{"javascript:alert(1)", ""},
		{"JavaScript:alert(1)//https://chat.mana.how", ""},
		{"java\nscript:alert(1)", ""},
		{"javascript://chat.mana.how/%0aalert(1)", ""},
		{"data:text/html,<script>alert(1)</script>", ""},
		{"vbscript:msgbox(1)", ""},
		{"blob:https://chat.mana.how/1", ""},
		{"view-source:https://chat.mana.how/", ""},
		{"ftp://chat.mana.how/", ""},
		{"//evil.example", ""},
		{"///evil.example", ""},
		{"////evil.example", ""},
		{`/\evil.example`, ""},
		{`\/evil.example`, ""},
		{`\\evil.example`, ""},
		{"/\t/evil.example", ""},
		{"/\n/evil.example", ""},
		{"\t//evil.example", ""},
		{" //evil.example", ""},
		{" https://evil.example", ""},
		{"/%2fevil.example", ""},
		{"/%2Fevil.example", ""},
		{"/%2f%2fevil.example", ""},
		{"%2f%2fevil.example", ""},
		{"/%252fevil.example", ""},
		{"/%25252fevil.example", ""},
		{"/%5cevil.example", ""},
		{"/%5C%5Cevil.example", ""},
		{"/%09/evil.example", ""},
		{"/%0d%0aLocation:%20https://evil.example", ""},
		{"/a%00b", ""},
		{"/..;/admin", ""},
		{"/a/..;x=1/admin", ""},
		{"/a/../admin", ""},
		{"/a/..", ""},
		{"/./a", ""},
		{"/.;/a", ""},
		{"/a/%2e%2e/b", ""},
		{"/a/.%2E/b", ""},
		{"/a/%252e%252e;/b", ""},
		{"/a/..%2fb", ""},
		{"/a%zz", ""},
		{"/a%", ""},
		{"https:evil.example", ""},
		{"https:/evil.example", ""},
		{"https:///evil.example", ""},
		{"https:chat.mana.how", ""},
		{"https:///chat.mana.how", ""},
		{`https:\\chat.mana.how`, ""},
		{"https://", ""},
		{"https://evil.example", ""},
		{"https://evil.example/chat.mana.how", ""},
		{"https://evil.example?chat.mana.how", ""},
		{"https://evil.example#chat.mana.how", ""},
		{`https://evil.example\.mana.how`, ""},
		{"https://evil.example%2f.mana.how", ""},
		{"https://evil.example%23.mana.how", ""},
		{"https://evil.example;.mana.how", ""},
		{"https://mana.how.evil.example/", ""},
		{"https://evilmana.how/", ""},
		{"https://chat.mana.how@evil.example/", ""},
		{"https://chat.mana.how:x@evil.example/", ""},
		{"https://user:pass@chat.mana.how/", ""},
		{"https://evil.example:443@chat.mana.how/", ""},
		{"https://@chat.mana.how/", ""},
		{"https://chat.mana.how:8443/", ""},
		{"https://chat.mana.how:/", ""},
		{"https://chat.mana.how./", ""},
		{"http://chat.mana.how/", ""},
		{"http://chat.mana.how:443/", ""},
		{"https://chat.mana.how//evil.example", ""},
		{"https://chat.mana.how/%2f/evil.example", ""},
		{"https://chat.mana.how/..;/admin", ""},
		{"https://evil\u3002example/", ""},
		{"https://evil.example\uFF0F.mana.how/", ""},
		{"https://evil.example\uFF03.mana.how/", ""},
		{"https://chat\uFF0Emana.how/", ""},
		{"https://ch\u0430t.mana.how/", ""},
		{"https://chat.mana.how\x00.evil.example/", ""},
		{"https://chat.mana.how/\r\nX: y", ""},
		{"https://chat.mana.how/\u0085", ""},
		{"https://chat.mana.how/\x7f", ""},
		{"https://chat.mana.how/\xff", ""},
		{"https://chat.mana.how/" + strings.Repeat("a", 5000), ""},
		{"/" + strings.Repeat("`", 2000), ""}, // too long once it is escaped
		{"https://[::1]/", ""},
		{"https://*.mana.how/", ""},
	} {
		got, ok := o.ReturnTarget(tt.raw)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("ReturnTarget(%q) = %q, %v; want %q", tt.raw, got, ok, tt.want)
		}
		if again, ok := o.ReturnTarget(got); got != "" && (!ok || again != got) {
			t.Errorf("ReturnTarget(%q) = %q, %v; want the same", got, again, ok)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	o := testOrigins(f)
	for _, seed := range []string{
		"https://chat.mana.how", "https://mana.how:443", "http://localhost:3000", "null", "https://x@y.mana.how", "https://[::1]",
		"http://[2001:db8::1]:8080", "https://evil.example/.mana.how", "https://EVIL.example%00.mana.how", "http://192.0.2.7",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		if !o.Trusts(origin) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatalf("%q is trusted and no URL: %v", origin, err)
		}
		if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || strings.ContainsAny(origin, "?#\\@ ") {
			t.Errorf("%q is trusted and more than an origin", origin)
		}
		checkTrusted(t, origin, u)
	})
}

func FuzzReturnTarget(f *testing.F) {
	o := testOrigins(f)
	for _, seed := range []string{
		"/account", "//evil.example", `/\evil.example`, "https://chat.mana.how/a?b#c", "javascript:alert(1)", "https://chat.mana.how@evil.example",
		"/%2f%2fevil.example", "/a/..;/b", "https:evil.example", "https://chat.mana.how/ä \"<>", "/100%25", "http://[2001:db8::1]:8080/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		target, ok := o.ReturnTarget(raw)
		if !ok {
			if target != "" {
				t.Errorf("%q is refused with target %q", raw, target)
			}
			return
		}
		for i := range len(target) {
			if c := target[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\'`, c) >= 0 {
				t.Fatalf("target %q of %q holds %q", target, raw, c)
			}
		}
		u, err := url.Parse(target)
		if err != nil {
			t.Fatalf("target %q of %q is no URL: %v", target, raw, err)
		}
		if u.User != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") {
			t.Errorf("target %q of %q", target, raw)
		}
		for segment := range strings.SplitSeq(u.Path, "/") {
			if name, _, _ := strings.Cut(segment, ";"); name == ".." || name == "." {
				t.Errorf("target %q of %q leaves its path", target, raw)
			}
		}
		checkTrusted(t, target, u)
		if !o.Trusts(u.Scheme + "://" + u.Host) {
			t.Errorf("target %q of %q is at an origin that is not trusted", target, raw)
		}
		if again, ok := o.ReturnTarget(target); !ok || again != target {
			t.Errorf("target %q of %q becomes %q, %v", target, raw, again, ok)
		}
	})
}

// checkTrusted knows the list of testOrigins by other means.
func checkTrusted(t *testing.T, raw string, u *url.URL) {
	t.Helper()
	host, port := strings.ToLower(u.Hostname()), u.Port()
	port = strings.TrimLeft(port, "0")
	switch strings.ToLower(u.Scheme) {
	case "https":
		standard := port == "" || port == "443"
		if standard && (host == "mana.how" || strings.HasSuffix(host, ".mana.how") || strings.HasSuffix(host, ".mana.localhost") ||
			host == "xn--bcher-kva.example" || host == "upper.example") {
			return
		}
		if port == "8443" && strings.HasSuffix(host, ".apps.example") {
			return
		}
	case "http":
		if host == "localhost" && port == "3000" || host == "192.0.2.7" && (port == "" || port == "80") ||
			strings.Contains(host, ":") && port == "8080" {
			return
		}
	}
	t.Errorf("%q is trusted", raw)
}

// The origin of an app may call and never be a target: whoever registers the
// scheme on a device would be handed the user.
func TestAppOriginsAreNoTargets(t *testing.T) {
	t.Parallel()
	o := testOrigins(t)
	for _, target := range []string{"capacitor://localhost", "capacitor://localhost/x", "how.mana.app://main/a"} {
		if got, ok := o.ReturnTarget(target); ok {
			t.Errorf("%q leads to %q", target, got)
		}
	}
	for _, pattern := range []string{
		"capacitor://*", "capacitor://", "capacitor:localhost", "*://localhost", "javascript://localhost", "file://localhost",
		"data://x", "blob://x", "ws://x", "capacitor://a/b", "capacitor://a?b", "capacitor://u@a", "capacitor://localhost:3000",
	} {
		if _, faults := origin.Parse("https://auth.mana.how", []string{pattern}); len(faults) != 1 {
			t.Errorf("%q: faults %v", pattern, faults)
		}
	}
}
