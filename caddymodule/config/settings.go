package config

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/origin"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/provider"
	"mana.how/edge/authcore/secret"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/internal/appdata"
)

// Settings is the resolved configuration: no placeholder, no default left to
// fill in. Its secrets do not print.
type Settings struct {
	// BaseURL is the issuer, scheme and host only.
	BaseURL *url.URL
	// Audience of access tokens.
	Audience string
	// CookieDomain of the sign-on cookie; empty is the host of BaseURL alone.
	CookieDomain string
	// Origins are the trusted ones, that of BaseURL included.
	Origins origin.List
	// ServiceKey opens internal routes. Where it is not set they stay closed.
	ServiceKey Secret
	// namedKeys are those of back ends that may do less.
	namedKeys servicekey.Set

	// AccessTokenTTL and RefreshTokenTTL are zero where authcore's defaults hold.
	AccessTokenTTL, RefreshTokenTTL time.Duration
	// Registration says who may make an account.
	Registration Registration
	// ProofOfWork says when one is asked for.
	ProofOfWork endpoint.WorkMode
	// Admins are ids of users who are admins without having the role.
	Admins []string
	// RedeemUnverified gives what is meant for an address to whoever registers it.
	RedeemUnverified bool
	// Limits are those of groups of routes and single ones that the admin has set.
	Limits map[string]endpoint.Limit
	// Retention is how long what has ended is kept.
	Retention Retention

	trustedOrigins []string
	Database       Database
	Replica        Secret // URL of a standby; not set without one
	Redis          Secret // URL; not set without Redis
	EncryptionKey  Secret // not set: the embedded database's own
	OlderKeys      []Secret
	legacySecret   Secret // BETTER_AUTH_SECRET
	Stripe         Stripe
	// AcceptedIssuers are services whose access tokens are taken.
	AcceptedIssuers []issuer.Config
	// OpenIDClients are the clients of the OpenID provider.
	OpenIDClients []openid.Client
	// OpenIDRegistration is what [openid.DigestOf] makes of the token by which clients
	// register themselves, empty where none can.
	OpenIDRegistration string
	// Backends keep data of users.
	Backends []appdata.Backend
	// WebhookNetworks may be reached by webhooks beside the public Internet.
	WebhookNetworks []netip.Prefix

	passwords password.Policy
	blocklist string
	// BreachedPasswords is the directory of those, empty without one.
	BreachedPasswords string
	// Events is where security events are handed on to.
	Events Events
	// Storage is where the pictures of users lie.
	Storage Storage
	// Providers may be signed in with, in this order.
	Providers []provider.Config
	// Brand is whose pages and mails they are.
	Brand pages.Brand
	// SMTP is the mail server.
	SMTP SMTP
	// SecondFactorRequired leads everybody to set a second factor up.
	SecondFactorRequired bool
	// Prices are what things cost, by name.
	Prices creditcore.Prices
	// LowBalance is the threshold below which a balance is low, of accounts that
	// have none of their own; zero for none.
	LowBalance creditcore.Amount
	// ExpiryNotice is how long before the end of credits their owner is told; zero
	// for never.
	ExpiryNotice time.Duration
	// Daily is what accounts are given each day, zero for nothing.
	Daily creditcore.Amount
	// AbuseHold is the score of abuse from which gifting is held; zero is never.
	AbuseHold int
	// Trial is what new accounts are given, nil for nothing.
	Trial *coupon.Trial
	// VerificationRequired lets nobody sign in whose address is not proven.
	VerificationRequired bool
}

// ServiceKeys are the keys of back ends: the one that may do everything, where it
// is set, and those with a name.
func (s Settings) ServiceKeys() servicekey.Set {
	if !s.ServiceKey.IsSet() {
		return s.namedKeys
	}
	return append(servicekey.Set{servicekey.All(s.ServiceKey.Reveal())}, s.namedKeys...)
}

// Registration is who may make an account.
type Registration string

// The words of the directive.
const (
	RegistrationOpen         Registration = "open"
	RegistrationClosed       Registration = "closed" // the admin
	RegistrationByInvitation Registration = "invite"
)

// Database is where the state lives: dir for the embedded one, else url.
type Database struct {
	Dir       string
	URL       Secret
	Direct    Secret // not set: url leads to PostgreSQL itself
	QueryMode pgx.QueryExecMode
}

// Embedded reports whether the database is the private one of this process.
func (d Database) Embedded() bool { return d.Dir != "" }

// SameDatabase reports whether both keep their state in one place, sealed with
// the same keys: a runtime of the one may serve for the other.
func (s Settings) SameDatabase(other Settings) bool {
	return s.Database.Dir == other.Database.Dir && s.Database.URL.Reveal() == other.Database.URL.Reveal() &&
		s.Database.Direct.Reveal() == other.Database.Direct.Reveal() &&
		s.EncryptionKey.Reveal() == other.EncryptionKey.Reveal() && s.legacySecret.Reveal() == other.legacySecret.Reveal()
}

