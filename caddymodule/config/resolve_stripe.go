package config

import (
	"encoding/json"
	"hash"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/authcore/origin"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
	"mana.how/edge/creditcore/billing/stripeapi"
)

// Stripe is the account that takes payments, and what is for sale.
type Stripe struct {
	SecretKey      Secret // not set: nothing can be bought
	WebhookSecrets []Secret
	APIURL         string // empty: Stripe's own
	returns        returnURLs
	grace          time.Duration // zero: billing's default
	plans          []catalog.PlanSeed
	packages       []catalog.PackageSeed
}

// IsSet reports whether anything can be bought.
func (s Stripe) IsSet() bool { return s.SecretKey.IsSet() }

// Live tells that the key moves real money.
func (s Stripe) Live() bool { return stripeapi.LiveKey(s.SecretKey.Reveal()) }

// Config is the configuration of the billing core.
func (s Stripe) Config(baseURL *url.URL) billing.Config {
	c := billing.Config{
		SecretKey: s.SecretKey.Reveal(), APIURL: s.APIURL, BaseURL: baseURL.String(), ReturnURL: s.returns.allow,
		Plans: s.plans, Packages: s.packages, Grace: s.grace,
	}
	for _, secret := range s.WebhookSecrets {
		c.WebhookSecrets = append(c.WebhookSecrets, secret.Reveal())
	}
	return c
}

// hash writes what a runtime is made of.
func (s Stripe) hash(h hash.Hash) {
	forSale, _ := json.Marshal([]any{s.plans, s.packages}) // plain data
	hashFields(h, s.SecretKey.Reveal(), s.APIURL, s.grace.String(), string(forSale), strconv.Itoa(len(s.WebhookSecrets)))
	for _, secret := range s.WebhookSecrets {
		hashFields(h, secret.Reveal())
	}
	hashFields(h, s.returns.patterns...)
	hashFields(h, s.returns.schemes...)
}

// stripe resolves the block, or the variables alone where there is none.
func (r *resolver) stripe(c *StripeConfig, s Settings) Stripe {
	written := c != nil
	if !written {
		c = &StripeConfig{}
	}
	out := Stripe{
		SecretKey: r.stripeKey(c.SecretKey),
		APIURL:    r.stripeURL(c.APIURL),
		grace:     r.duration("stripe grace", c.Grace),
		plans:     r.plans(c.Plans),
		packages:  r.packages(c.Packages),
	}
	out.WebhookSecrets = r.webhookSecrets(c.WebhookSecret)
	out.returns = r.returnURLs(c.ReturnURL, s)
	if written && out.SecretKey.IsSet() && len(out.WebhookSecrets) == 0 {
		r.fault("stripe", "webhook_secret is missing: without it no payment is ever credited")
	}
	return out
}

func (r *resolver) stripeKey(raw string) Secret {
	key := r.value("stripe", raw, "STRIPE_SECRET_KEY")
	switch {
	case raw != "" && key.text == "":
		r.fault("stripe", "secret_key comes out empty; take it out where nothing is to be sold")
	case strings.HasPrefix(key.text, "pk_"):
		r.fault(key.from, "this is the publishable key; secret_key is the one that begins with sk_ or rk_")
	case key.text != "" && !strings.HasPrefix(key.text, "sk_") && !strings.HasPrefix(key.text, "rk_"):
		r.fault(key.from, "secret_key is no key of Stripe's, which begins with sk_ or rk_")
	}
	return NewSecret(key.text)
}

// WebhookSecrets are one secret, or two while it is rotated.
func (r *resolver) webhookSecrets(raw []string) []Secret {
	var list []string
	for _, secret := range raw {
		text := splitList(r.expand("stripe", secret))
		if len(text) == 0 {
			r.fault("stripe", "webhook_secret comes out empty")
		}
		list = append(list, text...)
	}
	if len(raw) == 0 {
		list = splitList(r.env.Get("STRIPE_WEBHOOK_SECRET"))
	}
	if len(list) > 2 {
		r.fault("stripe", "webhook_secret: one secret, or two while it is rotated; here are %d", len(list))
	}
	secrets := make([]Secret, len(list))
	for i, text := range list {
		if !strings.HasPrefix(text, "whsec_") || len(text) == len("whsec_") {
			r.fault("stripe", "webhook_secret is no signing secret of Stripe's, which begins with whsec_")
		}
		secrets[i] = NewSecret(text)
	}
	return secrets
}

func (r *resolver) stripeURL(raw string) string {
	text := r.expand("stripe api_url", raw)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" ||
		u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		r.fault("stripe", "api_url must be scheme and host only, as https://api.stripe.com")
		return ""
	}
	return strings.TrimSuffix(text, "/")
}

