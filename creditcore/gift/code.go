package gift

import (
	"crypto/rand"
	"net/url"
	"strings"
)

// Code is what names a gift to people: six characters of alphabet.
type Code string

const (
	// alphabet has 32 letters, none of which look alike: no I, O, 0, 1.
	alphabet   = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	codeLength = 6
)

// ParseCode reads a code in any case (of ASCII). What cannot be one is not ok.
func ParseCode(text string) (code Code, ok bool) {
	if len(text) != codeLength {
		return "", false
	}
	b := []byte(text)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
		if strings.IndexByte(alphabet, b[i]) < 0 {
			return "", false
		}
	}
	return Code(b), true
}

// randomCode picks each letter with equal chance.
func randomCode() Code {
	b := make([]byte, codeLength)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]%byte(len(alphabet))] // 256 is a multiple of 32
	}
	return Code(b)
}

const familyLinks = "https://mana.how/g/"

// linkBase is the default of [Config.LinkBase].
func linkBase(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" {
		return familyLinks
	}
	if host := strings.ToLower(u.Host); u.Scheme == "https" && (host == "mana.how" || strings.HasSuffix(host, ".mana.how")) {
		return familyLinks
	}
	return strings.TrimSuffix(baseURL, "/") + "/g/"
}
