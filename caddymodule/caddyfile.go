package caddymodule

import (
	"errors"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mana", parseGlobalOption)
}

// parseGlobalOption reads the global option into the app's JSON. It looks at
// syntax only; what the words mean is judged when the app is provisioned.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's own name
	if existing != nil {
		return nil, d.Err("mana is already configured; there is one block for all sites")
	}
	app := new(App)
	app.Faults = faultsOf(app.Config.unmarshalCaddyfile(d))
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the block of the global option. Syntax:
//
//	mana {
//		database embedded [<dir>]
//		database <url> {
//			direct     <url>
//			query_mode cache_statement|cache_describe|exec|simple_protocol
//		}
//		redis              <url>
//		base_url           <url>
//		audience           <name>
//		cookie_domain      <domain>
//		trusted_origins    <origin...>
//		encryption_key     <secret> [<older>...]
//		service_key        <secret>
//		access_token_ttl   <duration>
//		refresh_token_ttl  <duration>
//		email_verification required|optional
//		registration       open|closed
//		gifts { redeem_unverified }
//		retention { events … sessions … holds … outbox … }
//		smtp    { host … port … username … password … from … }
//		stripe {
//			secret_key     <key>
//			webhook_secret <secret> [<second secret>]
//			api_url        <url>
//			return_url     <origin or scheme://...>
//			grace          <duration>
//			plan <name> { product … monthly … yearly … }
//			package <name> <credits> <cents>
//		}
//		storage { endpoint … region … bucket … access_key … secret_key … public_url … }
//	}
//
// All faults are reported together, each with its file and line.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return a.Config.unmarshalCaddyfile(d)
}

func (c *Config) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	p := &blockParser{Dispenser: d, block: "mana"}
	p.noArguments()
	p.directives(map[string]func(){
		"database":           func() { c.Database = p.database() },
		"redis":              func() { p.one(&c.Redis) },
		"base_url":           func() { p.one(&c.BaseURL) },
		"audience":           func() { p.one(&c.Audience) },
		"cookie_domain":      func() { p.one(&c.CookieDomain) },
		"trusted_origins":    func() { p.some(&c.TrustedOrigins) },
		"encryption_key":     func() { c.EncryptionKey, c.OldEncryptionKeys = p.keys() },
		"service_key":        func() { p.one(&c.ServiceKey) },
		"access_token_ttl":   func() { p.one(&c.AccessTokenTTL) },
		"refresh_token_ttl":  func() { p.one(&c.RefreshTokenTTL) },
		"email_verification": func() { p.one(&c.EmailVerification) },
		"registration":       func() { p.one(&c.Registration) },
		"gifts":              func() { c.Gifts = p.gifts() },
		"retention":          func() { c.Retention = p.retention() },
		"smtp":               func() { c.SMTP = p.smtp() },
		"stripe":             func() { c.Stripe = p.stripe() },
		"storage":            func() { c.Storage = p.storage() },
	})
	return errors.Join(p.faults...)
}

// keys reads an encryption key and those that were used before it.
func (p *blockParser) keys() (current string, older []string) {
	all := p.RemainingArgs()
	if len(all) == 0 {
		p.faultf("encryption_key: takes one argument, and older keys behind it, here are 0")
	} else if slices.ContainsFunc(all, blank) {
		p.faultf("encryption_key: is empty")
	} else if current = all[0]; len(all) > 1 {
		older = all[1:]
	}
	p.noBlock("encryption_key")
	return current, older
}

func (p *blockParser) database() *DatabaseConfig {
	c := new(DatabaseConfig)
	args := p.RemainingArgs()
	switch {
	case len(args) == 0 || slices.ContainsFunc(args, blank):
		p.faultf("database: say embedded or a postgres:// URL")
	case args[0] == "embedded" && len(args) <= 2:
		c.Embedded = new(EmbeddedConfig)
		if len(args) == 2 {
			c.Embedded.Dir = args[1]
		}
	case args[0] != "embedded" && len(args) == 1:
		c.URL = args[0]
	default:
		p.faultf("database: too many arguments")
	}
	p.nested("database", map[string]func(){
		"direct":     func() { p.one(&c.Direct) },
		"query_mode": func() { p.one(&c.QueryMode) },
	})
	return c
}

func (p *blockParser) gifts() *GiftsConfig {
	c := new(GiftsConfig)
	p.noArguments()
	p.nested("gifts", map[string]func(){
		"redeem_unverified": func() {
			p.none()
			c.RedeemUnverified = true
		},
	})
	return c
}

func (p *blockParser) retention() *RetentionConfig {
	c := new(RetentionConfig)
	p.noArguments()
	p.nested("retention", map[string]func(){
		"events":   func() { p.one(&c.Events) },
		"sessions": func() { p.one(&c.Sessions) },
		"holds":    func() { p.one(&c.Holds) },
		"outbox":   func() { p.one(&c.Outbox) },
	})
	return c
}

func (p *blockParser) smtp() *SMTPConfig {
	c := new(SMTPConfig)
	p.noArguments()
	p.nested("smtp", map[string]func(){
		"host":     func() { p.one(&c.Host) },
		"port":     func() { p.one(&c.Port) },
		"username": func() { p.one(&c.Username) },
		"password": func() { p.one(&c.Password) },
		"from":     func() { p.one(&c.From) },
	})
	return c
}

func (p *blockParser) stripe() *StripeConfig {
	c := new(StripeConfig)
	p.noArguments()
	p.nested("stripe", map[string]func(){
		"secret_key":     func() { p.one(&c.SecretKey) },
		"webhook_secret": func() { p.some(&c.WebhookSecret) },
		"api_url":        func() { p.one(&c.APIURL) },
		"return_url":     func() { p.some(&c.ReturnURL) },
		"grace":          func() { p.one(&c.Grace) },
		"plan":           func() { c.Plans = append(c.Plans, p.plan()) },
		"package":        func() { c.Packages = append(c.Packages, p.creditPackage()) },
	}, "plan", "package")
	return c
}

func (p *blockParser) plan() (c PlanConfig) {
	p.arguments(&c.Name)
	p.nested("plan", map[string]func(){
		"product": func() { p.one(&c.Product) },
		"monthly": func() { p.one(&c.Monthly) },
		"yearly":  func() { p.one(&c.Yearly) },
	})
	return c
}

func (p *blockParser) creditPackage() (c PackageConfig) {
	p.arguments(&c.Name, &c.Credits, &c.Cents)
	p.noBlock("package")
	return c
}

func (p *blockParser) storage() *StorageConfig {
	c := new(StorageConfig)
	p.noArguments()
	p.nested("storage", map[string]func(){
		"endpoint":   func() { p.one(&c.Endpoint) },
		"region":     func() { p.one(&c.Region) },
		"bucket":     func() { p.one(&c.Bucket) },
		"access_key": func() { p.one(&c.AccessKey) },
		"secret_key": func() { p.one(&c.SecretKey) },
		"public_url": func() { p.one(&c.PublicURL) },
	})
	return c
}

var _ caddyfile.Unmarshaler = (*App)(nil)
