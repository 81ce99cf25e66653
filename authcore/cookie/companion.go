package cookie

import (
	"strings"
	"time"
)

// Cookies of one host that hold a token of a sign-in. Nobody can guess one, so
// that they need no signature.
const (
	twoFactorCookie = "mana.two_factor"
	trustedCookie   = "mana.trusted_device"
	passkeyCookie   = "mana.passkey_challenge"
	providerCookie  = "mana.provider"
	formPostCookie  = "mana.provider_post"
)

// Companion is a cookie of the host of the hosted pages, beside the SSO cookie.
type Companion struct {
	codec     Codec
	name      string
	crossSite bool // sent with forms of other sites
}

// TwoFactor holds the challenge for a second factor.
func (c Codec) TwoFactor() Companion { return c.companion(twoFactorCookie) }

// TrustedDevice holds the token of a device that needs no second factor.
func (c Codec) TrustedDevice() Companion { return c.companion(trustedCookie) }

// PasskeyChallenge holds the state of a ceremony of WebAuthn.
func (c Codec) PasskeyChallenge() Companion { return c.companion(passkeyCookie) }

// Provider binds sign-ins at a provider to the browser that began them.
func (c Codec) Provider() Companion { return c.companion(providerCookie) }

// ProviderPost is Provider for those that send the browser back by a form of their
// own site, with which no cookie goes that is not SameSite=None (RFC 6265bis,
// section 5.6.7.1). It binds, and opens nothing by itself. Over plain http there is
// no such cookie.
func (c Codec) ProviderPost() Companion {
	p := c.companion(formPostCookie)
	p.crossSite = c.prefix != ""
	return p
}

// Companions are all of them.
func (c Codec) Companions() []Companion {
	return []Companion{c.TwoFactor(), c.TrustedDevice(), c.PasskeyChallenge(), c.Provider(), c.ProviderPost()}
}

// hostPrefix keeps other sub-domains from setting a cookie (RFC 6265bis, section
// 4.1.3.2).
const hostPrefix = "__Host-"

func (c Codec) companion(name string) Companion {
	c.domain = ""
	if c.prefix != "" {
		name = hostPrefix + name
	}
	return Companion{codec: c, name: name}
}

// Name is the name of the cookie.
func (c Companion) Name() string { return c.name }

// Set is the Set-Cookie value of a token, which must be base64url.
func (c Companion) Set(token string, maxAge time.Duration) string {
	value := c.codec.header(c.name, token, max(0, maxAge))
	if c.crossSite {
		value = strings.TrimSuffix(value, "SameSite=Lax") + "SameSite=None"
	}
	return value
}

// Clear is the Set-Cookie value that makes the browser forget it.
func (c Companion) Clear() string { return c.codec.header(c.name, "", 0) }

// Tokens are the values of every cookie of the name in raw Cookie headers.
// Over plain http a host below the domain may have set one beside ours (RFC 6265,
// section 5.4).
func (c Companion) Tokens(cookieHeaders []string) []string {
	var tokens []string
	for value := range (query{cookieHeaders, c.name}).values {
		if value != "" {
			tokens = append(tokens, value)
		}
	}
	return tokens
}
