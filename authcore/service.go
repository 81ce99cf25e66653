package authcore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/cookie"
	"mana.how/edge/authcore/feed"
	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/keyring"
	"mana.how/edge/authcore/matrix"
	"mana.how/edge/authcore/membership"
	"mana.how/edge/authcore/notice"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/authcore/verifier"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/proofofwork"
	"mana.how/edge/internal/publicnet"
)

// Config is what an admin decides. A zero duration or Hashing takes the
// default named with it.
type Config struct {
	// BaseURL is the issuer and the address of the hosted pages: scheme and
	// host, no path.
	BaseURL string
	// Name is what authenticators call the service, the domain where empty.
	Name string
	// Audience is the aud claim, "manacore" where empty.
	Audience string
	// CookieDomain is the Domain attribute of the SSO cookie; empty makes it
	// a cookie of the one host.
	CookieDomain string
	// TrustedOrigins may send credentials and be redirected to.
	TrustedOrigins []string
	Secrets        secret.Keys
	// Keyless is for commands, which need no secrets then: signing keys are
	// neither read nor made, so no token is issued, and none verifies.
	Keyless bool

	// VerificationRequired lets nobody sign in whose address is not proven, and
	// keeps from who registers whether an address has an account.
	VerificationRequired bool
	// InvitationRequired lets nobody make an account without an invitation.
	InvitationRequired bool
	// RegistrationClosed lets nobody make an account by signing in with a provider.
	// Routes that register are closed by whoever offers them.
	RegistrationClosed bool
	// Providers may be signed in with, in this order.
	Providers []provider.Config
	// SecondFactorRequired leads everybody to set a second factor up, and lets
	// nobody to an app before.
	SecondFactorRequired bool

	AccessTokenTTL  time.Duration // 15 minutes
	RefreshTokenTTL time.Duration // 7 days, moved on by each refresh
	SessionTTL      time.Duration // 7 days, of the SSO cookie
	SessionMaxAge   time.Duration // 90 days: no refresh or renewal reaches past it
	RefreshGrace    time.Duration // 10 seconds
	KeyAnnounce     time.Duration // 1 hour in the JWKS before a key signs
	KeyRotateEvery  time.Duration // 90 days

	// AcceptedIssuers are services whose access tokens are taken beside our own.
	AcceptedIssuers []issuer.Config

	// OpenIDClients are those of the configuration.
	OpenIDClients []openid.Client
	// OpenIDRegistration is what [openid.DigestOf] makes of the token by which clients
	// register themselves, empty where none can.
	OpenIDRegistration string

	Hashing   password.Hashing
	Passwords password.Policy
	Retention Retention
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.AccessTokenTTL, 15*time.Minute)
	set(&c.RefreshTokenTTL, 7*24*time.Hour)
	set(&c.SessionTTL, 7*24*time.Hour)
	set(&c.SessionMaxAge, 90*24*time.Hour)
	set(&c.RefreshGrace, 10*time.Second)
	set(&c.KeyAnnounce, time.Hour)
	set(&c.KeyRotateEvery, 90*24*time.Hour)
	c.Retention = c.Retention.withDefaults()
	c.OpenIDClients = slices.Clone(c.OpenIDClients)
	for i := range c.OpenIDClients {
		c.OpenIDClients[i].Configured = true
	}
	c.OpenIDClients = slices.Clone(c.OpenIDClients)
	for i, client := range c.OpenIDClients {
		c.OpenIDClients[i] = client.WithDefaults()
		c.OpenIDClients[i].Configured = true
	}
	if c.Audience == "" {
		c.Audience = "manacore"
	}
	return c
}

