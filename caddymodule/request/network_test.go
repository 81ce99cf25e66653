package request_test

import (
	"net/netip"
	"testing"

	"mana.how/edge/caddymodule/request"
)

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := request.NetworkOf(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s counts as %s, want %s", ip, got, want)
		}
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for authority, want := range map[string]string{
		"App.Mana.How": "app.mana.how", "app.mana.how:8443": "app.mana.how", "[2001:DB8::1]:443": "2001:db8::1", "[::1]": "::1", "127.0.0.1:80": "127.0.0.1", "": "", ":80": "",
	} {
		if got := request.HostName(authority); got != want {
			t.Errorf("%q is %q, want %q", authority, got, want)
		}
	}
}
