package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/caddymodule/syntax"
)

// block parses the global option.
type block struct{ *syntax.BlockParser }

// UnmarshalCaddyfile reads the block of the global option, whose syntax stands
// at the app. All errors are joined, each with its file and line.
func (c *Config) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	p := block{&syntax.BlockParser{Dispenser: d, Block: "mana"}}
	p.NoArguments()
	p.Directives(map[string]func(){
		"database":           func() { c.Database = p.database() },
		"replica":            func() { p.One(&c.Replica) },
		"redis":              func() { p.One(&c.Redis) },
		"base_url":           func() { p.One(&c.BaseURL) },
		"audience":           func() { p.One(&c.Audience) },
		"cookie_domain":      func() { p.One(&c.CookieDomain) },
		"trusted_origins":    func() { p.Some(&c.TrustedOrigins) },
		"encryption_key":     func() { c.EncryptionKey, c.OldEncryptionKeys = p.keys() },
		"service_key":        func() { p.serviceKey(c) },
		"oidc_client":        func() { c.OIDCClients = append(c.OIDCClients, p.oidcClient()) },
		"oidc_registration":  func() { p.One(&c.OIDCRegistration) },
		"access_token_ttl":   func() { p.One(&c.AccessTokenTTL) },
		"refresh_token_ttl":  func() { p.One(&c.RefreshTokenTTL) },
		"email_verification": func() { p.One(&c.EmailVerification) },
		"registration":       func() { p.One(&c.Registration) },
		"second_factor":      func() { p.One(&c.SecondFactor) },
		"proof_of_work":      func() { p.One(&c.ProofOfWork) },
		"password_blocklist": func() { p.One(&c.PasswordBlocklist) },
		"breached_passwords": func() { p.One(&c.BreachedPasswords) },
		"admins":             func() { p.Some(&c.Admins) },
		"accept_issuer":      func() { c.AcceptedIssuers = append(c.AcceptedIssuers, p.acceptIssuer()) },
		"backend":            func() { c.Backends = append(c.Backends, p.backend()) },
		"webhooks":           func() { c.Webhooks = p.webhooks() },
		"provider":           func() { c.Providers = append(c.Providers, p.provider()) },
		"brand":              func() { c.Brand = p.brand() },
		"gifts":              func() { c.Gifts = p.gifts() },
		"prices":             func() { c.Prices = p.prices() },
		"credits":            func() { c.Credits = p.credits() },
		"retention":          func() { c.Retention = p.retention() },
		"limits":             func() { c.Limits = p.limits() },
		"smtp":               func() { c.SMTP = p.smtp() },
		"stripe":             func() { c.Stripe = p.stripe() },
		"storage":            func() { c.Storage = p.storage() },
		"events":             func() { c.Events = p.events() },
	}, "accept_issuer", "backend", "provider", "service_key", "oidc_client")
	return errors.Join(p.Faults...)
}

// serviceKey reads the key that may do everything, or the name, the key and the
// scopes of one that may do less.
func (p block) serviceKey(c *Config) {
	switch args := p.RemainingArgs(); {
	case len(args) == 0, slices.ContainsFunc(args, syntax.Blank):
		p.Faultf("service_key: takes a key, or a name, a key and scopes, here are %d arguments and none may be empty", len(args))
	case len(args) == 1 && c.ServiceKey != "":
		p.Faultf("service_key: the one without a name is already set; give this one a name and scopes")
	case len(args) == 1:
		c.ServiceKey = args[0]
	default:
		c.ServiceKeys = append(c.ServiceKeys, ServiceKeyConfig{Name: args[0], Key: args[1], Scopes: args[2:]})
	}
	p.NoBlock("service_key")
}

// oidcClient reads a client of the OpenID provider.
func (p block) oidcClient() (c OIDCClientConfig) {
	p.Arguments(&c.ID)
	p.Nested("oidc_client", map[string]func(){
		"name":                         func() { p.One(&c.Name) },
		"secret":                       func() { p.One(&c.Secret) },
		"public":                       func() { p.None(); c.Public = true },
		"trusted":                      func() { p.None(); c.Trusted = true },
		"redirect_uri":                 func() { p.More(&c.RedirectURIs) },
		"post_logout_redirect_uri":     func() { p.More(&c.PostLogoutRedirectURIs) },
		"backchannel_logout_uri":       func() { p.One(&c.BackchannelLogoutURI) },
		"scopes":                       func() { p.Some(&c.Scopes) },
		"grant_types":                  func() { p.Some(&c.GrantTypes) },
		"id_token_signed_response_alg": func() { p.One(&c.IDTokenSignedResponseAlg) },
		"access_token":                 func() { p.One(&c.AccessToken) },
		"audience":                     func() { p.One(&c.Audience) },
		"logo_uri":                     func() { p.One(&c.LogoURI) },
	}, "redirect_uri", "post_logout_redirect_uri")
	return c
}

