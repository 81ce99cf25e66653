package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/publicsuffix"

	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/syntax"
)

// Resolve replaces placeholders, fills in defaults and checks everything. The
// error joins all faults, each with the name of its directive and none with
// the value of a secret. It does no I/O but for the files of {file.*}.
func (c Config) Resolve(env Environment) (Settings, error) {
	r := &resolver{env: env, replacer: caddy.NewReplacer(), faults: syntax.Flatten(c.Faults.Err())}
	s := Settings{
		Registration:     Registration(r.choice("registration", c.Registration, string(RegistrationOpen), string(RegistrationClosed), string(RegistrationByInvitation))),
		Audience:         r.value("audience", c.Audience, "JWT_AUDIENCE").or("manacore"),
		CookieDomain:     r.cookieDomain(c.CookieDomain),
		ServiceKey:       NewSecret(r.value("service_key", c.ServiceKey, "MANA_CORE_SERVICE_KEY").text),
		AccessTokenTTL:   r.duration("access_token_ttl", c.AccessTokenTTL),
		RefreshTokenTTL:  r.duration("refresh_token_ttl", c.RefreshTokenTTL),
		Admins:           r.admins(c.Admins),
		RedeemUnverified: c.Gifts != nil && c.Gifts.RedeemUnverified,
		Retention:        r.retention(c.Retention),
		trustedOrigins:   r.origins(c.TrustedOrigins),
		Redis:            r.redis(c.Redis),
		Replica:          r.replica(c),
		Database:         r.database(c.Database),
		EncryptionKey:    NewSecret(r.value("encryption_key", c.EncryptionKey, "MANA_ENCRYPTION_KEY").text),
		legacySecret:     NewSecret(env.First("BETTER_AUTH_SECRET", "AUTH_SECRET")),
	}
	for _, raw := range c.OldEncryptionKeys {
		s.OlderKeys = append(s.OlderKeys, NewSecret(r.expand("encryption_key", raw)))
	}
	for _, i := range c.AcceptedIssuers {
		s.AcceptedIssuers = append(s.AcceptedIssuers, issuer.Config{Issuer: r.expand("accept_issuer", i.Issuer), JWKS: r.expand("accept_issuer", i.JWKSURL)})
	}
	s.BaseURL = r.baseURL(c.BaseURL)
	r.identity(&s)
	s.Stripe = r.stripe(c.Stripe, s)
	s.SMTP = r.smtp(c.SMTP)
	s.namedKeys = r.serviceKeys(c.ServiceKeys, s.ServiceKey)
	s.OpenIDClients = r.openIDClients(c.OIDCClients, s.CookieDomain)
	s.OpenIDRegistration = r.openIDRegistration(c.OIDCRegistration)
	s.Backends = r.backends(c.Backends)
	s.WebhookNetworks = r.webhooks(c.Webhooks)
	s.passwords, s.blocklist = r.passwords(c.PasswordBlocklist)
	s.BreachedPasswords = r.breached(c.BreachedPasswords, &s.passwords)
	s.VerificationRequired = r.verification(c.EmailVerification, s.SMTP)
	s.ProofOfWork = endpoint.WorkMode(r.choice("proof_of_work", c.ProofOfWork, string(endpoint.WorkAuto), string(endpoint.WorkOff), string(endpoint.WorkAlways)))
	s.SecondFactorRequired = r.choice("second_factor", c.SecondFactor, "optional", "required") == "required"
	r.secrets(c, s)
	s.Storage = r.storage(c.Storage)
	s.Events = r.events(c.Events)
	s.Brand = r.brand(c.Brand)
	s.Providers = r.providers(c.Providers)
	s.Prices = r.prices(c.Prices)
	s.LowBalance, s.ExpiryNotice = r.credits(c.Credits)
	s.Trial, s.Daily = r.trial(c.Credits), r.daily(c.Credits)
	s.AbuseHold = r.abuseHold(c.Credits)
	s.Limits = r.limits(c.Limits)
	return s, errors.Join(r.faults...)
}

// choice is one of the words of a directive, the first where none is written.
func (r *resolver) choice(directive, raw string, words ...string) string {
	word := r.expand(directive, raw)
	switch {
	case word == "":
		return words[0]
	case !slices.Contains(words, word):
		r.fault(directive, "%q is none of %s", word, strings.Join(words, ", "))
	}
	return word
}

