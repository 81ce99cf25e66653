package openid

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"mana.how/edge/authcore/token"
)

// TokenTTL is how long access tokens and ID tokens of clients live, and CodeTTL how
// long an authorization code does.
const (
	TokenTTL = time.Hour
	CodeTTL  = 10 * time.Minute
)

// The grants of RFC 6749 and RFC 8628 that a client can be allowed.
const (
	GrantCode        = "authorization_code"
	GrantRefresh     = "refresh_token"
	GrantCredentials = "client_credentials"
	GrantDevice      = "urn:ietf:params:oauth:grant-type:device_code"
)

// SynapseID is the client that the replaced service knew: a Matrix server whose users get
// their Matrix id linked.
const SynapseID = "matrix-synapse"

// Grants are all of them.
func Grants() []string { return []string{GrantCode, GrantRefresh, GrantCredentials, GrantDevice} }

// The scopes of OpenID Connect Core, section 5.4, that have a meaning here.
const (
	ScopeOpenID  = "openid"
	ScopeProfile = "profile"
	ScopeEmail   = "email"
	ScopeOffline = "offline_access"
)

// Scopes are all of them, which a client may ask for that names none.
func Scopes() []string { return []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeOffline} }

// Format is what access tokens of a client look like.
type Format string

// The formats.
const (
	Opaque Format = "opaque"
	JWT    Format = "jwt" // RFC 9068
)

// Valid reports whether there is such a format.
func (f Format) Valid() bool { return f == Opaque || f == JWT }

// Client is a relying party. Configured ones stand in the configuration and cannot be
// changed by commands.
type Client struct {
	ID   string
	Name string
	// SecretDigest is what [DigestOf] makes of the secret, empty for public clients.
	SecretDigest string
	Public       bool
	// Trusted clients ask nobody for consent.
	Trusted                bool
	RedirectURIs           []string
	PostLogoutRedirectURIs []string
	BackchannelLogoutURI   string
	// Scopes are those the client may ask for, and GrantTypes how.
	Scopes     []string
	GrantTypes []string
	// Algorithm signs the client's tokens.
	Algorithm         token.Algorithm
	AccessTokenFormat Format
	// Audience of its access tokens, the client itself where empty.
	Audience   string
	LogoURI    string
	Disabled   bool
	Configured bool
	// Registered clients have registered themselves (RFC 7591).
	Registered bool
	CreatedAt  time.Time
}

// WithDefaults fills in what a client leaves open.
func (c Client) WithDefaults() Client {
	if c.Name == "" {
		c.Name = c.ID
	}
	if len(c.Scopes) == 0 {
		c.Scopes = Scopes()
	}
	if len(c.GrantTypes) == 0 {
		c.GrantTypes = []string{GrantCode, GrantRefresh}
	}
	if c.Algorithm == "" {
		c.Algorithm = token.EdDSA
	}
	if c.AccessTokenFormat == "" {
		c.AccessTokenFormat = Opaque
	}
	return c
}

// Faults lists what is wrong with a client, each with the name of its field as the
// Caddyfile has it.
func (c Client) Faults() (faults []error) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.ID == "" || len(c.ID) > 128 || strings.ContainsFunc(c.ID, notVisible) || strings.Contains(c.ID, ":") {
		add("id: %q must be up to 128 visible ASCII characters without a colon", c.ID)
	}
	if len(c.Name) > 128 {
		add("name: has more than 128 bytes")
	}
	switch {
	case c.Public && c.SecretDigest != "":
		add("secret: a public client has none")
	case !c.Public && c.SecretDigest == "":
		add("secret: missing; a client that cannot keep one is public")
	}
	if c.Public && slices.Contains(c.GrantTypes, GrantCredentials) {
		add("grant_types: %s needs a client with a secret", GrantCredentials)
	}
	for _, g := range c.GrantTypes {
		if !slices.Contains(Grants(), g) {
			add("grant_types: there is no %q, but %s", g, strings.Join(Grants(), ", "))
		}
	}
	for _, s := range c.Scopes {
		if s == "" || len(s) > 64 || strings.ContainsFunc(s, notScope) {
			add("scopes: %q is no scope", s)
		}
	}
	if !c.Algorithm.Valid() {
		add("id_token_signed_response_alg: there is no %q, but EdDSA and RS256", c.Algorithm)
	}
	if !c.AccessTokenFormat.Valid() {
		add("access_token: there is no %q, but opaque and jwt", c.AccessTokenFormat)
	}
	if slices.Contains(c.GrantTypes, GrantCode) && len(c.RedirectURIs) == 0 {
		add("redirect_uri: missing")
	}
	for _, uri := range c.RedirectURIs {
		if err := c.checkRedirect(uri); err != nil {
			add("redirect_uri: %w", err)
		}
	}
	for _, uri := range c.PostLogoutRedirectURIs {
		if err := c.checkRedirect(uri); err != nil {
			add("post_logout_redirect_uri: %w", err)
		}
	}
	for _, u := range []struct{ name, uri string }{
		{"backchannel_logout_uri", c.BackchannelLogoutURI}, {"logo_uri", c.LogoURI},
	} {
		if u.uri == "" {
			continue
		}
		if parsed, err := url.Parse(u.uri); err != nil || parsed.Host == "" || parsed.Fragment != "" || parsed.User != nil ||
			parsed.Scheme != "https" && parsed.Scheme != "http" {
			add("%s: %q is no http or https URL", u.name, u.uri)
		}
	}
	return faults
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// notScope finds what a scope token may not have (RFC 6749, section 3.3).
func notScope(r rune) bool { return notVisible(r) || r == '"' || r == '\\' }

