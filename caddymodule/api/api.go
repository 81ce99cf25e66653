package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"mana.how/edge/caddymodule/api/accountpage"
	"mana.how/edge/caddymodule/api/admin"
	apikeyapi "mana.how/edge/caddymodule/api/apikey"
	"mana.how/edge/caddymodule/api/auth"
	billingapi "mana.how/edge/caddymodule/api/billing"
	"mana.how/edge/caddymodule/api/credit"
	"mana.how/edge/caddymodule/api/desk"
	"mana.how/edge/caddymodule/api/docs"
	"mana.how/edge/caddymodule/api/endpoint"
	giftapi "mana.how/edge/caddymodule/api/gift"
	"mana.how/edge/caddymodule/api/health"
	"mana.how/edge/caddymodule/api/kept"
	matrixapi "mana.how/edge/caddymodule/api/matrix"
	"mana.how/edge/caddymodule/api/me"
	"mana.how/edge/caddymodule/api/oidc"
	organizationapi "mana.how/edge/caddymodule/api/organization"
	"mana.how/edge/caddymodule/api/page"
	passkeyapi "mana.how/edge/caddymodule/api/passkey"
	providerapi "mana.how/edge/caddymodule/api/provider"
	"mana.how/edge/caddymodule/api/settings"
	"mana.how/edge/caddymodule/api/storage"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/creditcore/proof"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/webhook"
)

// Config is what the API knows of its place in the world.
type Config struct {
	endpoint.Config
	// Version of the program, for the OpenAPI document.
	Version string
	// RegistrationClosed refuses everybody an account, and InvitationRequired
	// whoever has no invitation.
	RegistrationClosed, InvitationRequired bool
	// Admins are users who are admins without having the role.
	Admins []string
	// Limits replace those of routes, by the name of a group or by operation id. A
	// zero one takes the limit away.
	Limits map[string]endpoint.Limit
}

// Credits are the cores of what can be paid with, and for.
type Credits struct {
	Ledger  *creditcore.Service
	Proof   *proof.Service
	Gifts   *gift.Service
	Coupons *coupon.Service
	Abuse   *abuse.Service
	Billing *billing.Service
	// Apps are the back ends that keep data of users; nil for none.
	Apps kept.Apps
	// Pictures is where those of users lie.
	Pictures storage.Store
	// Outbox is what waits to be sent; nil for none.
	Outbox *outbox.Box
	// Webhooks are the endpoints that are told what happens; nil for none.
	Webhooks *webhook.Service
	// Grant gives credits as an operator does.
	Grant desk.GrantFunc
	// Forgive writes off debts as an operator does.
	Forgive desk.ForgiveFunc
	// Publish and Withdraw change the price book as an operator does.
	Publish  desk.PublishFunc
	Withdraw desk.WithdrawFunc
}

// Deps is what the API works with. Credits is required too.
type Deps struct {
	endpoint.Deps
	// Credits finds the live cores of the ledger, as Auth does that of identity.
	Credits func(context.Context) (*Credits, error)
	// Pace is how fast this process was lately, for the desk; nil where nobody measures.
	Pace func() desk.Pace
	// ReadPrices reads a table of prices as the block of a Caddyfile has it, and PricesNamed
	// are the names of those that routes cost, for the desk.
	ReadPrices  func(string) (creditcore.Prices, error)
	PricesNamed func() []string
	// Database and Redis are asked by the readiness probe. A nil Redis is
	// reported as not configured.
	Database, Redis func(context.Context) error
}

// New builds the handler of all routes. It answers every path; one that is not
// in the table is a 404, a method that its path lacks a 405.
func New(cfg Config, deps Deps) (http.Handler, error) {
	if cfg.BaseURL == nil || deps.Credits == nil {
		return nil, errors.New("api: BaseURL and Credits are required")
	}
	var documentation docs.Docs
	routes := table(cfg, deps, &documentation)
	if err := setLimits(routes, cfg.Limits); err != nil {
		return nil, err
	}
	if err := documentation.Describe(routes, cfg.BaseURL, cfg.Version); err != nil {
		return nil, err
	}
	return endpoint.New(cfg.Config, deps.Deps, routes)
}