// admins are ids of users, by default those of ADMIN_USER_IDS, with commas.
func (r *resolver) admins(list []string) (ids []string) {
	if len(list) == 0 {
		list = strings.Split(r.env.Get("ADMIN_USER_IDS"), ",")
	}
	for _, raw := range list {
		if id := r.expand("admins", raw); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// resolver collects the faults of one resolve.
type resolver struct {
	env      Environment
	replacer *caddy.Replacer
	faults   []error
}

// fault records a fault of a directive. Its text must not hold a secret.
func (r *resolver) fault(directive, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s: "+format, append([]any{directive}, args...)...))
}

// value is a resolved directive and the place it came from, for the texts of
// faults.
type value struct {
	text, from string
}

func (v value) or(fallback string) string {
	if v.text == "" {
		return fallback
	}
	return v.text
}

// secretDirectives hold secrets, of which no fault may quote a piece.
var secretDirectives = []string{"database", "redis", "encryption_key", "service_key", "stripe", "smtp", "backend", "storage", "oidc_client", "oidc_registration", "provider"}

// expand replaces the placeholders of one directive.
func (r *resolver) expand(directive, raw string) string {
	text, err := r.replacer.ReplaceOrErr(raw, false, true)
	switch {
	case err == nil:
		return strings.TrimSpace(text)
	case slices.Contains(secretDirectives, directive):
		r.fault(directive, `holds an unknown placeholder (a literal brace is written \{)`)
	default:
		r.fault(directive, "%w", err)
	}
	return ""
}

// value expands a directive and falls back on the first set variable.
func (r *resolver) value(directive, raw string, variables ...string) value {
	if text := r.expand(directive, raw); text != "" {
		return value{text, directive}
	}
	for _, name := range variables {
		if text := r.env.Get(name); text != "" {
			return value{text, directive + " (from " + name + ")"}
		}
	}
	return value{from: directive}
}

func (r *resolver) duration(directive, raw string) time.Duration {
	text := r.expand(directive, raw)
	if text == "" {
		return 0
	}
	d, err := caddy.ParseDuration(text)
	switch {
	case err != nil:
		r.fault(directive, "%q is not a duration such as 15m or 7d", text)
	case d <= 0:
		r.fault(directive, "%q is not a positive duration", text)
	}
	return max(d, 0)
}

// baseURL returns an address to go on checking with even where it is at fault.
func (r *resolver) baseURL(raw string) *url.URL {
	v := r.value("base_url", raw, "BASE_URL")
	if v.text == "" {
		issuer := r.env.Get("JWT_ISSUER")
		if !strings.Contains(issuer, "://") {
			hint := ""
			if issuer != "" {
				hint = fmt.Sprintf(" (JWT_ISSUER is %q, which is no URL)", issuer)
			}
			r.fault("base_url", "missing: the public address of the auth service, such as https://auth.example.com%s", hint)
			return nil
		}
		v = value{issuer, "base_url (from JWT_ISSUER)"}
	}
	u, err := url.Parse(v.text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		r.fault(v.from, "not an http or https URL such as https://auth.example.com")
		return nil
	case u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		r.fault(v.from, "must be scheme and host only, as %s://%s", u.Scheme, u.Host)
	}
	host, err := origin.ASCIIHost(u.Host)
	if err != nil {
		r.fault(v.from, "the host %q %w", u.Host, err)
		return nil
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(host)}
}

// cookieDomain refuses what no browser would take.
func (r *resolver) cookieDomain(raw string) string {
	v := r.value("cookie_domain", raw, "COOKIE_DOMAIN")
	domain := strings.ToLower(v.text)
	bare := strings.TrimPrefix(domain, ".")
	switch {
	case domain == "":
	case net.ParseIP(bare) != nil:
		r.fault(v.from, "%q is an address; cookies can be shared below a name only", domain)
	case bare == "" || strings.ContainsAny(bare, "/:;, \t*@") || strings.Contains(bare, "..") || strings.HasSuffix(bare, "."):
		r.fault(v.from, "%q is not a domain such as .example.com", domain)
	default:
		ascii, err := origin.ASCIIHost(bare)
		if err != nil {
			r.fault(v.from, "%q %w", domain, err)
			return ""
		}
		bare, domain = ascii, strings.TrimSuffix(domain, bare)+ascii
		if suffix, _ := publicsuffix.PublicSuffix(bare); suffix == bare {
			r.fault(v.from, "%q is a public suffix; browsers refuse cookies for it", v.text)
		}
	}
	return domain
}

func (r *resolver) origins(raw []string) []string {
	var list []string
	for _, pattern := range raw {
		list = append(list, splitList(r.expand("trusted_origins", pattern))...)
	}
	if len(list) == 0 {
		list = splitList(r.env.Get("CORS_ORIGINS"))
	}
	return list
}

// splitList takes commas and blanks, so that a list can come out of one
// placeholder.
func splitList(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\n' })
}

// identity checks what the identity core knows to judge, and parses the origins.
func (r *resolver) identity(s *Settings) {
	if s.BaseURL == nil {
		// base_url has its fault already; a stand-in shows those of the rest.
		_, faults := origin.Parse("https://localhost", s.trustedOrigins)
		for _, f := range faults {
			r.fault("trusted_origins", "%w", f)
		}
		s.BaseURL = &url.URL{Scheme: "https", Host: "localhost"}
		stand := s.Auth()
		stand.CookieDomain, stand.TrustedOrigins = "", nil
		r.faults = append(r.faults, stand.Faults()...)
		return
	}
	r.faults = append(r.faults, s.Auth().Faults()...)
	s.Origins, _ = origin.Parse(s.BaseURL.String(), s.trustedOrigins)
}

// secrets checks the keys, of which the embedded database makes its own.
func (r *resolver) secrets(c Config, s Settings) {
	key, legacy := s.EncryptionKey.Reveal(), s.legacySecret.Reveal()
	switch {
	case key == "" && s.Database.Embedded():
		if legacy == "" && len(s.OlderKeys) == 0 {
			return
		}
		key = strings.Repeat("-", 32) // made at the start, at least as long
	case key == "" && legacy == "":
		state := "missing"
		if c.EncryptionKey != "" {
			state = "comes out empty"
		}
		r.fault("encryption_key", "%s: an external database needs one of 32 bytes or more, such as {env.MANA_ENCRYPTION_KEY}; make it with `openssl rand -base64 48` and keep a copy", state)
		return
	}
	if _, err := s.Secrets(NewSecret(key)); err != nil {
		r.faults = append(r.faults, err)
	}
}