// checkRedirect fails where an address cannot be registered: a scheme of its own is for
// public clients, and has a dot, so that it is a domain's (RFC 8252, section 7.1).
func (c Client) checkRedirect(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || uri == "" || len(uri) > 2048 || strings.ContainsFunc(uri, notVisible) || strings.ContainsAny(uri, `*\`):
		return fmt.Errorf("%q is no address", uri)
	case u.Fragment != "" || strings.Contains(uri, "#"):
		return fmt.Errorf("%q has a fragment", uri)
	case u.User != nil:
		return fmt.Errorf("%q has a user", uri)
	case strings.Contains("/"+u.Path+"/", "/../") || strings.Contains("/"+u.Path+"/", "/./"):
		return fmt.Errorf("%q is not its own shortest form", uri)
	case u.Scheme == "https" || u.Scheme == "http":
		if u.Host == "" || u.Hostname() == "" {
			return fmt.Errorf("%q has no host", uri)
		}
		return nil
	case c.Public && strings.Contains(u.Scheme, "."):
		return nil
	}
	return fmt.Errorf("%q must begin with https:// or http://, or for a public client with a scheme that is a domain backwards", uri)
}

// RedirectsTo reports whether an address was registered: letter by letter, or for a
// public client on a port of its own choice where that is on the loopback interface
// (RFC 8252, section 7.3).
func (c Client) RedirectsTo(uri string) bool {
	return c.registered(c.RedirectURIs, uri)
}

// LeavesTo is [Client.RedirectsTo] for where a browser goes that has signed out.
func (c Client) LeavesTo(uri string) bool {
	return c.registered(c.PostLogoutRedirectURIs, uri)
}

func (c Client) registered(list []string, uri string) bool {
	if uri == "" {
		return false
	}
	if slices.Contains(list, uri) {
		return true
	}
	if !c.Public {
		return false
	}
	asked, ok := loopback(uri)
	return ok && slices.ContainsFunc(list, func(known string) bool {
		registered, ok := loopback(known)
		return ok && registered == asked
	})
}

// loopback is an http address of the loopback interface without its port. A name
// is none, for it can be resolved to anything (RFC 8252, section 8.3), unless it was
// registered as it is.
func loopback(uri string) (without string, ok bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" || strings.Contains(uri, "#") {
		return "", false
	}
	ip := net.ParseIP(u.Hostname())
	if ip == nil || !ip.IsLoopback() {
		return "", false
	}
	rest, _ := strings.CutPrefix(uri, "http://"+u.Host)
	return u.Hostname() + rest, true
}

// Allowed are those of the scopes that the client may ask for, each once. The others
// are passed over (OpenID Connect Core, section 3.1.2.1).
func (c Client) Allowed(scopes []string) []string {
	var allowed []string
	for _, s := range scopes {
		if slices.Contains(c.Scopes, s) && !slices.Contains(allowed, s) {
			allowed = append(allowed, s)
		}
	}
	return allowed
}

// May reports whether the client may use a grant.
func (c Client) May(grant string) bool { return slices.Contains(c.GrantTypes, grant) }

// TokenAudience is the audience of its access tokens.
func (c Client) TokenAudience() string {
	if c.Audience == "" {
		return c.ID
	}
	return c.Audience
}

// Keeps reports whether a secret is the client's.
func (c Client) Keeps(secret string) bool {
	return !c.Public && secret != "" && c.SecretDigest != "" &&
		subtle.ConstantTimeCompare([]byte(DigestOf(secret)), []byte(c.SecretDigest)) == 1
}

// DigestOf is what is stored of a secret, a code or a token.
func DigestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// The errors.
var (
	// ErrUnknownClient means that there is none of that id, or that it is disabled.
	ErrUnknownClient = errors.New("unknown client")
	// ErrConfigured means that a client stands in the configuration.
	ErrConfigured = errors.New("the client stands in the configuration: change it there")
	// ErrClientTaken means that there is one of that id already.
	ErrClientTaken = errors.New("there is a client of that id already")
	// ErrCode means that there is no such code, or that it is over, or another client's.
	ErrCode = errors.New("the code is not valid")
	// ErrCodeReused is an ErrCode of a code that was used before: what it gave has ended.
	ErrCodeReused error = &reused{}
	// ErrToken means that an access token is none, or over.
	ErrToken = errors.New("the token is not valid")
	// ErrScope means that more was asked for than was granted before.
	ErrScope = errors.New("the scope was not granted")
	// ErrConsent means that there is no such question, or that it is over.
	ErrConsent = errors.New("the question of consent is not valid any more")
	// ErrUserCode means that there is no such user code, or that it is over.
	ErrUserCode = errors.New("the code is not valid any more")
	// ErrPending means that nobody has decided yet, and ErrSlowDown that the device asks
	// too often (RFC 8628, section 3.5).
	ErrPending  = errors.New("nobody has allowed the device yet")
	ErrSlowDown = errors.New("the device asks too often")
	// ErrDenied means that somebody has refused, and ErrDeviceExpired that nobody decided
	// in time.
	ErrDenied        = errors.New("the device was refused")
	ErrDeviceExpired = errors.New("the device code has expired")
)

type reused struct{}

func (*reused) Error() string { return "the code was used before" }
func (*reused) Unwrap() error { return ErrCode }
