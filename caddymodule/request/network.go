package request

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// ClientIP is the client's address by the server's trusted_proxies, that of
// the connection where no server has judged; invalid where neither is known.
func ClientIP(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if text == "" {
		text = r.RemoteAddr
		if host, _, err := net.SplitHostPort(text); err == nil {
			text = host
		}
	}
	addr, _ := netip.ParseAddr(text)
	return addr
}

// HostName is the host of an authority (RFC 3986, section 3.2) in small letters: without
// its port, and an IPv6 address without its brackets.
func HostName(authority string) string {
	host := authority
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// Network is the client's address as limits count it, see [NetworkOf].
func Network(r *http.Request) string { return NetworkOf(ClientIP(r)) }

// NetworkOf is an address as limits count it: an IPv6 client is its /64,
// because it may pick any address in there.
func NetworkOf(addr netip.Addr) string {
	if !addr.IsValid() {
		return "unknown"
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}

// NetworkIn is an address as a store of counters counts it: what the store says,
// where it takes wider networks to save room, else as of [NetworkOf].
func NetworkIn(store any, addr netip.Addr) string {
	if wide, ok := store.(interface{ ClientNetwork(netip.Addr) string }); ok {
		return wide.ClientNetwork(addr)
	}
	return NetworkOf(addr)
}
