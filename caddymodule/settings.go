package caddymodule

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"log/slog"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mana.how/edge/authcore"
	mail "mana.how/edge/authcore/address"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/gift"
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
	Origins authcore.Origins
	// ServiceKey opens internal routes. Where it is not set they stay closed.
	ServiceKey Secret

	// AccessTokenTTL and RefreshTokenTTL are zero where authcore's defaults hold.
	AccessTokenTTL, RefreshTokenTTL time.Duration
	// RegistrationClosed leaves it to the admin to make accounts.
	RegistrationClosed bool
	// RedeemUnverified gives what is meant for an address to whoever registers it.
	RedeemUnverified bool
	// Retention is how long what has ended is kept.
	Retention Retention

	trustedOrigins []string
	database       database
	redis          Secret // URL; not set without Redis
	encryptionKey  Secret // not set: the embedded database's own
	olderKeys      []Secret
	legacySecret   Secret // BETTER_AUTH_SECRET
	stripe         stripe
}

// database is where the state lives: dir for the embedded one, else url.
type database struct {
	dir       string
	url       Secret
	direct    Secret // not set: url leads to PostgreSQL itself
	queryMode pgx.QueryExecMode
}

func (d database) embedded() bool { return d.dir != "" }

// sameDatabase reports whether both keep their state in one place, sealed with
// the same keys: a runtime of the one may serve for the other.
func (s Settings) sameDatabase(other Settings) bool {
	return s.database.dir == other.database.dir && s.database.url.Reveal() == other.database.url.Reveal() &&
		s.database.direct.Reveal() == other.database.direct.Reveal() &&
		s.encryptionKey.Reveal() == other.encryptionKey.Reveal() && s.legacySecret.Reveal() == other.legacySecret.Reveal()
}

// auth is the configuration of the identity core but for its secrets.
func (s Settings) auth() authcore.Config {
	return authcore.Config{
		BaseURL:         s.BaseURL.String(),
		Audience:        s.Audience,
		CookieDomain:    s.CookieDomain,
		TrustedOrigins:  s.trustedOrigins,
		AccessTokenTTL:  s.AccessTokenTTL,
		RefreshTokenTTL: s.RefreshTokenTTL,
		Retention:       authcore.Retention{Events: s.Retention.Events, Sessions: s.Retention.Sessions},
	}
}

// secrets derives what protects the identity core. The key is that of the
// settings, or the embedded database's own.
func (s Settings) secrets(key Secret) (authcore.Secrets, error) {
	older := make([]string, len(s.olderKeys))
	for i, k := range s.olderKeys {
		older[i] = k.Reveal()
	}
	secrets, err := authcore.NewSecrets(key.Reveal(), s.legacySecret.Reveal(), older...)
	if err != nil {
		return authcore.Secrets{}, fmt.Errorf("encryption_key: %w", err)
	}
	return secrets, nil
}

// ledger is the configuration of the ledger.
func (s Settings) ledger() creditcore.Config { return creditcore.Config{KeepHolds: s.Retention.Holds} }

// credits makes the cores of the ledger.
func (s Settings) credits(pool *pgxpool.Pool, log *slog.Logger) (*creditcore.Service, *gift.Service, *billing.Service) {
	ledger := creditcore.New(s.ledger(), creditcore.Deps{
		Pool: pool, Logger: log, Observer: collectors.ledgerObserver(),
	})
	gifts := gift.New(gift.Config{
		BaseURL: s.BaseURL.String(), Address: mail.Canonical, RedeemUnverified: s.RedeemUnverified,
	}, gift.Deps{
		Pool: pool, Ledger: ledger, Logger: log, Observer: collectors.giftObserver(),
	})
	sales := billing.New(s.stripe.config(s.BaseURL), billing.Deps{
		Pool: pool, Ledger: ledger, Logger: log, Observer: collectors.billingObserver(),
	})
	return ledger, gifts, sales
}

// settingsKey names a runtime in the pool without holding what it was made of.
type settingsKey [sha256.Size]byte

// key is equal for settings that may share a runtime, and for those only.
func (s Settings) key() settingsKey {
	h := sha256.New()
	hashFields(h,
		s.BaseURL.String(), s.Audience, s.CookieDomain,
		s.AccessTokenTTL.String(), s.RefreshTokenTTL.String(),
		s.database.dir, s.database.url.Reveal(), s.database.direct.Reveal(), s.database.queryMode.String(),
		s.redis.Reveal(), s.encryptionKey.Reveal(), s.legacySecret.Reveal(),
		strconv.FormatBool(s.RedeemUnverified), s.Retention.Events.String(), s.Retention.Sessions.String(), s.Retention.Holds.String(), s.Retention.Outbox.String(),
		strconv.Itoa(len(s.trustedOrigins)))
	hashFields(h, s.trustedOrigins...)
	hashFields(h, strconv.Itoa(len(s.olderKeys)))
	for _, k := range s.olderKeys {
		hashFields(h, k.Reveal())
	}
	s.stripe.hash(h)
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
