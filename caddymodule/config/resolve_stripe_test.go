package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/catalog"
)

func TestStripeBlock(t *testing.T) {
	t.Parallel()
	c := external()
	c.Stripe = &config.StripeConfig{
		SecretKey: "sk_test_1", WebhookSecret: []string{"whsec_new", "whsec_old"}, APIURL: "http://localhost:12111/", Grace: "2d",
		Plans: []config.PlanConfig{{Name: "plus", Product: "prod_own", Monthly: "price_m"}, {Name: "Team", Yearly: "price_t"}},
		Packages: []config.PackageConfig{
			{Name: "Small", Credits: "100", Cents: "100"}, {Name: "Odd", Credits: "12.5", Cents: "99"},
		},
	}
	settings, err := c.ResolveWith(map[string]string{
		"STRIPE_SECRET_KEY": "sk_live_other", "STRIPE_WEBHOOK_SECRET": "whsec_other",
		"STRIPE_PLUS_PRODUCT_ID": "prod_other", "STRIPE_PLUS_PRICE_YEARLY": "price_y",
		"STRIPE_PRO_PRICE_MONTHLY": "price_pro", "STRIPE_FREE_PRODUCT_ID": "prod_free",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := billing.Config{
		SecretKey: "sk_test_1", WebhookSecrets: []string{"whsec_new", "whsec_old"}, APIURL: "http://localhost:12111",
		BaseURL: "https://auth.example.com", Grace: 48 * time.Hour,
		Plans: []catalog.PlanSeed{
			{Name: "plus", ProductID: "prod_own", PriceMonthly: "price_m", PriceYearly: "price_y"},
			{Name: "Team", PriceYearly: "price_t"},
			{Name: "Free", ProductID: "prod_free"},
			{Name: "Pro", PriceMonthly: "price_pro"},
		},
		Packages: []catalog.PackageSeed{
			{Name: "Small", Credits: creditcore.Credits(100), PriceEuroCents: 100}, {Name: "Odd", Credits: 12_500, PriceEuroCents: 99},
		},
	}
	got := settings.Billing()
	got.ReturnURL = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestStripeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	settings, err := external().ResolveWith(map[string]string{
		"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": "whsec_new,whsec_old", "STRIPE_PLUS_PRICE_MONTHLY": "price_m",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := settings.Billing()
	if got.SecretKey != "sk_test_1" || len(got.WebhookSecrets) != 2 || len(got.Plans) != 1 || got.Plans[0].PriceMonthly != "price_m" {
		t.Errorf("got %+v", got)
	}
	settings, err = external().ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.Billing(); got.SecretKey != "" || len(got.Plans)+len(got.Packages)+len(got.WebhookSecrets) != 0 {
		t.Errorf("nothing is set, yet %+v", got)
	}
}

func TestStripeFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stripe config.StripeConfig
		env    map[string]string
		want   string
	}{
		"webhook secret of another kind": {
			config.StripeConfig{SecretKey: "sk_test_1", WebhookSecret: []string{"abc123"}}, nil, "begins with whsec_",
		},
		"no webhook secret": {config.StripeConfig{SecretKey: "sk_test_1"}, nil, "webhook_secret is missing"},
		"key comes out empty": {
			config.StripeConfig{SecretKey: "{env.MANA_TEST_NOT_SET}"}, nil, "secret_key comes out empty",
		},
		"webhook secret comes out empty": {
			config.StripeConfig{SecretKey: "sk_test_1", WebhookSecret: []string{"{env.MANA_TEST_NOT_SET}"}}, nil,
			"webhook_secret comes out empty",
		},
		"no key of Stripe's": {
			config.StripeConfig{}, map[string]string{"STRIPE_SECRET_KEY": "whsec_1"}, "stripe (from STRIPE_SECRET_KEY): ",
		},
		"package twice": {
			config.StripeConfig{Packages: []config.PackageConfig{
				{Name: "A", Credits: "1", Cents: "1"}, {Name: "A", Credits: "2", Cents: "2"},
			}}, nil, `package "A" is named twice`,
		},
		"plan twice": {
			config.StripeConfig{Plans: []config.PlanConfig{{Name: "Plus"}, {Name: "plus"}}}, nil, "plan plus is named twice",
		},
		"price of blanks": {
			config.StripeConfig{Plans: []config.PlanConfig{{Name: "Plus", Monthly: "a b"}}}, nil, "stripe plan Plus monthly:",
		},
		"return to a file":          {config.StripeConfig{ReturnURL: []string{"file:///etc"}}, nil, "return_url"},
		"return to a path":          {config.StripeConfig{ReturnURL: []string{"https://a.example.com/x"}}, nil, "return_url"},
		"return to a scheme's path": {config.StripeConfig{ReturnURL: []string{"manacore://x"}}, nil, "return_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := external()
			c.Stripe = &tt.stripe
			if _, err := c.ResolveWith(tt.env); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReturnURLs(t *testing.T) {
	t.Parallel()
	c := external()
	c.TrustedOrigins = []string{"https://*.example.com"}
	c.Stripe = &config.StripeConfig{ReturnURL: []string{"ManaCore://", "http://localhost:5173"}}
	settings, err := c.ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	allowed := settings.Billing().ReturnURL
	for url, want := range map[string]bool{
		"https://auth.example.com/credits": true, "https://chat.example.com/ok?s={CHECKOUT_SESSION_ID}": true,
		"http://localhost:5173/done": true, "manacore://credits/success": true, "MANACORE://x": true,
		"http://localhost:5174/": false, "https://evil.test/": false, "https://example.com.evil.test/": false,
		"https://chat.example.com@evil.test/": false, "/credits": false, "//evil.test": false, "": false, "mana.how/x": false,
		"javascript:alert(1)": false, "javascript://chat.example.com/%0aalert(1)": false, "manacorex://a": false, "manacore:x": false,
		"manacore://a b": false, "https://chat.example.com\\@evil.test": false, "manacore://a\nb": false,
	} {
		if got := allowed(url); got != want {
			t.Errorf("%q: allowed %v", url, got)
		}
	}
}
