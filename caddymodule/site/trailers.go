package site

import (
	"net/http"
	"strings"
)

// meterPrefix begins the names of the headers that the meter sends.
const (
	meterPrefix  = "Mana-Credits-"
	meterReceipt = "Mana-Receipt"
)

// IsMeterHeader reports whether only the meter may send the header.
func IsMeterHeader(name string) bool {
	return strings.EqualFold(name, meterReceipt) || len(name) >= len(meterPrefix) && strings.EqualFold(name[:len(meterPrefix)], meterPrefix)
}

// Announce leaves the names in the Trailer header that drop does not want.
func Announce(h http.Header, values []string, drop func(string) bool) {
	var kept []string
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" && !drop(name) {
				kept = append(kept, name)
			}
		}
	}
	if delete(h, "Trailer"); len(kept) > 0 {
		h["Trailer"] = []string{strings.Join(kept, ", ")}
	}
}

// DropTrailers removes the trailers that were not announced.
func DropTrailers(h http.Header, drop func(string) bool) {
	for name := range h {
		if plain, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && drop(plain) {
			delete(h, name)
		}
	}
}
