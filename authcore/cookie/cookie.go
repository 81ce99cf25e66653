// Package cookie writes and reads the signed cookies of the edge.
package cookie

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"mana.how/edge/internal/ids"
)

// Codec writes and reads the SSO cookie and its companions (RFC 6265). It
// prints without its key.
type Codec struct {
	prefix string // securePrefix where cookies are for https only
	domain string
	keys   [][]byte // the first signs, all verify
}

const (
	securePrefix  = "__Secure-"
	sessionCookie = "mana.session_token"
	brieflyCookie = "mana.dont_remember"
	deviceCookie  = "mana.device"

	tokenLength     = 32
	signatureLength = 44 // base64 of 32 bytes, padded
	deviceLifetime  = 400 * 24 * time.Hour

	// maxCookies bounds the work one request can ask for.
	maxCookies = 64
)

// New makes cookies of the given Domain attribute, or of the one host
// where it is empty. They are Secure, and named so, if the base URL is https.
// Signatures of older keys are good too.
func New(baseURL, domain string, hmacKey []byte, older ...[]byte) Codec {
	c := Codec{domain: domain}
	for _, key := range append([][]byte{hmacKey}, older...) {
		if len(key) > 0 {
			c.keys = append(c.keys, slices.Clone(key))
		}
	}
	if len(baseURL) >= 8 && strings.EqualFold(baseURL[:8], "https://") {
		c.prefix = securePrefix
	}
	return c
}

// Name is the name of the SSO cookie.
func (c Codec) Name() string {
	if c.prefix == "" {
		return sessionCookie
	}
	return securePrefix + sessionCookie
}

// DeviceName is the name of the cookie that knows a device again.
func (c Codec) DeviceName() string { return c.prefix + deviceCookie }

// Set is the Set-Cookie value of a session's token. A cookie that is not
// persistent ends with the browser; send [Codec.SetBriefly] with it.
func (c Codec) Set(token string, persistent bool, maxAge time.Duration) string {
	if !persistent {
		return c.header(c.Name(), c.sign("", token), -1)
	}
	return c.header(c.Name(), c.sign("", token), max(0, maxAge))
}

// SetBriefly is the Set-Cookie value that marks a session as one not to be
// remembered.
func (c Codec) SetBriefly() string {
	return c.header(c.prefix+brieflyCookie, c.sign("", "true"), -1)
}

// Clear are the Set-Cookie values that end the browser session, in the domain
// and, where that is another cookie, on the host.
func (c Codec) Clear() []string {
	host := c
	host.domain = ""
	values := []string{c.header(c.Name(), "", 0), c.header(c.prefix+brieflyCookie, "", 0)}
	if c.domain != "" {
		values = append(values, host.header(c.Name(), "", 0), host.header(c.prefix+brieflyCookie, "", 0))
	}
	return values
}