// acceptIssuer reads the issuer and the address of its key set.
func (p block) acceptIssuer() (c AcceptedIssuerConfig) {
	p.Arguments(&c.Issuer, &c.JWKSURL)
	p.NoBlock("accept_issuer")
	return c
}

// events reads where security events are handed on to.
func (p block) events() *EventsConfig {
	c := new(EventsConfig)
	args := p.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == EventsStdout:
		c.To = EventsStdout
	case len(args) == 2 && args[0] == EventsFile:
		c.To, c.Path = EventsFile, args[1]
	case len(args) == 3 && args[0] == EventsWebhook:
		c.To, c.URL, c.Secret = EventsWebhook, args[1], args[2]
	default:
		p.Faultf("events: takes stdout, file <path> or webhook <url> <secret>")
	}
	p.NoBlock("events")
	return c
}

// backend reads the id, the address and perhaps the key of a back end.
func (p block) backend() (c BackendConfig) {
	switch args := p.RemainingArgs(); {
	case len(args) != 2 && len(args) != 3, slices.ContainsFunc(args, syntax.Blank):
		p.Faultf("backend: takes an id, a URL and perhaps a key, here are %d", len(args))
	default:
		if c.ID, c.URL = args[0], args[1]; len(args) == 3 {
			c.Key = args[2]
		}
	}
	p.NoBlock("backend")
	return c
}

// provider reads a provider that users may sign in with.
func (p block) provider() (c ProviderConfig) {
	switch args := p.RemainingArgs(); {
	case len(args) == 1 && args[0] != "oidc", len(args) == 2 && args[0] == "oidc":
		c.Kind = args[0]
		c.ID = strings.Join(args[1:], "")
	default:
		p.Faultf("provider: takes google, apple, github, or oidc and a name, here are %d arguments", len(args))
	}
	p.Nested("provider", map[string]func(){
		"name":          func() { p.One(&c.Name) },
		"issuer":        func() { p.One(&c.Issuer) },
		"endpoint":      func() { p.One(&c.Endpoint) },
		"client_id":     func() { p.One(&c.ClientID) },
		"client_secret": func() { p.One(&c.ClientSecret) },
		"audiences":     func() { p.Some(&c.Audiences) },
		"team_id":       func() { p.One(&c.TeamID) },
		"key_id":        func() { p.One(&c.KeyID) },
		"private_key":   func() { p.One(&c.PrivateKey) },
		"scopes":        func() { p.Some(&c.Scopes) },
		"role_claim":    func() { c.RoleClaim, c.Roles = p.roleClaim() },
		"only": func() {
			p.None()
			c.Only = true
		},
	})
	return c
}

// roleClaim reads the name of a claim, and which of its values give which role.
func (p block) roleClaim() (claim string, roles map[string]string) {
	args := p.RemainingArgs()
	if len(args) < 2 || slices.ContainsFunc(args, syntax.Blank) {
		p.Faultf("provider role_claim: takes a claim and one value=role or more, here are %d arguments", len(args))
		args = nil
	}
	for i, arg := range args {
		at := strings.LastIndex(arg, "=")
		switch {
		case i == 0:
			claim, roles = arg, make(map[string]string)
		case at <= 0:
			p.Faultf("provider role_claim: what follows the claim is value=role, as admins=admin")
		case roles[arg[:at]] != "":
			p.Faultf("provider role_claim: a value is there twice")
		default:
			roles[arg[:at]] = arg[at+1:]
		}
	}
	p.NoBlock("role_claim")
	return claim, roles
}

// keys reads an encryption key and those that were used before it.
func (p block) keys() (current string, older []string) {
	all := p.RemainingArgs()
	if len(all) == 0 {
		p.Faultf("encryption_key: takes one argument, and older keys behind it, here are 0")
	} else if slices.ContainsFunc(all, syntax.Blank) {
		p.Faultf("encryption_key: is empty")
	} else if current = all[0]; len(all) > 1 {
		older = all[1:]
	}
	p.NoBlock("encryption_key")
	return current, older
}