// Auth is the configuration of the identity core but for its secrets.
func (s Settings) Auth() authcore.Config {
	return authcore.Config{
		BaseURL:              s.BaseURL.String(),
		Name:                 s.Brand.Name,
		Audience:             s.Audience,
		CookieDomain:         s.CookieDomain,
		TrustedOrigins:       s.trustedOrigins,
		VerificationRequired: s.VerificationRequired,
		SecondFactorRequired: s.SecondFactorRequired,
		InvitationRequired:   s.Registration == RegistrationByInvitation,
		OpenIDClients:        s.OpenIDClients,
		OpenIDRegistration:   s.OpenIDRegistration,
		AcceptedIssuers:      s.AcceptedIssuers,
		RegistrationClosed:   s.Registration == RegistrationClosed,
		Providers:            s.Providers,
		AccessTokenTTL:       s.AccessTokenTTL,
		RefreshTokenTTL:      s.RefreshTokenTTL,
		Passwords:            s.passwords,
		Retention:            authcore.Retention{Events: s.Retention.Events, Sessions: s.Retention.Sessions},
	}
}

// Secrets derives what protects the identity core. The key is that of the
// settings, or the embedded database's own.
func (s Settings) Secrets(key Secret) (secret.Keys, error) {
	older := make([]string, len(s.OlderKeys))
	for i, k := range s.OlderKeys {
		older[i] = k.Reveal()
	}
	secrets, err := secret.New(key.Reveal(), s.legacySecret.Reveal(), older...)
	if err != nil {
		return secret.Keys{}, fmt.Errorf("encryption_key: %w", err)
	}
	return secrets, nil
}

// Ledger is the configuration of the ledger.
func (s Settings) Ledger() creditcore.Config {
	return creditcore.Config{KeepHolds: s.Retention.Holds, Prices: s.Prices, LowBalance: s.LowBalance, ExpiryNotice: s.ExpiryNotice, Daily: s.Daily}
}

// settingsKey names a runtime in the pool without holding what it was made of.
type settingsKey [sha256.Size]byte

// Key is equal for settings that may share a runtime, and for those only.
func (s Settings) Key() settingsKey {
	h := sha256.New()
	hashFields(h,
		s.BaseURL.String(), s.Audience, s.CookieDomain,
		s.AccessTokenTTL.String(), s.RefreshTokenTTL.String(),
		s.Database.Dir, s.Database.URL.Reveal(), s.Database.Direct.Reveal(), s.Database.QueryMode.String(),
		s.Redis.Reveal(), s.Replica.Reveal(), s.EncryptionKey.Reveal(), s.legacySecret.Reveal(),
		strconv.FormatBool(s.RedeemUnverified), s.Retention.Events.String(), s.Retention.Sessions.String(), s.Retention.Holds.String(), s.Retention.Outbox.String(),
		strconv.Itoa(len(s.trustedOrigins)))
	hashFields(h, s.trustedOrigins...)
	hashFields(h, strconv.Itoa(len(s.OlderKeys)))
	for _, k := range s.OlderKeys {
		hashFields(h, k.Reveal())
	}
	s.Stripe.hash(h)
	hashFields(h, strconv.FormatBool(s.VerificationRequired), strconv.FormatBool(s.SecondFactorRequired), string(s.Registration))
	hashFields(h, hashableClients(s.OpenIDClients), s.OpenIDRegistration)
	hashProviders(h, s.Providers)
	hashFields(h, s.SMTP.hashable()...)
	hashFields(h, s.Storage.hashable()...)
	hashFields(h, s.Events.hashable()...)
	hashFields(h, hashableBrand(s.Brand)...)
	hashFields(h, s.blocklist, s.BreachedPasswords, strconv.Itoa(len(s.Backends)))
	for _, b := range s.Backends {
		hashFields(h, b.ID, b.URL, b.Key)
	}
	hashFields(h, strconv.Itoa(len(s.WebhookNetworks)))
	hashFields(h, hashableNetworks(s.WebhookNetworks)...)
	hashFields(h, strconv.Itoa(len(s.AcceptedIssuers)))
	for _, i := range s.AcceptedIssuers {
		hashFields(h, i.Issuer, i.JWKS)
	}
	hashFields(h, strconv.Itoa(len(s.Prices.All())))
	for _, p := range s.Prices.All() {
		hashFields(h, p.String())
	}
	hashFields(h, s.LowBalance.String(), s.ExpiryNotice.String(), s.Daily.String())
	hashFields(h, "abuse", strconv.Itoa(s.AbuseHold))
	if t := s.Trial; t != nil {
		hashFields(h, "trial", t.Credits.String(), t.Life.String(), strconv.Itoa(t.DomainLimit))
	}
	return settingsKey(h.Sum(nil))
}

// hashFields writes each field behind its length, so that no two lists of
// fields run together into the same bytes.
func hashFields(h hash.Hash, fields ...string) {
	var n [8]byte
	for _, f := range fields {
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
}
