package provider

import (
	"crypto/ecdsa"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"mana.how/edge/authcore/principal"
)

// Kind is how a provider is spoken to.
type Kind string

// The kinds.
const (
	Google Kind = "google"
	Apple  Kind = "apple"
	GitHub Kind = "github"
	OpenID Kind = "oidc"
)

// Credential is the id that accounts have whose way in is a password. No provider
// is called that.
const Credential = "credential"

// Config is what an admin decides of a provider. It prints without its secrets.
type Config struct {
	// ID names the provider in paths and rows: the kind or, of an OpenID provider,
	// its own name.
	ID   string
	Kind Kind
	// Name is what its button says.
	Name string
	// Issuer is that of an OpenID provider, and where its discovery document lies.
	// Google and Apple have theirs; tests may name another.
	Issuer string
	// Endpoint is the address of a GitHub Enterprise Server, scheme and host;
	// empty for github.com.
	Endpoint string

	ClientID, ClientSecret string
	// Audiences are the client ids of apps whose ID tokens are taken beside those
	// of ClientID.
	Audiences []string
	// TeamID, KeyID and PrivateKey, a PKCS #8 key in PEM, make Apple's client
	// secret.
	TeamID, KeyID, PrivateKey string
	// Scopes are asked for; the default of the kind where there are none.
	Scopes []string
	// RoleClaim names the claim that decides the role, and Roles which of its values
	// gives which. Who has none of them is a user.
	RoleClaim string
	Roles     map[string]principal.Role
	// Only says that nobody signs in with a password.
	Only bool
}

// Format implements [fmt.Formatter]: no verb prints a secret.
func (c Config) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "provider "+c.ID) }

const (
	googleIssuer = "https://accounts.google.com"
	appleIssuer  = "https://appleid.apple.com"
	gitHubSite   = "https://github.com"
	gitHubAPI    = "https://api.github.com"
)

// WithDefaults fills in what the kind says.
func (c Config) WithDefaults() Config {
	set := func(text *string, value string) {
		if *text == "" {
			*text = value
		}
	}
	scopes := []string{"openid", "email", "profile"}
	switch c.Kind {
	case Google:
		set(&c.Name, "Google")
		set(&c.Issuer, googleIssuer)
	case Apple:
		set(&c.Name, "Apple")
		set(&c.Issuer, appleIssuer)
		scopes = []string{"name", "email"}
	case GitHub:
		set(&c.Name, "GitHub")
		scopes = []string{"read:user", "user:email"}
	}
	if c.Kind != OpenID {
		set(&c.ID, string(c.Kind))
	}
	set(&c.Name, c.ID)
	if len(c.Scopes) == 0 {
		c.Scopes = scopes
	}
	return c
}

var idForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Faults are what is wrong with a configuration, a sentence each, without secrets.
func (c Config) Faults() (faults []string) {
	c = c.WithDefaults()
	add := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	switch {
	case !slices.Contains([]Kind{Google, Apple, GitHub, OpenID}, c.Kind):
		add("is none of google, apple, github, oidc <name>")
		return faults
	case c.Kind == OpenID && !idForm.MatchString(c.ID):
		add("a name has lower-case letters, digits and hyphens, up to 32, and begins with a letter")
	case c.Kind == OpenID && slices.Contains([]string{Credential, string(Google), string(Apple), string(GitHub)}, c.ID):
		add("the name is taken, choose another")
	}
	if c.ClientID == "" {
		add("client_id: missing")
	}
	if len([]rune(c.Name)) > 40 || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' }) {
		add("name: is one line of at most 40 characters")
	}
	switch {
	case c.Kind == GitHub && c.Endpoint != "" && !isBase(c.Endpoint):
		add("endpoint: must be scheme and host, https or on this machine")
	case c.Kind != GitHub && c.Issuer == "":
		add("issuer: missing")
	case c.Kind != GitHub && !isSecure(c.Issuer):
		add("issuer: is not an https URL, or one on this machine, without query")
	}
	if c.Kind == Apple {
		for name, value := range map[string]string{"team_id": c.TeamID, "key_id": c.KeyID, "private_key": c.PrivateKey} {
			if value == "" {
				add("%s: missing", name)
			}
		}
		if c.PrivateKey != "" {
			if _, err := parseAppleKey(c.PrivateKey); err != nil {
				add("private_key: %v", err)
			}
		}
		slices.Sort(faults)
	} else if c.ClientSecret == "" {
		add("client_secret: missing")
	}
	if (c.Kind == Google || c.Kind == OpenID) && !slices.Contains(c.Scopes, "openid") {
		add("scopes: openid is missing")
	}
	switch {
	case c.RoleClaim != "" && len(c.Roles) == 0:
		add("role_claim: takes a claim, and which values give which role, as groups admins=admin")
	case c.RoleClaim != "" && c.Kind != OpenID && c.Kind != Google:
		add("role_claim: %s has no such claims", c.Kind)
	}
	for _, role := range c.Roles {
		if role != principal.RoleUser && role != principal.RoleAdmin {
			add("role_claim: a role is user or admin")
		}
	}
	return faults
}

// isSecure reports whether a URL may be asked for what signs people in: by https
// or, on this machine, by http.
func isSecure(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLocal(u.Hostname())
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isBase(text string) bool {
	u, err := url.Parse(text)
	return err == nil && isSecure(text) && (u.Path == "" || u.Path == "/")
}

// Deps are a provider's surroundings. Now and Transport have defaults.
type Deps struct {
	Now       func() time.Time
	Transport http.RoundTripper
}

// Provider is one whom users may sign in with. It is safe for concurrent use.
type Provider struct {
	Config
	now      func() time.Time
	client   *http.Client
	appleKey *ecdsa.PrivateKey

	mu      sync.Mutex
	known   *metadata
	loading singleflight.Group
}

// New makes a provider, and asks it nothing yet.
func New(cfg Config, deps Deps) (*Provider, error) {
	if faults := cfg.Faults(); len(faults) > 0 {
		return nil, fmt.Errorf("provider %s: %s", cfg.ID, strings.Join(faults, "; "))
	}
	p := &Provider{Config: cfg.WithDefaults(), now: deps.Now, client: newClient(deps.Transport)}
	if p.now == nil {
		p.now = time.Now
	}
	if p.Kind == Apple {
		var err error
		if p.appleKey, err = parseAppleKey(p.PrivateKey); err != nil {
			return nil, fmt.Errorf("provider %s: private_key: %w", cfg.ID, err)
		}
	}
	return p, nil
}

// FormPost reports whether the provider sends the browser back by a form, from its
// own site (OAuth 2.0 Form Post Response Mode).
func (p *Provider) FormPost() bool { return p.Kind == Apple }

// Close lets go of connections that are kept open.
func (p *Provider) Close() { p.client.CloseIdleConnections() }