func (p block) database() *DatabaseConfig {
	c := new(DatabaseConfig)
	args := p.RemainingArgs()
	switch {
	case len(args) == 0 || slices.ContainsFunc(args, syntax.Blank):
		p.Faultf("database: say embedded or a postgres:// URL")
	case args[0] == "embedded" && len(args) <= 2:
		c.Embedded = new(EmbeddedConfig)
		if len(args) == 2 {
			c.Embedded.Dir = args[1]
		}
	case args[0] != "embedded" && len(args) == 1:
		c.URL = args[0]
	default:
		p.Faultf("database: too many arguments")
	}
	p.Nested("database", map[string]func(){
		"direct":     func() { p.One(&c.Direct) },
		"query_mode": func() { p.One(&c.QueryMode) },
	})
	return c
}

func (p block) brand() *BrandConfig {
	c := new(BrandConfig)
	p.NoArguments()
	p.Nested("brand", map[string]func(){
		"name":    func() { p.One(&c.Name) },
		"logo":    func() { p.One(&c.Logo) },
		"colour":  func() { p.One(&c.Colour) },
		"imprint": func() { p.One(&c.Imprint) },
		"privacy": func() { p.One(&c.Privacy) },
		"support": func() { p.One(&c.Support) },
	})
	return c
}

func (p block) gifts() *GiftsConfig {
	c := new(GiftsConfig)
	p.NoArguments()
	p.Nested("gifts", map[string]func(){
		"redeem_unverified": func() {
			p.None()
			c.RedeemUnverified = true
		},
	})
	return c
}

// credits reads when owners of accounts are told of them, and what these are given.
func (p block) credits() *CreditsConfig {
	c := new(CreditsConfig)
	p.NoArguments()
	p.Nested("credits", map[string]func(){
		"low_balance":   func() { p.One(&c.LowBalance) },
		"expiry_notice": func() { p.One(&c.ExpiryNotice) },
		"abuse_hold":    func() { p.One(&c.AbuseHold) },
		"trial":         func() { c.Trial = p.trial() },
		"daily":         func() { p.One(&c.Daily) },
	})
	return c
}

// trial reads credits and pairs of words:
//
//	trial <credits> [expires <duration>] [domain_limit <n>|off]
func (p block) trial() *TrialConfig {
	c := new(TrialConfig)
	args := p.RemainingArgs()
	if len(args)%2 == 0 || slices.ContainsFunc(args, syntax.Blank) {
		p.Faultf("credits trial: takes credits, and perhaps expires <duration> and domain_limit <n>, such as trial 100 expires 14d")
		return c
	}
	p.NoBlock("credits trial")
	c.Credits = args[0]
	for i := 1; i < len(args); i += 2 {
		target := map[string]*string{"expires": &c.Expires, "domain_limit": &c.DomainLimit}[args[i]]
		switch {
		case target == nil:
			p.Faultf("credits trial: %q is neither expires nor domain_limit", args[i])
		case *target != "":
			p.Faultf("credits trial: %s stands there twice", args[i])
		default:
			*target = args[i+1]
		}
	}
	return c
}

func (p block) webhooks() *WebhooksConfig {
	c := new(WebhooksConfig)
	p.NoArguments()
	p.Nested("webhooks", map[string]func(){
		"networks": func() { p.Some(&c.Networks) },
	})
	return c
}

// prices reads a line a price: its name, its credits, perhaps what they are for (per <n>
// <unit>, per <n> or per <unit>), and then what it is above a quantity and for plans.
func (p block) prices() (list []PriceConfig) {
	p.NoArguments()
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name := p.Val()
		args := p.RemainingArgs()
		c, ok := readPrice(name, args)
		if !ok || slices.ContainsFunc(args, syntax.Blank) {
			p.Faultf("prices %s: takes credits, and perhaps per <n> <unit>, above <quantity> <credits> and plan <name> <credits>, such as 0.002 per 1000 tokens plan pro 0.001", name)
		} else {
			list = append(list, c)
		}
		p.NoBlock("prices " + name)
	}
	return list
}

