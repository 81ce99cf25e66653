package origin_test

import (
	"strings"
	"testing"

	"mana.how/edge/authcore/origin"
)

// What is as long as it may be is taken, and what is one longer is not.
func TestBounds(t *testing.T) {
	t.Parallel()
	label := func(n int) string { return strings.Repeat("a", n) }
	long := strings.Repeat(label(49)+".", 5) // 250
	for _, tt := range []struct {
		host string
		ok   bool
	}{
		{label(63) + ".example.com", true}, {label(64) + ".example.com", false},
		{long + "com", true}, {long + "coma", false},
		{"a0-9_z.example.com", true}, {"a`.example.com", false}, {"a{.example.com", false}, {"a/.example.com", false}, {"a:.example.com", false},
		{"192.0.2.1", true}, {"192.0.2.09", false}, {"example.0", false}, {"example.9", false}, {"a..example.com", false},
	} {
		_, faults := origin.Parse("https://auth.mana.how", []string{"https://" + tt.host})
		if (len(faults) == 0) != tt.ok {
			t.Errorf("%s: %v", tt.host, faults)
		}
	}
	list, _ := origin.Parse("https://auth.mana.how", []string{"https://*.mana.how"})
	if list.Trusts("https://.mana.how") || list.Trusts("https://mana.how") || !list.Trusts("https://a.mana.how") {
		t.Error("a wildcard stands for one label or more")
	}
	const base = "https://auth.mana.how"
	for _, tt := range []struct {
		raw, want string
		ok        bool
	}{
		{"/" + label(4096-len(base)-1), base + "/" + label(4096-len(base)-1), true},
		{"/" + label(4096-len(base)), "", false},
		{"/" + label(4096), "", false},
		{"https://auth.mana.how/" + label(4096-len(base)-1), base + "/" + label(4096-len(base)-1), true},
		{"/a b", base + "/a%20b", true}, {"/?%0", base + "/?%250", true}, {"/%0a", "", false}, {"/%f9%F0", base + "/%f9%F0", true},
		{"/?%g0", base + "/?%25g0", true}, {"/?%/0", base + "/?%25/0", true}, {"/?%:0", base + "/?%25:0", true}, {"/?%@0", base + "/?%25@0", true}, {"/?%`0", base + "/?%25%600", true},
		{"/?%G0", base + "/?%25G0", true}, {"/\u00a0", base + "/%C2%A0", true}, {"/\u009f", "", false}, {"/\x7f", "", false}, {"/~", base + "/~", true},
		{"?a", base + "/?a", false},
	} {
		got, ok := list.ReturnTarget(tt.raw)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%.40q (%d): %.60q, %v", tt.raw, len(tt.raw), got, ok)
		}
	}
}
