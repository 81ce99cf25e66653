package gate

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"mana.how/edge/authcore/verifier"
	"mana.how/edge/caddymodule/guard"
	"mana.how/edge/caddymodule/request"
)

// The headers of `headers name picture`, in canonical form.
const (
	headerName    = "X-Mana-Name"
	headerPicture = "X-Mana-Picture"
)

// NamedHeader is a header by which an app knows its users.
type NamedHeader struct {
	// The name, as the app wants it: `X-WEBAUTH-USER`.
	Name string `json:"name"`

	// The value: text with placeholders `{http.auth.user.…}`. They stand for the
	// plain text, UTF-8 and not percent-encoded, for that is how such apps read it. A
	// header without a value is not sent, nor is one whose value a header cannot
	// hold: with control characters, or a blank at an end.
	Value string `json:"value"`
}

// namedHeader is a NamedHeader taken apart.
type namedHeader struct {
	name  string // in canonical form
	parts []valuePart
}

// valuePart is a text, or the field of the user that stands in its place.
type valuePart struct{ text, field string }

const userPlaceholder = "{http.auth.user."

// namedHeaders takes headers apart. names are theirs, as [guard.FoldName] writes
// them.
func namedHeaders(list []NamedHeader) (headers []namedHeader, names []string) {
	for _, h := range list {
		headers = append(headers, namedHeader{http.CanonicalHeaderKey(h.Name), partsOf(h.Value)})
		names = append(names, guard.FoldName(h.Name))
	}
	return headers, names
}

func partsOf(value string) (parts []valuePart) {
	for value != "" {
		before, rest, found := strings.Cut(value, userPlaceholder)
		field, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return append(parts, valuePart{text: value})
		}
		if before != "" {
			parts = append(parts, valuePart{text: before})
		}
		parts, value = append(parts, valuePart{field: field}), after
	}
	return parts
}

// headerFaults are what is wrong with headers, header and assertion.
func (g *Gate) headerFaults() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, what := range g.Headers {
		if what != "name" && what != "picture" {
			fault("headers: %q is none of name, picture", what)
		}
	}
	if g.Off && len(g.Headers)+len(g.Header) > 0 {
		fault("headers, header: have no hold where off asks nobody who they are; drop them")
	}
	if g.Off && g.Assertion != nil {
		fault("assertion: has no hold where off asks nobody who they are; drop it")
	}
	var seen []string
	for _, h := range g.Header {
		folded := guard.FoldName(h.Name)
		switch {
		case !httpguts.ValidHeaderFieldName(h.Name):
			fault("header: %q is not the name of a header", h.Name)
		case isReserved(folded):
			fault("header: %s says something else, or is the edge's own", h.Name)
		case slices.Contains(seen, folded):
			fault("header: %s is there twice", h.Name)
		}
		seen = append(seen, folded)
		for _, part := range partsOf(h.Value) {
			switch {
			case part.field != "" && !isUserField(part.field):
				fault("header: %s: there is no placeholder {http.auth.user.%s}", h.Name, part.field)
			case strings.ContainsAny(part.text, "{}"):
				fault("header: %s: %q is no placeholder {http.auth.user.…}", h.Name, part.text)
			case !httpguts.ValidHeaderFieldValue(part.text):
				fault("header: %s: the value has signs that a header cannot hold", h.Name)
			}
		}
	}
	return faults
}

// isReserved reports whether the name is that of a header with a meaning of its
// own, which a user's name must not replace. Some proxies tell who somebody is
// in headers that begin as those that tell of the connection.
func isReserved(name string) bool {
	switch name {
	case "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username":
		return false
	case "user-agent", "referer", "range", "date", "x-requested-with", "true-client-ip", "cf-connecting-ip":
		return true
	}
	for _, prefix := range []string{"x-mana-", "mana-credits-", "x-ratelimit-", "accept", "access-control-", "content-", "if-", "proxy-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return !guard.MayTrail(name)
}

// profile is what the caller shows of themselves, empty where that cannot be
// found out now: nobody is kept out for want of a name.
func (a *requestAuth) profile() verifier.ShownProfile {
	if a.auth == nil || a.Principal.Kind == request.Guest {
		return verifier.ShownProfile{}
	}
	p, err := a.auth.ShownProfile(a.Context, a.Principal.UserID)
	if err != nil {
		a.auth.log.Warn("read the name of a user", zap.Error(err))
	}
	return p
}

// setProfileHeaders tells the upstream the name and the picture of the caller.
func (a *requestAuth) setProfileHeaders(which []string, h http.Header) {
	p := a.profile()
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{headerSafe(value)}
		}
	}
	if slices.Contains(which, "name") {
		set(headerName, p.Name)
	}
	if slices.Contains(which, "picture") {
		set(headerPicture, p.Picture)
	}
}

// setNamedHeaders tells the upstream who the caller is under the names that it
// knows. The headers must have been stripped before.
func (a *requestAuth) setNamedHeaders(headers []namedHeader, h http.Header) {
	for _, named := range headers {
		value := ""
		for _, part := range named.parts {
			if part.field == "" {
				value += part.text
			} else {
				value += a.plain(part.field)
			}
		}
		if value != "" && isFieldText(value) {
			h[named.name] = []string{value}
		}
	}
}

// plain is a field of the caller as text.
func (a *requestAuth) plain(field string) string {
	p := &a.Principal
	switch field {
	case "id":
		return p.UserID
	case "email":
		return p.Email
	case "name":
		return a.profile().Name
	case "picture":
		return a.profile().Picture
	}
	value, _ := a.placeholder("http.auth.user." + field)
	text, _ := value.(string)
	return text
}

// isFieldText reports whether a header can hold the text, so that every app reads
// the same in it.
func isFieldText(value string) bool {
	return utf8.ValidString(value) && strings.TrimFunc(value, unicode.IsSpace) == value && !strings.ContainsFunc(value, unicode.IsControl)
}