// Tokens are the session tokens of raw Cookie headers whose signature is
// right, in order and without doubles. Parent and child domain may each have
// set a cookie of the name, and a browser sends them all (RFC 6265, section
// 5.4). Whether a token names a live session is for the caller to find out.
func (c Codec) Tokens(cookieHeaders []string) []string {
	var tokens []string
	for value := range (query{cookieHeaders, c.Name()}).values {
		token, ok := c.open("", value)
		if ok && !slices.Contains(tokens, token) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// NewDevice is the Set-Cookie value of a new random device id, good for 400
// days.
func (c Codec) NewDevice() string {
	return c.header(c.DeviceName(), c.sign(deviceCookie, ids.New()), deviceLifetime)
}

// Device is the device id of raw Cookie headers.
func (c Codec) Device(cookieHeaders []string) (id string, ok bool) {
	for value := range (query{cookieHeaders, c.DeviceName()}).values {
		if id, ok = c.open(deviceCookie, value); ok {
			return id, true
		}
	}
	return "", false
}

// Format implements [fmt.Formatter]: the key is never printed.
func (c Codec) Format(state fmt.State, _ rune) { fmt.Fprintf(state, "cookies %s", c.Name()) }

// header writes a Set-Cookie value, its attributes in the order of the
// contract. A negative age leaves Max-Age out.
func (c Codec) header(name, value string, maxAge time.Duration) string {
	var b strings.Builder
	b.WriteString(name + "=" + value)
	if maxAge >= 0 {
		fmt.Fprintf(&b, "; Max-Age=%d", int64(maxAge/time.Second))
	}
	if c.domain != "" {
		b.WriteString("; Domain=" + c.domain)
	}
	b.WriteString("; Path=/; HttpOnly")
	if c.prefix != "" {
		b.WriteString("; Secure")
	}
	b.WriteString("; SameSite=Lax")
	return b.String()
}

// signature is base64 of HMAC-SHA256 of the text. A purpose keeps the
// signatures of one cookie from serving in another; that of the SSO cookie is
// empty, as existing cookies have it.
func signature(key []byte, purpose, text string) string {
	mac := hmac.New(sha256.New, key)
	if purpose != "" {
		mac.Write([]byte(purpose + ":"))
	}
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sign is the cookie value of a text: text and signature, URL-encoded.
func (c Codec) sign(purpose, text string) string {
	var key []byte // none: what is signed then never verifies
	if len(c.keys) > 0 {
		key = c.keys[0]
	}
	return url.QueryEscape(text + "." + signature(key, purpose, text))
}

// open reads a cookie value and checks form and signature.
func (c Codec) open(purpose, value string) (text string, ok bool) {
	signed, ok := Parse(value)
	if !ok || !c.verifies(purpose, &signed) {
		return "", false
	}
	return signed.Token(), true
}

// Signs reports whether the signature of an SSO cookie is ours.
func (c Codec) Signs(s *Signed) bool { return c.verifies("", s) }

// Values are the values of every SSO cookie in raw Cookie headers, a bounded
// number of them.
func (c Codec) Values(cookieHeaders []string) iter.Seq[string] {
	return query{cookieHeaders, c.Name()}.values
}

// verifies reports whether the signature is that of the text.
func (c Codec) verifies(purpose string, s *Signed) bool {
	for _, key := range c.keys {
		if hmac.Equal(s[tokenLength+1:], []byte(signature(key, purpose, s.Token()))) {
			return true
		}
	}
	return false
}

// Signed is the decoded value of a cookie: token, dot and signature.
type Signed [tokenLength + 1 + signatureLength]byte

// Token is what is signed.
func (s *Signed) Token() string { return string(s[:tokenLength]) }

// Parse decodes a cookie value and checks its form, nothing else. What
// is escaped in it may be spelt in several ways; what comes out has one.
func Parse(value string) (s Signed, ok bool) {
	n := 0
	for i := 0; i < len(value); i++ {
		if n == len(s) {
			return s, false
		}
		s[n] = value[i]
		if value[i] == '%' {
			if i+2 >= len(value) {
				return s, false
			}
			if _, err := hex.Decode(s[n:n+1], []byte(value[i+1:i+3])); err != nil {
				return s, false
			}
			i += 2
		}
		n++
	}
	return s, n == len(s) && s[tokenLength] == '.' && ids.Alphanumeric(s[:tokenLength])
}

// query names a cookie in raw Cookie headers.
type query struct {
	headers []string
	name    string
}

// values are the values of every cookie of the name, at most maxCookies of
// them, as they were sent but for quotes around them. It is an [iter.Seq].
func (q query) values(yield func(string) bool) {
	found := 0
	for _, header := range q.headers {
		for more := true; more; {
			var pair string
			pair, header, more = strings.Cut(header, ";")
			key, value, ok := strings.Cut(pair, "=")
			if !ok || strings.Trim(key, " \t") != q.name {
				continue
			}
			value = strings.Trim(value, " \t")
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			if found++; !yield(value) || found == maxCookies {
				return
			}
		}
	}
}
