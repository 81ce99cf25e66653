package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/appdata"
)

const someKey = "an-encryption-key-of-some-length-0123456789"

// external is a config with everything that is required.
func external() config.Config {
	return config.Config{
		Database:      &config.DatabaseConfig{URL: "postgres://mana:pw@db.example.com/mana"},
		BaseURL:       "https://auth.example.com",
		EncryptionKey: someKey,
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	settings, err := external().ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Facts{
		BaseURL: "https://auth.example.com", Audience: "manacore", EncryptionKey: someKey,
		DatabaseURL: "postgres://mana:pw@db.example.com/mana", Mode: "cache statement",
	}
	if diff := cmp.Diff(want, settings.Facts(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// How long holds are kept is the ledger's to know.
func TestRetentionOfHolds(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]time.Duration{"": 48 * time.Hour, "36h": 36 * time.Hour} {
		c := external()
		c.Retention = &config.RetentionConfig{Holds: raw}
		settings, err := c.ResolveWith(nil)
		if err != nil || settings.Ledger().KeepHolds != want {
			t.Errorf("%q: %v, %v", raw, settings.Ledger().KeepHolds, err)
		}
	}
}

// The environment of the replaced service starts this one without a config.
func TestEnvironmentOfTheReplacedService(t *testing.T) {
	t.Parallel()
	settings, err := config.Config{}.ResolveWith(map[string]string{
		"NODE_ENV":              "production",
		"DATABASE_URL":          "postgresql://mana:pw@db.example.com:5432/manacore",
		"BASE_URL":              "https://auth.mana.how/",
		"JWT_ISSUER":            "manacore",
		"JWT_AUDIENCE":          "apps",
		"COOKIE_DOMAIN":         ".mana.how",
		"CORS_ORIGINS":          "https://mana.how, https://chat.mana.how,http://localhost:5173",
		"REDIS_HOST":            "cache.example.com",
		"REDIS_PORT":            "6380",
		"REDIS_PASSWORD":        "p@ss/word",
		"BETTER_AUTH_SECRET":    someKey,
		"MANA_CORE_SERVICE_KEY": "service-key",
		"SMTP_HOST":             "smtp.example.com",
		"SMTP_PASSWORD":         "x",
		"STRIPE_SECRET_KEY":     "sk_test_x",
		"S3_ENDPOINT":           "https://s3.example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Facts{
		BaseURL: "https://auth.mana.how", Audience: "apps", CookieDomain: ".mana.how",
		ServiceKey: "service-key", LegacySecret: someKey,
		Origins:     []string{"https://mana.how", "https://chat.mana.how", "http://localhost:5173"},
		DatabaseURL: "postgresql://mana:pw@db.example.com:5432/manacore", Mode: "cache statement",
		Redis: "redis://:p%40ss%2Fword@cache.example.com:6380",
	}
	if diff := cmp.Diff(want, settings.Facts()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestConfigWinsOverEnvironment(t *testing.T) {
	t.Parallel()
	c := external()
	c.Audience, c.CookieDomain = "own", "example.com"
	c.TrustedOrigins = []string{"https://a.example.com"}
	c.Redis, c.ServiceKey = "redis://own:6379", "own-service-key"
	c.AccessTokenTTL, c.RefreshTokenTTL = "5m", "2d"
	c.Database.Direct = "postgres://mana:pw@pg.example.com/mana"
	settings, err := c.ResolveWith(map[string]string{
		"DATABASE_URL": "postgres://other/other", "BASE_URL": "https://other.test", "JWT_AUDIENCE": "other",
		"COOKIE_DOMAIN": ".other.test", "CORS_ORIGINS": "https://other.test", "REDIS_HOST": "other",
		"MANA_CORE_SERVICE_KEY": "other", "MANA_ENCRYPTION_KEY": "other",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Facts{
		BaseURL: "https://auth.example.com", Audience: "own", CookieDomain: "example.com",
		ServiceKey: "own-service-key", EncryptionKey: someKey,
		Origins:     []string{"https://a.example.com"},
		DatabaseURL: "postgres://mana:pw@db.example.com/mana", Direct: "postgres://mana:pw@pg.example.com/mana",
		Mode: "cache describe", Redis: "redis://own:6379",
		AccessTokenTTL: 5 * time.Minute, RefreshTokenTTL: 48 * time.Hour,
	}
	if diff := cmp.Diff(want, settings.Facts()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Names in Unicode become ASCII everywhere, or there is one fault that says why
// not.
func TestNamesInUnicode(t *testing.T) {
	t.Parallel()
	c := external()
	c.BaseURL, c.CookieDomain, c.TrustedOrigins = "https://auth.Bücher.example:8443", ".bücher.example", []string{"https://*.bücher.example"}
	settings, err := c.ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := settings.Facts()
	if got.BaseURL != "https://auth.xn--bcher-kva.example:8443" || got.CookieDomain != ".xn--bcher-kva.example" {
		t.Errorf("%q, %q", got.BaseURL, got.CookieDomain)
	}
	if !settings.Origins.Trusts("https://app.xn--bcher-kva.example") {
		t.Error("the sibling is not trusted")
	}
	for name, change := range map[string]func(*config.Config){
		"base_url":        func(c *config.Config) { c.BaseURL = "https://auth.b\u200fücher.example" },
		"cookie_domain":   func(c *config.Config) { c.CookieDomain = ".b\u200fücher.example" },
		"trusted_origins": func(c *config.Config) { c.TrustedOrigins = []string{"https://b\u200fücher.example"} },
	} {
		c := external()
		change(&c)
		_, err := c.ResolveWith(nil)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), "is not a domain name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	c := external()
	for _, tt := range []struct {
		written *config.RetentionConfig
		want    config.Retention
	}{
		{nil, config.Retention{Events: 400 * day, Sessions: 90 * day, Holds: 48 * time.Hour, Outbox: 30 * day}},
		{
			&config.RetentionConfig{Events: "30d", Holds: "36h"},
			config.Retention{Events: 30 * day, Sessions: 90 * day, Holds: 36 * time.Hour, Outbox: 30 * day},
		},
	} {
		c.Retention = tt.written
		settings, err := c.ResolveWith(nil)
		if err != nil || settings.Retention != tt.want {
			t.Errorf("%+v: %+v, %v", tt.written, settings.Retention, err)
		}
	}
}

// The database keeps events for a day against anybody.
func TestRetentionOfEvents(t *testing.T) {
	t.Parallel()
	c := external()
	c.Retention = &config.RetentionConfig{Events: "23h"}
	if _, err := c.ResolveWith(nil); err == nil || !strings.Contains(err.Error(), "retention events: 23h0m0s is less than the 24h in which no event can be deleted") {
		t.Errorf("23 hours: %v", err)
	}
	c.Retention.Events = "24h"
	if settings, err := c.ResolveWith(nil); err != nil || settings.Retention.Events != 24*time.Hour {
		t.Errorf("a day: %v, %v", settings.Retention.Events, err)
	}
}

func TestEmbeddedDefaults(t *testing.T) {
	t.Parallel()
	settings, err := config.Config{BaseURL: "https://auth.mana.localhost:8443"}.ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := settings.Facts().DatabaseDir
	if !filepath.IsAbs(dir) || !strings.HasSuffix(dir, filepath.Join("mana", "postgres")) {
		t.Errorf("folder of the embedded database: %q", dir)
	}
	explicit := config.Config{
		BaseURL:  "https://auth.mana.localhost:8443",
		Database: &config.DatabaseConfig{Embedded: &config.EmbeddedConfig{}},
	}
	settings, err = explicit.ResolveWith(map[string]string{"DATABASE_URL": "postgres://other/other"})
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.Facts(); got.DatabaseURL != "" || got.DatabaseDir != dir {
		t.Errorf("embedded, yet %+v", got)
	}
}

func TestAllFaultsTogether(t *testing.T) {
	t.Parallel()
	_, err := config.Config{
		Database:          &config.DatabaseConfig{URL: "mysql://db/mana", QueryMode: "fast"},
		Redis:             "http://cache",
		BaseURL:           "auth.example.com",
		CookieDomain:      ".co.uk",
		TrustedOrigins:    []string{"https://a.example.com/path"},
		EncryptionKey:     "short",
		AccessTokenTTL:    "soon",
		RefreshTokenTTL:   "-1m",
		EmailVerification: "sometimes",
		Registration:      "perhaps",
		Retention:         &config.RetentionConfig{Events: "always", Sessions: "0s", Holds: "23h"},
		SMTP:              &config.SMTPConfig{Port: "70000"},
		PasswordBlocklist: "/no/such/list",
		BreachedPasswords: "/no/such/breaches", SecondFactor: "perhaps", ProofOfWork: "sometimes",
		AcceptedIssuers: []config.AcceptedIssuerConfig{{Issuer: "old", JWKSURL: "ftp://x"}, {Issuer: "old", JWKSURL: "https://x:y@z"}, {JWKSURL: "https://x"}},
		Backends:        []config.BackendConfig{{ID: "Chat!", URL: "http://x"}, {ID: "chat", URL: "ftp://x"}, {ID: "chat", URL: "http://x"}},
		Stripe: &config.StripeConfig{
			SecretKey: "pk_test_1", APIURL: "ftp://x", ReturnURL: []string{"javascript://x"}, Grace: "soon",
			WebhookSecret: []string{"a", "b", "c"},
			Plans:         []config.PlanConfig{{Name: "pl us"}},
			Packages:      []config.PackageConfig{{Name: "A", Credits: "0", Cents: "1.5"}},
		},
		Storage: &config.StorageConfig{},
	}.ResolveWith(nil)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, name := range []string{
		"database: not a PostgreSQL URL", `database: query_mode "fast"`, "redis:", "base_url:",
		"cookie_domain:", "trusted_origins:", "encryption_key:", `access_token_ttl: "soon"`, `refresh_token_ttl: "-1m"`,
		`retention events: "always" is not a duration`, `retention sessions: "0s" is not a positive duration`,
		"retention holds: 23h0m0s is less than the 24h that",
		`email_verification: "sometimes" is neither required nor optional`, `registration: "perhaps" is none of open, closed, invite`, "smtp: host: missing", `smtp: port "70000"`,
		"password_blocklist: is common, off or a file", "breached_passwords: stat /no/such/breaches", `second_factor: "perhaps" is none of optional, required`, `proof_of_work: "sometimes" is none of auto, off, always`, "accept_issuer old: the key set is not an http or https URL", "accept_issuer old: is there twice", "accept_issuer old: the URL of the key set must not hold a password", "accept_issuer : the issuer is missing",
		"backend: an id has", "backend: chat: the address", "backend: chat is there twice",
		"stripe: this is the publishable key", "stripe: api_url must be", `stripe: return_url "javascript://x"`,
		`stripe grace: "soon"`, "stripe: webhook_secret: one secret, or two", `stripe: plan "pl us"`,
		`stripe: package "A": "0" is not a number of credits`, `stripe: package "A": "1.5" is not a price in euro cents`, "storage: endpoint: is missing",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+name) {
			t.Errorf("no fault that begins with %q in:\n%v", name, err)
		}
	}
}

func TestBackends(t *testing.T) {
	t.Parallel()
	s, err := config.Config{
		BaseURL: "https://auth.example.com",
		Backends: []config.BackendConfig{
			{ID: "chat", URL: "https://chat.internal/api", Key: "its own key"}, {ID: "shop-2", URL: "http://10.0.0.1:80"},
		},
	}.ResolveWith(map[string]string{
		"ADMIN_SERVICE_KEY": "the key", "CHAT_BACKEND_URL": "http://ignored", "TODO_BACKEND_URL": "http://localhost:3018", "OTHER_BACKEND_URL": "http://unknown",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []appdata.Backend{
		{ID: "chat", URL: "https://chat.internal/api", Key: "its own key"}, {ID: "shop-2", URL: "http://10.0.0.1:80", Key: "the key"},
		{ID: "todo", URL: "http://localhost:3018", Key: "the key"},
	}
	if diff := cmp.Diff(want, s.Backends); diff != "" {
		t.Error(diff)
	}
}

// Another list, or other back ends, are other settings.
func TestListsArePartOfTheKey(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "list")
	key := func(change func(*config.Config)) any {
		t.Helper()
		c := config.Config{BaseURL: "https://auth.example.com"}
		change(&c)
		s, err := c.ResolveWith(nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Key()
	}
	seen := make(map[any]string)
	for _, text := range []string{"hunter2hunter2", "correct horse"} {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		seen[key(func(c *config.Config) { c.PasswordBlocklist = list })] = text
	}
	seen[key(func(c *config.Config) { c.PasswordBlocklist = "off" })] = "off"
	seen[key(func(c *config.Config) { c.PasswordBlocklist = "common" })] = "common"
	seen[key(func(*config.Config) {})] = "default"
	seen[key(func(c *config.Config) { c.Backends = []config.BackendConfig{{ID: "a", URL: "http://a"}} })] = "a back end"
	seen[key(func(c *config.Config) {
		c.AcceptedIssuers = []config.AcceptedIssuerConfig{{Issuer: "a", JWKSURL: "http://a"}}
	})] = "an accepted issuer"
	seen[key(func(c *config.Config) {
		c.AcceptedIssuers = []config.AcceptedIssuerConfig{{Issuer: "a", JWKSURL: "http://b"}}
	})] = "its key set"
	seen[key(func(c *config.Config) { c.Backends = []config.BackendConfig{{ID: "a", URL: "http://a", Key: "k"}} })] = "its key"
	if len(seen) != 8 {
		t.Errorf("%d keys: %v", len(seen), seen)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*config.Config)
		env    map[string]string
		want   string
	}{
		"base_url missing": {
			change: func(c *config.Config) { c.BaseURL = "" },
			want:   "base_url: missing",
		},
		"issuer that is no URL": {
			change: func(c *config.Config) { c.BaseURL = "" },
			env:    map[string]string{"JWT_ISSUER": "manacore"},
			want:   `JWT_ISSUER is "manacore", which is no URL`,
		},
		"base_url with a path": {
			change: func(c *config.Config) { c.BaseURL = "https://auth.example.com/auth" },
			want:   "base_url: must be scheme and host only",
		},
		"database comes out empty": {
			change: func(c *config.Config) { c.Database.URL = "{env.MANA_TEST_NOT_SET}" },
			want:   "database: comes out empty",
		},
		"query_mode unsafe behind a pooler": {
			change: func(c *config.Config) { c.Database.QueryMode = "describe_exec" },
			want:   "database: query_mode describe_exec is unsafe behind PgBouncer before 1.21",
		},
		"embedded and URL": {
			change: func(c *config.Config) { c.Database.Embedded = &config.EmbeddedConfig{} },
			want:   "database: is either embedded or a URL, not both",
		},
		"encryption_key missing": {
			change: func(c *config.Config) { c.EncryptionKey = "" },
			want:   "encryption_key: missing",
		},
		"an older encryption_key is short": {
			change: func(c *config.Config) { c.OldEncryptionKeys = []string{strings.Repeat("older", 8), "short"} },
			want:   "encryption_key: older encryption key 2 has 5 bytes, 32 are needed",
		},
		"an older encryption_key comes out empty": {
			change: func(c *config.Config) { c.OldEncryptionKeys = []string{"{env.MANA_TEST_NOT_SET}"} },
			want:   "encryption_key: older encryption key 1 has 0 bytes, 32 are needed",
		},
		"an older encryption_key is the first": {
			change: func(c *config.Config) { c.OldEncryptionKeys = []string{c.EncryptionKey} },
			want:   "encryption_key: older encryption key 1 is there twice",
		},
		"encryption_key comes out empty": {
			change: func(c *config.Config) { c.EncryptionKey = "{env.MANA_TEST_NOT_SET}" },
			want:   "encryption_key: comes out empty",
		},
		"unknown placeholder": {
			change: func(c *config.Config) { c.Audience = "{http.request.host}" },
			want:   "audience: unrecognized placeholder {http.request.host}",
		},
		"cookie_domain elsewhere": {
			change: func(c *config.Config) { c.CookieDomain = ".mana.how" },
			want:   "cookie_domain:",
		},
		"cookie_domain is an address": {
			change: func(c *config.Config) { c.CookieDomain = "192.0.2.1" },
			want:   "cookie_domain:",
		},
		"cookie_domain is a public suffix": {
			change: func(c *config.Config) { c.BaseURL, c.CookieDomain = "https://auth.github.io", ".github.io" },
			want:   `cookie_domain: ".github.io" is a public suffix`,
		},
		"cookie_domain is a public suffix in Unicode": {
			change: func(c *config.Config) { c.BaseURL, c.CookieDomain = "https://auth.公司.cn", ".公司.cn" },
			want:   `cookie_domain: ".公司.cn" is a public suffix`,
		},
		"trusted_origins over a public suffix": {
			change: func(c *config.Config) { c.TrustedOrigins = []string{"https://*.example.com", "https://*.co.uk"} },
			want:   `trusted_origins: "https://*.co.uk": "*" over the whole of "co.uk" is too wide`,
		},
		"COOKIE_DOMAIN is named": {
			env:  map[string]string{"COOKIE_DOMAIN": "co.uk"},
			want: "cookie_domain (from COOKIE_DOMAIN):",
		},
		"DATABASE_URL is named": {
			change: func(c *config.Config) { c.Database = nil },
			env:    map[string]string{"DATABASE_URL": "db.example.com"},
			want:   "database (from DATABASE_URL):",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := external()
			if tt.change != nil {
				tt.change(&c)
			}
			_, err := c.ResolveWith(tt.env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(someKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := external()
	c.EncryptionKey = "{file." + file + "}"
	c.Redis = "{env.MANA_TEST_NOT_SET}"
	settings, err := c.ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.Facts(); got.EncryptionKey != someKey || got.Redis != "" {
		t.Errorf("got %+v", got)
	}
}

// No secret is in a fault, and none in what prints settings, however that is done.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const secret = "hunter2secret"
	bad := config.Config{
		Database: &config.DatabaseConfig{
			URL: "postgres://u:" + secret + "/x#{y}@h:port/db", Direct: "mysql://u:" + secret + "@h/db",
		},
		Redis:         "redis://:" + secret + "{z}@h:p:1",
		BaseURL:       "https://u:" + secret + "@auth.example.com",
		EncryptionKey: secret,
		ServiceKey:    "{" + secret + "}",
		Stripe:        &config.StripeConfig{SecretKey: secret, WebhookSecret: []string{"{" + secret + "}"}},
	}
	_, err := bad.ResolveWith(nil)
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("fault texts: %v", err)
	}

	good := external()
	good.Database.URL = "postgres://u:" + secret + "@db/mana"
	good.EncryptionKey = strings.Repeat(secret, 4)
	good.ServiceKey, good.Redis = secret, "redis://:"+secret+"@cache:6379"
	good.Stripe = &config.StripeConfig{SecretKey: "sk_test_" + secret, WebhookSecret: []string{"whsec_" + secret, "whsec_2" + secret}}
	settings, err := good.ResolveWith(map[string]string{"BETTER_AUTH_SECRET": strings.Repeat(secret, 3)})
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "settings", settings, "key", settings.ServiceKey)
	marshalled, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := struct{ s config.Settings }{settings}
	for how, text := range map[string]string{
		"%v": fmt.Sprintf("%v", settings), "%+v": fmt.Sprintf("%+v", settings), "%#v": fmt.Sprintf("%#v", settings),
		"nested": fmt.Sprintf("%+v %#v", wrapped, wrapped), "%s": fmt.Sprintf("%s %q %x", settings.ServiceKey, settings.ServiceKey, settings.ServiceKey),
		"log": logged.String(), "JSON": string(marshalled),
	} {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s shows a secret: %s", how, text)
		}
	}
}

func TestRuntimeIsSharedByEqualSettingsOnly(t *testing.T) {
	t.Parallel()
	base, err := external().ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := external().ResolveWith(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !config.SameRuntime(base, same) {
		t.Error("equal settings do not share a runtime")
	}
	for name, change := range map[string]func(*config.Config){
		"database":        func(c *config.Config) { c.Database.URL += "2" },
		"password":        func(c *config.Config) { c.Database.URL = "postgres://mana:pw2@db.example.com/mana" },
		"query mode":      func(c *config.Config) { c.Database.QueryMode = "exec" },
		"redis":           func(c *config.Config) { c.Redis = "redis://cache" },
		"encryption key":  func(c *config.Config) { c.EncryptionKey += "2" },
		"older key":       func(c *config.Config) { c.OldEncryptionKeys = []string{strings.Repeat("older", 8)} },
		"audience":        func(c *config.Config) { c.Audience = "other" },
		"trusted origins": func(c *config.Config) { c.TrustedOrigins = []string{"https://x.example.com"} },
		"ttl":             func(c *config.Config) { c.AccessTokenTTL = "5m" },
		"Stripe key": func(c *config.Config) {
			c.Stripe = &config.StripeConfig{SecretKey: "sk_test_1", WebhookSecret: []string{"whsec_1"}}
		},
		"package": func(c *config.Config) {
			c.Stripe = &config.StripeConfig{Packages: []config.PackageConfig{{Name: "A", Credits: "1", Cents: "1"}}}
		},
		"plan": func(c *config.Config) {
			c.Stripe = &config.StripeConfig{Plans: []config.PlanConfig{{Name: "Plus", Monthly: "price_1"}}}
		},
		"return address": func(c *config.Config) { c.Stripe = &config.StripeConfig{ReturnURL: []string{"app://"}} },
	} {
		c := external()
		change(&c)
		other, err := c.ResolveWith(nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if config.SameRuntime(base, other) {
			t.Errorf("another %s shares the runtime", name)
		}
	}
}

// With a mail server addresses are to be proven, unless the admin says otherwise.
func TestMailServer(t *testing.T) {
	t.Parallel()
	server := &config.SMTPConfig{Host: "mail.example.com", Port: "465", Username: "u", Password: "p", From: "Mana <noreply@mana.how>"}
	account := map[string]string{"SMTP_USER": "u", "SMTP_PASSWORD": "p", "SMTP_FROM": "noreply@mana.how"}
	for name, tt := range map[string]struct {
		smtp         *config.SMTPConfig
		env          map[string]string
		verification string
		host         string
		port         int
		required     bool
	}{
		"none":                         {},
		"block":                        {smtp: server, host: "mail.example.com", port: 465, required: true},
		"block, optional":              {smtp: server, verification: "optional", host: "mail.example.com", port: 465},
		"none, required":               {verification: "required", required: true},
		"variables":                    {env: account, host: "smtp-relay.brevo.com", required: true},
		"variables without an account": {env: map[string]string{"SMTP_HOST": "mail.example.com"}},
		"block and variables":          {smtp: &config.SMTPConfig{Host: "other.example.com"}, env: account, host: "other.example.com", required: true},
	} {
		s, err := config.Config{
			BaseURL: "https://auth.example.com", EncryptionKey: someKey, Database: &config.DatabaseConfig{URL: "postgres://u:p@db/mana"},
			SMTP: tt.smtp, EmailVerification: tt.verification,
		}.ResolveWith(tt.env)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.SMTP.Host != tt.host || s.SMTP.Port != tt.port || s.VerificationRequired != tt.required {
			t.Errorf("%s: %q, port %d, required %v", name, s.SMTP.Host, s.SMTP.Port, s.VerificationRequired)
		}
	}
	_, err := config.Config{
		BaseURL: "https://auth.example.com", EncryptionKey: someKey, Database: &config.DatabaseConfig{URL: "postgres://u:p@db/mana"},
		SMTP: &config.SMTPConfig{Host: "mail.example.com", Password: "a secret", From: "not an address", Templates: "/nowhere/at/all"},
	}.ResolveWith(nil)
	for _, text := range []string{"from", "templates", "username"} {
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), text) {
			t.Errorf("%s is not named in %v", text, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "a secret") {
		t.Errorf("a secret is in %v", err)
	}
}