// readPrice reads what stands behind the name of a price. It reports false where a word has
// no place there.
func readPrice(name string, args []string) (c PriceConfig, ok bool) {
	c.Name = name
	next := func() (word string) {
		if len(args) > 0 {
			word, args = args[0], args[1:]
		}
		return word
	}
	if c.Credits = next(); len(args) > 0 && args[0] == "per" {
		next()
		if len(args) > 0 && strings.Trim(args[0], "0123456789") == "" || len(args) > 1 && !isPriceWord(args[1]) {
			c.Per = next()
		}
		if len(args) > 0 && !isPriceWord(args[0]) {
			c.Unit = next()
		}
		if c.Per == "" && c.Unit == "" {
			return c, false
		}
	}
	tiers := &c.Tiers
	for len(args) > 2 && isPriceWord(args[0]) {
		switch word, what, credits := next(), next(), next(); word {
		case priceAbove:
			*tiers = append(*tiers, PriceTierConfig{what, credits})
		case pricePlan:
			c.Plans = append(c.Plans, PlanPriceConfig{Plan: what, Credits: credits})
			tiers = &c.Plans[len(c.Plans)-1].Tiers
		}
	}
	return c, c.Credits != "" && len(args) == 0
}

// The words that a price goes on with.
const (
	priceAbove = "above"
	pricePlan  = "plan"
)

func isPriceWord(word string) bool { return word == priceAbove || word == pricePlan }

func (p block) limits() map[string]string {
	list := make(map[string]string)
	p.NoArguments()
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name := p.Val()
		if _, twice := list[name]; twice {
			p.Faultf("limits %s: stands there twice", name)
		}
		args := p.RemainingArgs()
		if len(args) != 1 {
			p.Faultf("limits %s: takes one argument, here are %d", name, len(args))
			continue
		}
		p.NoBlock("limits " + name)
		list[name] = args[0]
	}
	return list
}

func (p block) retention() *RetentionConfig {
	c := new(RetentionConfig)
	p.NoArguments()
	p.Nested("retention", map[string]func(){
		"events":   func() { p.One(&c.Events) },
		"sessions": func() { p.One(&c.Sessions) },
		"holds":    func() { p.One(&c.Holds) },
		"outbox":   func() { p.One(&c.Outbox) },
	})
	return c
}

func (p block) smtp() *SMTPConfig {
	c := new(SMTPConfig)
	p.NoArguments()
	p.Nested("smtp", map[string]func(){
		"host":      func() { p.One(&c.Host) },
		"port":      func() { p.One(&c.Port) },
		"username":  func() { p.One(&c.Username) },
		"password":  func() { p.One(&c.Password) },
		"from":      func() { p.One(&c.From) },
		"templates": func() { p.One(&c.Templates) },
	})
	return c
}

func (p block) stripe() *StripeConfig {
	c := new(StripeConfig)
	p.NoArguments()
	p.Nested("stripe", map[string]func(){
		"secret_key":     func() { p.One(&c.SecretKey) },
		"webhook_secret": func() { p.Some(&c.WebhookSecret) },
		"api_url":        func() { p.One(&c.APIURL) },
		"return_url":     func() { p.Some(&c.ReturnURL) },
		"grace":          func() { p.One(&c.Grace) },
		"plan":           func() { c.Plans = append(c.Plans, p.plan()) },
		"package":        func() { c.Packages = append(c.Packages, p.creditPackage()) },
	}, "plan", "package")
	return c
}

func (p block) plan() (c PlanConfig) {
	p.Arguments(&c.Name)
	p.Nested("plan", map[string]func(){
		"product":  func() { p.One(&c.Product) },
		"monthly":  func() { p.One(&c.Monthly) },
		"yearly":   func() { p.One(&c.Yearly) },
		"rollover": func() { p.One(&c.Rollover) },
		"per_seat": func() { p.One(&c.PerSeat) },
	})
	return c
}

func (p block) creditPackage() (c PackageConfig) {
	p.Arguments(&c.Name, &c.Credits, &c.Cents)
	p.NoBlock("package")
	return c
}

func (p block) storage() *StorageConfig {
	c := new(StorageConfig)
	p.NoArguments()
	p.Nested("storage", map[string]func(){
		"endpoint":   func() { p.One(&c.Endpoint) },
		"region":     func() { p.One(&c.Region) },
		"bucket":     func() { p.One(&c.Bucket) },
		"access_key": func() { p.One(&c.AccessKey) },
		"secret_key": func() { p.One(&c.SecretKey) },
		"public_url": func() { p.One(&c.PublicURL) },
	})
	return c
}
