package guard_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/guard"
)

// No spelling of a header that names the client's address reaches an app from
// a client that is no trusted proxy.
func TestDropAddresses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Forwarded", "FORWARDED", "forwarded", "X-Real-Ip", "X-Real-IP", "X_Real_IP", "x.real.ip", "True-Client-Ip", "True_Client_IP", "CF-Connecting-IP", "Cf_connecting-Ip",
		"Cf-Connecting-Ipv6", "X-Client-Ip", "Fastly-Client-Ip", "X-Cluster-Client-Ip", "X_Forwarded_For", "X-Forwarded_Host", "x.forwarded-proto",
	} {
		h := http.Header{name: {"192.0.2.1"}, "X-Forwarded-For": {"kept"}, "Accept": {"kept"}, "X-Real-Estate": {"kept"}, "X-Forwarded-User": {"kept"}, "Cf-Ray": {"kept"}}
		guard.DropAddresses(h)
		want := http.Header{"X-Forwarded-For": {"kept"}, "Accept": {"kept"}, "X-Real-Estate": {"kept"}, "X-Forwarded-User": {"kept"}, "Cf-Ray": {"kept"}}
		if diff := cmp.Diff(want, h); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func BenchmarkDropAddresses(b *testing.B) {
	h := http.Header{}
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Connection", "Cookie", "Sec-Fetch-Mode", "Sec-Fetch-Site", "User-Agent", "X-Forwarded-For"} {
		h.Set(name, "value")
	}
	b.ReportAllocs()
	for b.Loop() {
		guard.DropAddresses(h)
	}
}
