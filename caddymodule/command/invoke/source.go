package invoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/webhook"
)

// Source is where a command found its configuration.
type Source struct {
	Config   config.Config
	Env      config.Environment
	From     string // for people
	Raw      []byte // the config in JSON, where there is a file
	Complete bool   // a config file, of which everything is expected to be right
}

// commandVariables are what a command without a config takes from the
// environment: where the database is and what reads its keys. What is for sale
// is the business of `seed` alone.
var commandVariables = map[string]bool{
	"DATABASE_URL": true, "MANA_ENCRYPTION_KEY": true, "BETTER_AUTH_SECRET": true, "AUTH_SECRET": true,
}

// findSource decides where the database is. A config whose mana block cannot be
// read is refused.
func (inv Invocation) findSource() (Source, error) {
	s, err := inv.ReadSource()
	if err == nil && len(s.Config.Faults) > 0 {
		err = fmt.Errorf("%s: %w", s.From, s.Config.Faults.Err())
	}
	return s, err
}

// ReadSource is findSource for who goes on with what can be read.
func (inv Invocation) ReadSource() (Source, error) {
	named, file := inv.Flag("database"), inv.Flag("config")
	if named == "" && inv.Flags().Changed("database") {
		return Source{}, errors.New("--database is empty")
	}
	if named == "" && file == "" {
		if _, err := os.Stat("Caddyfile"); err == nil {
			file = "Caddyfile"
		}
	}
	if named == "" && file != "" {
		raw, found, err := readConfig(file, inv.Flag("adapter"))
		if err != nil {
			return Source{}, fmt.Errorf("%s: %w", file, err)
		}
		return Source{Config: found, Env: config.ProcessEnvironment, From: file, Raw: raw, Complete: true}, nil
	}
	s := Source{
		// No token is made here, so the issuer may be anything.
		Config: config.Config{BaseURL: "https://localhost"},
		Env: func(name string) (string, bool) {
			if !commandVariables[name] && !(inv.Name() == "seed" && strings.HasPrefix(name, "STRIPE_")) {
				return "", false
			}
			return config.ProcessEnvironment(name)
		},
	}
	switch kind, dir, _ := strings.Cut(named, ":"); {
	case named == "" && config.ProcessEnvironment.Get("DATABASE_URL") != "":
		s.From = "DATABASE_URL"
	case named == "":
		s.From = "the embedded database"
	case kind == "embedded":
		s.From = "--database"
		s.Config.Database = &config.DatabaseConfig{Embedded: &config.EmbeddedConfig{Dir: dir}}
	default:
		s.From = "--database"
		s.Config.Database = &config.DatabaseConfig{URL: named}
	}
	return s, nil
}