// table is everything this service answers to.
func table(cfg Config, deps Deps, documentation *docs.Docs) []endpoint.Route {
	data := kept.Deps{
		Ledger:  live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger }),
		Proof:   live(deps.Credits, func(c *Credits) *proof.Service { return c.Proof }),
		Coupons: live(deps.Credits, func(c *Credits) *coupon.Service { return c.Coupons }),
		TopUps:  live(deps.Credits, func(c *Credits) kept.TopUps { return c.Billing }),
		Abuse:   live(deps.Credits, func(c *Credits) *abuse.Service { return c.Abuse }),
		Apps: live(deps.Credits, func(c *Credits) kept.Apps {
			if c.Apps == nil {
				return kept.None()
			}
			return c.Apps
		}),
	}
	pictures := storage.New(live(deps.Credits, func(c *Credits) storage.Store { return c.Pictures }))
	table := slices.Concat(
		auth.Routes(auth.Config{RegistrationClosed: cfg.RegistrationClosed, InvitationRequired: cfg.InvitationRequired}),
		passkeyapi.Routes(),
		providerapi.Routes(),
		organizationapi.Routes(organizationapi.Config{
			RegistrationClosed: cfg.RegistrationClosed,
			Ledger:             live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger }),
			Sells:              live(deps.Credits, func(c *Credits) bool { return c.Billing.Sells() }),
		}),
		apikeyapi.Routes(live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger })),
		matrixapi.Routes(),
		settings.Routes(),
		oidc.Routes(),
		me.Routes(data),
		admin.Routes(admin.Deps{UserIDs: cfg.Admins, Data: data}),
		desk.Routes(desk.Deps{
			UserIDs: cfg.Admins, Data: data, Export: me.OwnData{Deps: data}.ExportOf,
			Ledger:   live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger }),
			Gifts:    live(deps.Credits, func(c *Credits) *gift.Service { return c.Gifts }),
			Coupons:  live(deps.Credits, func(c *Credits) *coupon.Service { return c.Coupons }),
			Abuse:    live(deps.Credits, func(c *Credits) *abuse.Service { return c.Abuse }),
			Billing:  live(deps.Credits, func(c *Credits) *billing.Service { return c.Billing }),
			Outbox:   live(deps.Credits, func(c *Credits) *outbox.Box { return c.Outbox }),
			Webhooks: live(deps.Credits, func(c *Credits) *webhook.Service { return c.Webhooks }),
			Grant:    live(deps.Credits, func(c *Credits) desk.GrantFunc { return c.Grant }),
			Forgive:  live(deps.Credits, func(c *Credits) desk.ForgiveFunc { return c.Forgive }),
			Publish:  live(deps.Credits, func(c *Credits) desk.PublishFunc { return c.Publish }),
			Withdraw: live(deps.Credits, func(c *Credits) desk.WithdrawFunc { return c.Withdraw }),
			Pace:     deps.Pace, ReadPrices: deps.ReadPrices, PricesNamed: deps.PricesNamed,
		}),
		pictures.Routes(),
		page.Routes(page.Config{RegistrationClosed: cfg.RegistrationClosed, InvitationRequired: cfg.InvitationRequired}),
		accountpage.Routes(accountpage.Deps{
			OwnData: me.OwnData{Deps: data}, Pictures: pictures, PictureMappings: storage.Mappings(), PictureRefusals: storage.Refusals(),
		}),
		documentation.Routes(),
		health.Routes(health.Deps{Database: deps.Database, Redis: deps.Redis}),
		credit.Routes(credit.Deps{
			Ledger:  live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger }),
			Sells:   live(deps.Credits, func(c *Credits) bool { return c.Billing.Sells() }),
			Billing: live(deps.Credits, func(c *Credits) *billing.Service { return c.Billing }),
			Proof:   live(deps.Credits, func(c *Credits) *proof.Service { return c.Proof }),
		}),
		giftapi.Routes(giftapi.Deps{
			Gifts:              live(deps.Credits, func(c *Credits) *gift.Service { return c.Gifts }),
			Coupons:            live(deps.Credits, func(c *Credits) *coupon.Service { return c.Coupons }),
			Abuse:              live(deps.Credits, func(c *Credits) *abuse.Service { return c.Abuse }),
			RegistrationClosed: cfg.RegistrationClosed || cfg.InvitationRequired,
			Ledger:             live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger }),
		}),
		billingapi.Routes(
			live(deps.Credits, func(c *Credits) *billing.Service { return c.Billing }),
			live(deps.Credits, func(c *Credits) *creditcore.Service { return c.Ledger }),
		),
	)
	for i := range table {
		// What anybody may ask the database has a limit, unless it brings a
		// signature. Bearers of tokens and keys may well be whole back ends.
		if rt := &table[i]; rt.Access == endpoint.Anyone && rt.Body != endpoint.Raw && rt.Limit.Count == 0 {
			rt.Limit = endpoint.BackEndLimit
		}
	}
	return table
}

// live finds one of the live cores.
func live[Core any](find func(context.Context) (*Credits, error), of func(*Credits) Core) func(context.Context) (Core, error) {
	return func(ctx context.Context) (core Core, err error) {
		credits, err := find(ctx)
		if err != nil {
			return core, err
		}
		return of(credits), nil
	}
}
