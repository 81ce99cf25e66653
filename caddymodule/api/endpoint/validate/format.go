package validate

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"mana.how/edge/authcore/address"
	"mana.how/edge/internal/usertext"
)

// characters counts code points, as clients' validators do.
func characters(s string) int { return utf8.RuneCountInString(s) }

// isLine reports whether a text may be shown to others.
func isLine(s string) bool {
	_, err := usertext.Line(s, math.MaxInt)
	return err == nil
}

// notLine words why not.
func notLine(s string) string {
	_, err := usertext.Line(s, math.MaxInt)
	return fmt.Sprint(err)
}

// canonical reports whether a text is an e-mail address that has one form.
func canonical(s string) bool {
	_, err := address.Canonical(s)
	return err == nil && IsEmail(s)
}

// notCanonical words why it has none.
func notCanonical(s string) string {
	var reason address.Reason
	if _, err := address.Canonical(s); errors.As(err, &reason) && reason != address.BadDomain {
		return string(reason)
	}
	return string(address.NoAddress)
}

// IsEmail accepts addresses of the plain form (RFC 5321, section 4.1.2): a
// dot-atom of at most 64 bytes, and a domain name with a dot. Quoted local
// parts and address literals are no e-mail addresses here; blanks around the
// address are.
func IsEmail(s string) bool {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.IndexFunc(atom, notAtom) >= 0 {
			return false
		}
	}
	return isDomain(domain, true)
}

// notAtom is false for what may stand in an atom (RFC 5322, section 3.2.3,
// with the letters of RFC 6532).
func notAtom(r rune) bool {
	if r < utf8.RuneSelf {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~", r)
	}
	return r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

// isDomain accepts host names of labels of letters, digits and inner hyphens.
// With a TLD it needs two labels, the last of two letters or more.
func isDomain(s string, tld bool) bool {
	labels := strings.Split(s, ".")
	if len(s) > 253 || tld && len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.IndexFunc(label, notLabel) >= 0 {
			return false
		}
	}
	last := labels[len(labels)-1]
	return !tld || utf8.RuneCountInString(last) >= 2 && strings.IndexFunc(last, unicode.IsLetter) >= 0
}

func notLabel(r rune) bool {
	return r != '-' && (r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r))
}

// IsURL accepts http, https and ftp addresses without credentials. The scheme
// may be missing. With a TLD the host must have one or be an IP address;
// without, a single name such as localhost will do.
func IsURL(s string, tld bool) bool {
	if len(s) > 2083 || strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`<>"\`, r) }) >= 0 {
		return false
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.User != nil {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "ftp":
	default:
		return false
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return isDomain(host, tld)
}

// isLocalURL accepts what [IsURL] does without a TLD, of the host localhost.
func isLocalURL(s string) bool {
	if !IsURL(s, false) {
		return false
	}
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	return err == nil && strings.EqualFold(u.Hostname(), "localhost")
}
