package config

import (
	"time"

	"mana.how/edge/creditcore/billing"
)

// Facts are the resolved settings that tests compare, secrets revealed.
type Facts struct {
	BaseURL, Audience, CookieDomain         string
	ServiceKey, EncryptionKey, LegacySecret string
	Origins                                 []string
	DatabaseDir, DatabaseURL, Direct, Mode  string
	Redis                                   string
	AccessTokenTTL, RefreshTokenTTL         time.Duration
}

// Facts reveals the settings.
func (s Settings) Facts() Facts {
	return Facts{
		BaseURL: s.BaseURL.String(), Audience: s.Audience, CookieDomain: s.CookieDomain,
		ServiceKey: s.ServiceKey.Reveal(), EncryptionKey: s.EncryptionKey.Reveal(), LegacySecret: s.legacySecret.Reveal(),
		Origins: s.trustedOrigins, DatabaseDir: s.Database.Dir, DatabaseURL: s.Database.URL.Reveal(),
		Direct: s.Database.Direct.Reveal(), Mode: s.Database.QueryMode.String(), Redis: s.Redis.Reveal(),
		AccessTokenTTL: s.AccessTokenTTL, RefreshTokenTTL: s.RefreshTokenTTL,
	}
}

// Billing is the resolved configuration of the sale of credits.
func (s Settings) Billing() billing.Config { return s.Stripe.Config(s.BaseURL) }

// SameRuntime reports whether two settings would share a runtime.
func SameRuntime(a, b Settings) bool { return a.Key() == b.Key() }

// ResolveWith resolves with the given environment alone.
func (c Config) ResolveWith(env map[string]string) (Settings, error) {
	return c.Resolve(func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
}
