package gate

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/caddymodule/request"
)

// The trusted headers, in canonical form. Only the gate writes them.
const (
	headerUserID    = "X-Mana-User-Id"
	headerEmail     = "X-Mana-Email"
	headerVerified  = "X-Mana-Email-Verified"
	headerRole      = "X-Mana-Role"
	headerSessionID = "X-Mana-Session-Id"
	headerOrgID     = "X-Mana-Org-Id"
	headerOrgRole   = "X-Mana-Org-Role"
	headerAuthTime  = "X-Mana-Auth-Time"
	headerMethods   = "X-Mana-Amr"
	headerKeyID     = "X-Mana-Key-Id"
	headerScopes    = "X-Mana-Scopes"
	headerClientID  = "X-Mana-Client-Id"
)

// trustedHeaders are the values of the headers that tell an upstream who a
// request acts for, empty where unknown.
type trustedHeaders [12]string

// The headers, and the placeholders {http.auth.user.…} of the same.
var (
	trustedNames = [len(trustedHeaders{})]string{
		headerUserID, headerEmail, headerRole, headerSessionID, headerOrgID, headerVerified, headerAuthTime, headerMethods, headerOrgRole,
		headerKeyID, headerScopes, headerClientID,
	}
	trustedPlaceholders = [len(trustedHeaders{})]string{
		"id", "email", "role", "session", "org", "email_verified", "auth_time", "amr", "org_role", "key", "scopes", "client",
	}
)

func trustedHeadersOf(p *request.Principal) trustedHeaders {
	return trustedHeaders{
		headerSafe(p.UserID), headerSafe(p.Email), headerSafe(string(p.Role)), headerSafe(p.SessionID), headerSafe(p.OrganizationID),
		strconv.FormatBool(p.EmailVerified), unixSeconds(p.AuthTime), headerSafe(string(p.Methods)),
		headerSafe(p.OrganizationRole),
		headerSafe(p.KeyID), headerSafe(string(p.Scopes)), headerSafe(p.ClientID),
	}
}

// unixSeconds is empty for no time.
func unixSeconds(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// setTrustedHeaders tells the upstream who the request acts for; what is
// unknown has no header. The header must have been stripped before.
func (a *requestAuth) setTrustedHeaders(h http.Header) {
	a.trusted = trustedHeadersOf(&a.Principal)
	a.trusted.set(h)
}

func (t *trustedHeaders) set(h http.Header) {
	for i, name := range trustedNames {
		if t[i] != "" {
			h[name] = t[i : i+1 : i+1]
		}
	}
}

// placeholder is a [caddy.ReplacerFunc]: it makes {http.auth.user.*} known,
// unless a later gate has decided otherwise.
func (a *requestAuth) placeholder(key string) (any, bool) {
	field, ok := strings.CutPrefix(key, "http.auth.user.")
	if !ok || a.Principal.Kind == request.Guest {
		return nil, false
	}
	for i, name := range trustedPlaceholders {
		if field == name {
			return a.trusted[i], true
		}
	}
	switch field {
	case "name":
		return headerSafe(a.profile().Name), true
	case "picture":
		return headerSafe(a.profile().Picture), true
	}
	return nil, false
}

// guestPlaceholder is a [caddy.ReplacerFunc]: it makes {http.auth.user.*} empty
// for guests. Unknown placeholders stay as they are written, and an app may take
// the name in a header for somebody's.
func guestPlaceholder(key string) (any, bool) {
	field, ok := strings.CutPrefix(key, "http.auth.user.")
	if !ok || !isUserField(field) {
		return nil, false
	}
	return "", true
}

// isUserField reports whether there is a placeholder {http.auth.user.<field>}.
func isUserField(field string) bool {
	return field == "name" || field == "picture" || slices.Contains(trustedPlaceholders[:], field)
}

// headerSafe makes a value fit for a header field (RFC 9110, section 5.5):
// everything but visible ASCII is percent-encoded, and so is "%", so that two
// values never become one. Decode it with any URL decoder.
func headerSafe(value string) string {
	const hex = "0123456789ABCDEF"
	visible := func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }
	i := 0
	for i < len(value) && visible(value[i]) {
		i++
	}
	if i == len(value) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; visible(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