// plans are those of the block and, for the rest, those of the environment.
func (r *resolver) plans(raw []PlanConfig) []catalog.PlanSeed {
	var names []string
	var seeds []catalog.PlanSeed
	for _, c := range raw {
		name := r.expand("stripe plan", c.Name)
		if !isPlanName(name) {
			r.fault("stripe", "plan %q: a name is letters and digits", name)
			continue
		}
		if slices.Contains(names, strings.ToUpper(name)) {
			r.fault("stripe", "plan %s is named twice", name)
			continue
		}
		names = append(names, strings.ToUpper(name))
		seeds = append(seeds, r.plan(name, c))
	}
	for _, name := range catalog.PlanNames() {
		if slices.Contains(names, strings.ToUpper(name)) {
			continue
		}
		if seed := r.plan(name, PlanConfig{}); seed != (catalog.PlanSeed{Name: name}) {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

func (r *resolver) plan(name string, c PlanConfig) catalog.PlanSeed {
	id := func(directive, raw, variable string) string {
		v := r.value("stripe plan "+name+" "+directive, raw, "STRIPE_"+strings.ToUpper(name)+variable)
		switch {
		case raw != "" && v.text == "":
			r.fault(v.from, "comes out empty")
		case strings.ContainsFunc(v.text, func(c rune) bool { return c <= ' ' || c > '~' }):
			r.fault(v.from, "%q is no id of Stripe's", v.text)
		}
		return v.text
	}
	var rollover *creditcore.Amount
	if c.Rollover != "" {
		from := "stripe plan " + name + " rollover"
		text := r.expand(from, c.Rollover)
		n, err := creditcore.ParseAmount(text)
		if err != nil || n < 0 || n > creditcore.MaxAmount {
			r.fault(from, "%q is not a number of credits", text)
		}
		rollover = &n
	}
	var perSeat *bool
	switch text := r.expand("stripe plan "+name+" per_seat", c.PerSeat); text {
	case "":
	case "on", "off":
		on := text == "on"
		perSeat = &on
	default:
		r.fault("stripe plan "+name+" per_seat", "is on or off, not %q", text)
	}
	return catalog.PlanSeed{
		Rollover:     rollover,
		PerSeat:      perSeat,
		Name:         name,
		ProductID:    id("product", c.Product, "_PRODUCT_ID"),
		PriceMonthly: id("monthly", c.Monthly, "_PRICE_MONTHLY"),
		PriceYearly:  id("yearly", c.Yearly, "_PRICE_YEARLY"),
	}
}

// maxCents is the greatest price Stripe takes.
const maxCents = 99_999_999

func (r *resolver) packages(raw []PackageConfig) []catalog.PackageSeed {
	var seeds []catalog.PackageSeed
	for _, c := range raw {
		seed := catalog.PackageSeed{Name: r.expand("stripe package", c.Name)}
		var err error
		credits, cents := r.expand("stripe package", c.Credits), r.expand("stripe package", c.Cents)
		if seed.Credits, err = creditcore.ParseAmount(credits); err != nil || seed.Credits <= 0 {
			r.fault("stripe", "package %q: %q is not a number of credits", seed.Name, credits)
		}
		if seed.PriceEuroCents, err = strconv.ParseInt(cents, 10, 32); err != nil || seed.PriceEuroCents <= 0 || seed.PriceEuroCents > maxCents {
			r.fault("stripe", "package %q: %q is not a price in euro cents", seed.Name, cents)
		}
		switch {
		case seed.Name == "":
			r.fault("stripe", "a package has no name")
		case slices.ContainsFunc(seeds, func(s catalog.PackageSeed) bool { return s.Name == seed.Name }):
			r.fault("stripe", "package %q is named twice", seed.Name)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// returnURLs tells where a buyer may be sent.
type returnURLs struct {
	patterns []string // of origins
	schemes  []string // of apps
	origins  origin.List
}

var (
	appScheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://$`)
	// activeSchemes run or read something where they are followed.
	activeSchemes = []string{"javascript", "data", "vbscript", "file", "blob", "filesystem", "about", "view-source"}
)

func (r *resolver) returnURLs(raw []string, s Settings) returnURLs {
	var out returnURLs
	for _, pattern := range raw {
		for _, text := range splitList(r.expand("stripe return_url", pattern)) {
			scheme, rest, _ := strings.Cut(strings.ToLower(text), ":")
			switch {
			case scheme == "http" || scheme == "https":
				out.patterns = append(out.patterns, text)
			case slices.Contains(activeSchemes, scheme) || !appScheme.MatchString(scheme+":"+rest):
				r.fault("stripe", "return_url %q is neither an origin such as https://app.example.com nor the scheme of an app such as manacore://", text)
			default:
				out.schemes = append(out.schemes, scheme)
			}
		}
	}
	origins, faults := origin.Parse(s.BaseURL.String(), out.patterns)
	for _, f := range faults {
		r.fault("stripe", "return_url %w", f)
	}
	if len(faults) == 0 {
		origins, _ = origin.Parse(s.BaseURL.String(), slices.Concat(s.trustedOrigins, out.patterns))
	}
	out.origins = origins
	return out
}

// allow reports whether an address is one of them.
func (u returnURLs) allow(raw string) bool {
	if strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return false
	}
	scheme, _, ok := strings.Cut(raw, "://")
	switch {
	case !ok:
		return false
	case slices.Contains(u.schemes, strings.ToLower(scheme)):
		return true
	}
	_, ok = u.origins.ReturnTarget(raw)
	return ok && raw[0] != '/'
}

// isPlanName reports whether a name can be part of a variable's name.
func isPlanName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	})
}