// Faults lists everything that is wrong with the configuration. The secrets
// are left out: with an embedded database they come only at the start.
func (c Config) Faults() []error {
	c = c.withDefaults()
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	base, err := url.Parse(c.BaseURL)
	switch {
	case c.BaseURL == "":
		add("base_url: missing")
	case err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http"):
		add("base_url: %q is not an http or https URL", c.BaseURL)
	case (base.Path != "" && base.Path != "/") || base.RawQuery != "" || base.Fragment != "" || base.User != nil:
		add("base_url: %q must be scheme and host only", c.BaseURL)
	default:
		_, originFaults := origin.Parse(c.BaseURL, c.TrustedOrigins)
		for _, f := range originFaults {
			add("trusted_origins: %w", f)
		}
		if !domainCovers(c.CookieDomain, base.Hostname()) {
			add("cookie_domain: %q does not cover the host of base_url, %q", c.CookieDomain, base.Hostname())
		}
	}
	seen := make(map[string]bool)
	for _, client := range c.OpenIDClients {
		if seen[client.ID] {
			add("oidc_client %s: is there twice", client.ID)
		}
		seen[client.ID] = true
		for _, fault := range client.Faults() {
			add("oidc_client %s: %w", client.ID, fault)
		}
	}
	issuers := make(map[string]bool)
	for _, i := range c.AcceptedIssuers {
		if issuers[i.Issuer] {
			add("accept_issuer %s: is there twice", i.Issuer)
		}
		issuers[i.Issuer] = true
		for _, fault := range i.Faults() {
			add("accept_issuer %s: %w", i.Issuer, fault)
		}
	}
	for _, d := range []struct {
		name     string
		v        time.Duration
		min, max time.Duration
	}{
		{"access_token_ttl", c.AccessTokenTTL, 10 * time.Second, token.LongestLife},
		{"refresh_token_ttl", c.RefreshTokenTTL, time.Minute, 400 * 24 * time.Hour},
	} {
		if d.v < d.min || d.v > d.max {
			add("%s: %v is not between %v and %v", d.name, d.v, d.min, d.max)
		}
	}
	return faults
}

// Observer receives measurements. Each func may be nil and must not block.
type Observer struct {
	RevocationLag func(time.Duration)
	SignIn        func(outcome string)
	Refresh       func(outcome string)
	HashWait      func(time.Duration)
	TokenCache    func(hit bool)
	SessionCache  func(hit bool)
}

// Deps is what the service works with. Redis may be nil; Now and Logger have
// defaults. ListenDSN must lead to PostgreSQL itself, not to a pooler in
// transaction mode.
type Deps struct {
	Pool      *pgxpool.Pool
	ListenDSN string // in the form of pgxpool
	Redis     redis.UniversalClient
	Logger    *slog.Logger
	Now       func() time.Time
	Observer  Observer
	Hooks     Hooks
	Mailer    notice.Mailer // nil sends none
	// Logouts tells OpenID clients of sessions that have ended; nil tells none.
	Logouts grant.LogoutQueue
	// ProviderTransport asks providers; nil is one of their own for each.
	ProviderTransport http.RoundTripper
	// Follow are what else is read again when PostgreSQL tells of a change on its channel,
	// and whenever that may not have been heard.
	Follow map[string]func(context.Context) error
	// MatrixServers confirms whose a Matrix id is; a nil Client reaches the public
	// Internet alone.
	MatrixServers matrix.Servers
}

// Service signs users in and verifies what they carry. What it embeds is its own
// too. It is safe for concurrent use.
type Service struct {
	*membership.Directory
	*grant.Grants
	*verifier.Verifier

	cfg     Config
	db      dbscope.DB
	log     *slog.Logger
	now     func() time.Time
	observe Observer
	hooks   Hooks
	mailer  notice.Mailer
	store   *session.Store
	servers matrix.Servers

	cookies  cookie.Codec
	origins  origin.List
	factors  twofactor.Factors
	passkeys *passkey.RelyingParty // nil without keys
	provided []*provider.Provider
	hasher   *password.Hasher
	work     proofofwork.Authority
	pressure proofofwork.Pressure

	fixedCodes atomic.Bool // see FixCodes

	keys       atomic.Pointer[token.KeySet]
	ring       *keyring.Ring
	proofKeys  atomic.Pointer[token.KeySet]
	proofRing  *keyring.Ring
	revoked    *revocation.List
	feed       *feed.Feed
	watchers   *revocation.Watchers
	background sync.WaitGroup // short tasks that use the pool or Redis
}