// readConfig adapts a config file as `run` does and takes the app out of it. A
// file without the app has its defaults.
func readConfig(file, adapter string) ([]byte, config.Config, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, config.Config{}, err
	}
	base := strings.ToLower(filepath.Base(file))
	if adapter == "" && filepath.Ext(base) != ".json" &&
		(strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile")) {
		adapter = "caddyfile"
	}
	if adapter != "" {
		adapt := caddyconfig.GetAdapter(adapter)
		if adapt == nil {
			return nil, config.Config{}, fmt.Errorf("there is no config adapter %q", adapter)
		}
		if raw, _, err = adapt.Adapt(raw, map[string]any{"filename": file}); err != nil {
			return nil, config.Config{}, err
		}
	}
	var whole struct {
		Apps map[string]json.RawMessage `json:"apps"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, config.Config{}, fmt.Errorf("not a config in JSON; name its adapter with --adapter: %w", err)
	}
	var found config.Config
	if part, ok := whole.Apps[syntax.AppName]; ok {
		if err := caddy.StrictUnmarshalJSON(part, &found); err != nil {
			return nil, config.Config{}, fmt.Errorf("app %s: %w", syntax.AppName, err)
		}
	}
	return raw, found, nil
}

// Locate resolves the database alone.
func (s Source) Locate() (config.Database, error) {
	return s.Config.ResolveDatabase(s.Env)
}

// WithDatabase runs f on the database the flags lead to.
func (inv Invocation) WithDatabase(f func(Source, Connection) error) error {
	s, err := inv.findSource()
	if err != nil {
		return err
	}
	d, err := s.Locate()
	if err != nil {
		return err
	}
	c, err := Connect(inv.Ctx, d, inv.Log())
	if err != nil {
		return err
	}
	defer c.Release()
	fmt.Fprintf(inv.ErrOrStderr(), "database: %s (from %s)\n", c.name, s.From)
	return f(s, c)
}

// WithService runs f with the identity core on that database, and without its
// keys.
func (inv Invocation) WithService(f func(*authcore.Service) error) error {
	return inv.WithCores(func(c services.Cores) error { return f(c.Auth) })
}

// WithKeys is WithService for what touches signing keys.
func (inv Invocation) WithKeys(f func(*authcore.Service) error) error {
	return inv.open(false, func(c services.Cores) error { return f(c.Auth) })
}

// WithOutbox runs f with what waits to be mailed, which is sealed.
func (inv Invocation) WithOutbox(f func(*outbox.Box) error) error {
	return inv.open(false, func(c services.Cores) error { return f(c.Mail.Outbox()) })
}

// WithWebhooks runs f with the endpoints of webhooks, whose secrets are sealed.
func (inv Invocation) WithWebhooks(f func(*authcore.Service, *webhook.Service) error) error {
	return inv.open(false, func(c services.Cores) error { return f(c.Auth, c.Webhooks) })
}

// WithSealedCores runs f with the cores on that database, and the encryption key.
func (inv Invocation) WithSealedCores(f func(services.Cores) error) error { return inv.open(false, f) }

// WithCores runs f with the cores on that database. They need no encryption
// key, so that an operator can work from any machine that reaches it.
func (inv Invocation) WithCores(f func(services.Cores) error) error { return inv.open(true, f) }

func (inv Invocation) open(keyless bool, f func(services.Cores) error) error {
	return inv.WithDatabase(func(s Source, c Connection) error {
		if keyless {
			s.Config.EncryptionKey = noKey
		}
		settings, err := s.Config.Resolve(s.Env)
		if err != nil {
			return err
		}
		if err := c.Current(inv.Ctx); err != nil {
			return err
		}
		return c.WithCores(inv.Ctx, settings, keyless, inv.Log(), f)
	})
}

// noKey passes for an encryption key where none is used.
var noKey = strings.Repeat("-", 32)

// Current brings an embedded database that only this command runs up to date,
// and refuses any other that is not.
func (c Connection) Current(ctx context.Context) error {
	if c.Started {
		_, err := services.MigrateSchema(ctx, c.At)
		return err
	}
	status, err := services.SchemaStatus(ctx, c.At)
	switch {
	case err != nil:
		return err
	case !status.Complete():
		return fmt.Errorf("database: the schema is at version %d of %d; run `mana-edge mana migrate` first", status.Current, status.Latest)
	}
	return nil
}

// WithCores makes the cores, whose background work does not run.
func (c Connection) WithCores(ctx context.Context, s config.Settings, keyless bool, log *slog.Logger, f func(services.Cores) error) error {
	key := s.EncryptionKey
	if !keyless && c.At.Embedded && !key.IsSet() {
		var err error
		if key, err = services.ReadKey(filepath.Join(c.dir, services.EmbeddedKeyFile)); err != nil {
			return fmt.Errorf("encryption_key: %w", err)
		}
	}
	pool, err := services.OpenPool(ctx, c.At)
	if err != nil {
		return err
	}
	defer services.ClosePool(pool, log)
	cores, err := services.NewCores(ctx, s, services.CoresDeps{
		Pool: pool, ListenDSN: c.At.Listen, Logger: log, Key: key, Keyless: keyless,
		Later: func(work func(context.Context)) { work(ctx) },
	})
	if err != nil {
		return err
	}
	defer cores.Auth.Close()
	return f(cores)
}

// Log shows warnings and errors on stderr; a command's result is its output.
func (inv Invocation) Log() *slog.Logger {
	return slog.New(slog.NewTextHandler(inv.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
