package services

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"mana.how/edge/authcore"
	mail "mana.how/edge/authcore/address"
	"mana.how/edge/caddymodule/api/storage"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/guest"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/creditcore/sealed"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/webhook"
)

// Cores are the identity and the ledger on one database, wired to each other.
type Cores struct {
	// Auth is the identity core.
	Auth *authcore.Service
	// Credits is the ledger.
	Credits *creditcore.Service
	// Gifts are the gift codes.
	Gifts *gift.Service
	// Coupons are the coupons, and the trials of new accounts.
	Coupons *coupon.Service
	// Guests are the free credits of guests.
	Guests *guest.Service
	// Abuse scores accounts by their use of credits, and holds their gifting.
	Abuse *abuse.Service
	// Proof shows that the ledger was not changed.
	Proof *proof.Service
	// Mail is nil where the cores are keyless: its messages are sealed.
	Mail *Mailing
	// Webhooks is nil where the cores are keyless: its secrets are sealed.
	Webhooks *webhook.Service
	// Apps are the back ends that keep data of users.
	Apps AppData
	// Pictures is where those of users lie.
	Pictures storage.Store
	// Billing sells credits. It is there without Stripe, too.
	Billing *billing.Service
}

// CoresDeps is what the cores work with.
type CoresDeps struct {
	Pool *pgxpool.Pool
	// Replica is nil where none is configured.
	Replica *dbscope.Replica
	// ListenDSN leads to PostgreSQL itself.
	ListenDSN string
	// Redis is nil where none is configured.
	Redis  redis.UniversalClient
	Logger *slog.Logger
	// Key is the encryption key; without one Keyless is set.
	Key config.Secret
	// Keyless cores sign nothing and need no encryption key.
	Keyless bool
	// Pictures is where those of users lie.
	Pictures storage.Store
	// Later runs work that an account has left to be done; its context ends with
	// the process.
	Later func(work func(ctx context.Context))
}

// NewCores makes the cores. Their background work does not run yet. Whoever
// called it closes Auth.
func NewCores(ctx context.Context, s config.Settings, d CoresDeps) (Cores, error) {
	config := s.Auth()
	if config.Keyless = d.Keyless; !d.Keyless {
		secrets, err := s.Secrets(d.Key)
		if err != nil {
			return Cores{}, err
		}
		config.Secrets = secrets
	}
	var c Cores
	c.Credits = creditcore.New(s.Ledger(), creditcore.Deps{
		Pool: d.Pool, Replica: d.Replica, Logger: d.Logger, Observer: metrics.Process.LedgerObserver(),
	})
	c.Abuse = abuse.New(abuse.Config{Threshold: s.AbuseHold}, abuse.Deps{
		Pool: d.Pool, RecordTx: recordHoldTx, Logger: d.Logger, Observer: metrics.Process.AbuseObserver(),
	})
	c.Gifts = gift.New(gift.Config{
		BaseURL: s.BaseURL.String(), Address: mail.Canonical, RedeemUnverified: s.RedeemUnverified,
	}, gift.Deps{
		Pool: d.Pool, Ledger: c.Credits, HeldTx: heldTx(c.Abuse), Logger: d.Logger, Observer: metrics.Process.GiftObserver(),
	})
	var sealer sealed.Sealer // nil where the cores are keyless
	if !d.Keyless {
		sealer = config.Secrets
	}
	c.Coupons = coupon.New(coupon.Config{Trial: s.Trial, Mailbox: mailboxOf}, coupon.Deps{
		Pool: d.Pool, Ledger: c.Credits, Sealer: sealer, TrialTx: recordTrialTx, Logger: d.Logger, Observer: metrics.Process.CouponObserver(),
	})
	c.Guests = guest.New(guest.Config{}, guest.Deps{
		Pool: d.Pool, Ledger: c.Credits, Coupons: c.Coupons, Sealer: sealer, GrantedTx: recordGuestTx, Logger: d.Logger,
		Observer: metrics.Process.GuestObserver(),
	})
	c.Billing = billing.New(s.Stripe.Config(s.BaseURL), billing.Deps{
		Pool: d.Pool, Ledger: c.Credits, Logger: d.Logger, Observer: metrics.Process.BillingObserver(),
	})
	c.Apps.client.Backends, c.Apps.pictures, c.Pictures = s.Backends, d.Pictures.Objects, d.Pictures
	accounts := accountHooks{
		ledger: c.Credits, gifts: c.Gifts, coupons: c.Coupons, guests: c.Guests, abuse: c.Abuse, sales: c.Billing, log: d.Logger,
		redeemUnverified: s.RedeemUnverified, later: d.Later,
	}
	deps := authcore.Deps{
		Pool: d.Pool, ListenDSN: d.ListenDSN, Redis: d.Redis,
		Logger: d.Logger, Observer: metrics.Process.AuthObserver(), Hooks: accounts.hooks(),
		Follow: map[string]func(context.Context) error{creditcore.PriceChannel: c.Credits.LoadPrices},
	}
	var err error
	if !d.Keyless {
		logouts := new(logoutQueue)
		c.Webhooks = newWebhooks(s, d.Pool, config.Secrets, d.Logger)
		if c.Mail, err = newMailing(s, d.Pool, config.Secrets, c.Apps.deliver, logouts.deliver, c.Webhooks.Family(), d.Logger); err != nil {
			return Cores{}, err
		}
		c.Webhooks.Use(c.Mail.Outbox())
		logouts.box = c.Mail.Outbox()
		deps.Mailer, deps.Logouts = c.Mail, logouts
		defer func() { logouts.auth = c.Auth }() // before anything is delivered
		c.Apps.box = c.Mail.Outbox()
		accounts.apps = c.Apps
		deps.Hooks = accounts.hooks()
	}
	if err = c.Credits.LoadPrices(ctx); err != nil {
		return Cores{}, fmt.Errorf("read the price book: %w", err)
	}
	c.Auth, err = authcore.New(ctx, config, deps)
	if err != nil {
		return Cores{}, fmt.Errorf("start the identity core: %w", err)
	}
	c.Proof = proof.New(proof.Deps{Pool: d.Pool, Notary: c.Auth, Logger: d.Logger})
	return c, nil
}