// New connects nothing itself but reads the signing keys, makes the first one
// where there is none, and reads the revocations still in force. It fails
// with [ErrUnavailable] while the database is away. [Service.Run] must be
// running for revocations of other edges to arrive.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	faults := cfg.Faults()
	if !cfg.Secrets.Set() && !cfg.Keyless {
		faults = append(faults, errors.New("encryption_key: missing"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	origins, _ := origin.Parse(cfg.BaseURL, cfg.TrustedOrigins)
	listen, err := pgxpool.ParseConfig(deps.ListenDSN)
	if err != nil {
		return nil, errors.New("the database URL is not readable") // the error may quote a password
	}
	dbscope.Prepare(listen.ConnConfig, dbscope.Unlimited)
	s := &Service{
		cfg: cfg, db: dbscope.DB{Pool: deps.Pool, Error: account.DBError},
		log: deps.Logger, now: deps.Now, observe: deps.Observer, hooks: deps.Hooks.withDefaults(),
		cookies: cookie.New(cfg.BaseURL, cfg.CookieDomain, cfg.Secrets.CookieHMAC, cfg.Secrets.OlderCookieHMAC...),
		origins: origins,
		hasher:  password.NewHasher(cfg.Hashing, deps.Observer.HashWait),

		revoked:  revocation.NewList(),
		watchers: revocation.NewWatchers(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.work = proofofwork.Authority{Key: cfg.Secrets.ProofOfWork, Now: s.now}
	s.factors = twofactor.Factors{Secrets: cfg.Secrets, Issuer: displayName(cfg), Now: s.now, Fixed: s.fixedCodes.Load}
	if s.servers = deps.MatrixServers; s.servers.Client == nil {
		s.servers.Client = publicnet.Client()
	}
	if s.mailer = deps.Mailer; s.mailer == nil {
		s.mailer = notice.None{}
	}
	s.mailer = notice.InOwnLanguage{Mailer: s.mailer}
	if !cfg.Keyless {
		if s.passkeys, err = newRelyingParty(cfg, origins, s.now); err != nil {
			return nil, fmt.Errorf("passkeys: %w", err)
		}
		for _, p := range cfg.Providers {
			made, err := provider.New(p, provider.Deps{Now: s.now, Transport: deps.ProviderTransport})
			if err != nil {
				return nil, err
			}
			s.provided = append(s.provided, made)
		}
	}
	s.compose(deps, listen.ConnConfig)
	if err := s.load(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// compose makes the packages that the service is of, each out of those before.
func (s *Service) compose(deps Deps, listen *pgx.ConnConfig) {
	cfg := s.cfg
	s.keys.Store(token.NewKeySet(nil))
	s.ring = keyring.New(keyring.Deps{
		DB: s.db, Secrets: cfg.Secrets, Now: s.now, Log: s.log, Set: &s.keys, Ended: s.watchers.EndKey, Keyless: cfg.Keyless,
		Announce: cfg.KeyAnnounce, RotateEvery: cfg.KeyRotateEvery,
		LongestToken: max(cfg.AccessTokenTTL, openid.TokenTTL), // an ID token of the OpenID provider is one, too
	})
	s.proofKeys.Store(token.NewKeySet(nil))
	s.proofRing = keyring.New(keyring.Deps{
		DB: s.db, Secrets: cfg.Secrets, Now: s.now, Log: s.log, Purpose: keyring.Proofs, Set: &s.proofKeys, Ended: func(string) {}, Keyless: cfg.Keyless,
		Announce: cfg.KeyAnnounce, LongestToken: proofLife,
	})
	s.store = &session.Store{
		DB: s.db, Mailer: s.mailer, Now: s.now, Announce: func(revs ...revocation.Revocation) { s.Announce(revs...) },
		MaxAge: cfg.SessionMaxAge, SecondFactorRequired: cfg.SecondFactorRequired,
	}
	logouts := deps.Logouts
	if logouts == nil {
		logouts = grant.NoLogouts{}
	}
	s.Grants = grant.New(grant.Deps{
		DB: s.db, Store: s.store, Secrets: cfg.Secrets, Now: s.now, Log: s.log, Logouts: logouts,
		Issuer: cfg.BaseURL, Clients: cfg.OpenIDClients, RefreshTTL: cfg.RefreshTokenTTL, Registration: cfg.OpenIDRegistration,
		Keys: &s.keys, MakeKey: s.ring.MakeFirst, Advance: s.advance,
	})
	peers := make(map[string]*issuer.Peer, len(cfg.AcceptedIssuers))
	for _, i := range cfg.AcceptedIssuers {
		peers[i.Issuer] = issuer.New(i, s.now, nil)
	}
	unheard := new(atomic.Int64)
	verified := verifier.Deps{
		DB: s.db, Store: s.store, Log: s.log, Now: s.now, Cookies: s.cookies, Peers: peers, Keys: &s.keys, Ring: s.ring,
		Revoked: s.revoked, Watchers: s.watchers, Unheard: unheard, Background: &s.background,
		Issuer: cfg.BaseURL, Audience: cfg.Audience, AccessTokenTTL: cfg.AccessTokenTTL, SessionTTL: cfg.SessionTTL,
		SessionMaxAge: cfg.SessionMaxAge, SecondFactorRequired: cfg.SecondFactorRequired,
		ClientAccess: s.ClientAccess, TokenCache: s.observe.TokenCache, SessionCache: s.observe.SessionCache,
	}
	if deps.Redis != nil {
		verified.Publish = func(revs []revocation.Revocation) { s.feed.Publish(revs) }
	}
	s.Verifier = verifier.New(verified)
	s.feed = feed.New(feed.Deps{
		DB: s.db, Listen: listen, Redis: deps.Redis, Log: s.log, Now: s.now, Unheard: unheard,
		Apply: s.Apply, LoadKeys: s.loadKeys, Forget: s.Forget, Lag: s.observe.RevocationLag, Follow: deps.Follow,
	})
	s.Directory = membership.New(membership.Deps{
		DB: s.db, Store: s.store, Mailer: s.mailer, Now: s.now, Recent: s.RequireRecent, Forget: s.Forget,
		Token: s.AccessToken, TokenTTL: cfg.AccessTokenTTL, SeatsTx: s.hooks.SeatsTx, DissolveTx: s.hooks.DissolveTx, Dissolved: s.hooks.Dissolved,
	})
}

// load reads the signing keys, or makes the first one, and the revocations.
func (s *Service) load(ctx context.Context) error {
	if !s.cfg.Keyless {
		if err := s.ring.Load(ctx); err != nil {
			return fmt.Errorf("read signing keys: %w", err)
		}
		if s.keys.Load().Empty() {
			if err := s.ring.MakeFirst(ctx, token.EdDSA); err != nil {
				return fmt.Errorf("make the first signing key: %w", err)
			}
		}
		if s.AsksRSA() && !s.keys.Load().Has(token.RS256, s.now()) {
			if err := s.ring.MakeFirst(ctx, token.RS256); err != nil {
				return fmt.Errorf("make the first RSA key: %w", err)
			}
		}
		if err := s.loadProofKeys(ctx); err != nil {
			return err
		}
	}
	if err := s.feed.Load(ctx); err != nil {
		return fmt.Errorf("read revocations: %w", err)
	}
	return nil
}

// Format implements [fmt.Formatter]: a printed service shows none of its keys.
func (s *Service) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprintf(state, "identity core of %s", s.cfg.BaseURL)
}

// Close ends what is still open, since nobody could revoke it any more, and
// waits for tasks in the background, so that the pool may be closed after
// it. Whatever comes later is refused.
func (s *Service) Close() {
	s.revoked.Close()
	s.watchers.EndAll()
	s.background.Wait()
	s.Verifier.Close()
	for _, p := range s.provided {
		p.Close()
	}
}

// Issuer is the iss claim of every token, and the address of the provider.
func (s *Service) Issuer() string { return s.cfg.BaseURL }

// Cookies writes and reads the SSO cookie.
func (s *Service) Cookies() cookie.Codec { return s.cookies }

// Origins decides which sites may send credentials and be redirected to.
func (s *Service) Origins() origin.List { return s.origins }

// Ready reports whether the database answers.
func (s *Service) Ready(ctx context.Context) error {
	ctx, cancel := dbscope.Bounded(ctx)
	defer cancel()
	return account.DBError(s.db.Pool.Ping(ctx))
}

// VerificationRequired reports whether nobody signs in whose address is not
// proven.
func (s *Service) VerificationRequired() bool { return s.cfg.VerificationRequired }

// AccessTokenTTL is how long an access token lives.
func (s *Service) AccessTokenTTL() time.Duration { return s.cfg.AccessTokenTTL }

// SessionTTL is how long an unused SSO cookie lives.
func (s *Service) SessionTTL() time.Duration { return s.cfg.SessionTTL }

// issuerName is what authenticators show beside an account: the domain of the
// family, else the host.
func issuerName(cfg Config) string {
	if cfg.CookieDomain != "" {
		return strings.TrimPrefix(cfg.CookieDomain, ".")
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return ""
	}
	return base.Hostname()
}

// displayName is what authenticators show. In an otpauth address a colon ends it.
func displayName(cfg Config) string {
	if name := strings.TrimSpace(strings.ReplaceAll(cfg.Name, ":", "")); name != "" {
		return name
	}
	return issuerName(cfg)
}

// domainCovers reports whether a cookie of this Domain reaches the host
// (RFC 6265, section 5.1.3). An empty domain is the host's own.
func domainCovers(domain, host string) bool {
	if domain == "" {
		return true
	}
	if domain[0] == '.' {
		domain = domain[1:]
	}
	return host == domain || (len(host) > len(domain) && host[len(host)-len(domain)-1:] == "."+domain)
}
