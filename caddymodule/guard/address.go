package guard

import (
	"net/http"
	"strings"
)

// addressHeaders are the names under which apps read the address of a client
// from what stands before them (RFC 7239, and the names of nginx, Akamai,
// Cloudflare, Fastly and others), in small letters.
var addressHeaders = [...]string{
	"forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "fastly-client-ip", "x-cluster-client-ip",
}

// forwardingHeaders are those that reverse_proxy writes itself, whatever came
// under their exact name. Another spelling would reach the app beside them.
var forwardingHeaders = [...]string{"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}

// DropAddresses removes what a client that is no trusted proxy says of
// addresses: the headers, in every spelling that an app may take for one.
func DropAddresses(h http.Header) {
	for name := range h {
		if namesAddress(name) {
			delete(h, name)
		}
	}
}

func namesAddress(name string) bool {
	if len(name) < len("forwarded") || len(name) > len("x-cluster-client-ip") {
		return false
	}
	switch name[0] | 0x20 {
	case 'c', 'f', 't', 'x':
	default:
		return false
	}
	for _, known := range addressHeaders {
		if SameName(name, known) {
			return true
		}
	}
	for _, known := range forwardingHeaders {
		if SameName(name, known) && !strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}

// SameName reports whether an app could read the header name as the known one,
// which is in small letters. CGI, WSGI, PHP and their kin map letters to one
// case and the signs "_", "." and others to the same character as "-".
func SameName(name, known string) bool {
	return len(name) == len(known) && HasNamePrefix(name, known)
}

// HasNamePrefix is SameName for the beginning of a name.
func HasNamePrefix(name, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if foldByte(name[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// FoldName is a header name as [SameName] wants the known one.
func FoldName(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldByte(c)
	}
	return string(folded)
}

func foldByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return '-'
}
