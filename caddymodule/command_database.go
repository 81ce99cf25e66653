package caddymodule

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
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/gift"
)

// source is where a command found its configuration.
type source struct {
	config   Config
	env      environment
	from     string // for people
	raw      []byte // the config in JSON, where there is a file
	complete bool   // a config file, of which everything is expected to be right
}

// commandVariables are what a command without a config takes from the
// environment: where the database is and what reads its keys. What is for sale
// is the business of `seed` alone.
var commandVariables = map[string]bool{
	"DATABASE_URL": true, "MANA_ENCRYPTION_KEY": true, "BETTER_AUTH_SECRET": true, "AUTH_SECRET": true,
}

// findSource decides where the database is. A config whose mana block cannot be
// read is refused.
func (inv invocation) findSource() (source, error) {
	s, err := inv.readSource()
	if err == nil && len(s.config.Faults) > 0 {
		err = fmt.Errorf("%s: %w", s.from, s.config.Faults.err())
	}
	return s, err
}

// readSource is findSource for who goes on with what can be read.
func (inv invocation) readSource() (source, error) {
	named, file := inv.flag("database"), inv.flag("config")
	if named == "" && inv.Flags().Changed("database") {
		return source{}, errors.New("--database is empty")
	}
	if named == "" && file == "" {
		if _, err := os.Stat("Caddyfile"); err == nil {
			file = "Caddyfile"
		}
	}
	if named == "" && file != "" {
		raw, config, err := readConfig(file, inv.flag("adapter"))
		if err != nil {
			return source{}, fmt.Errorf("%s: %w", file, err)
		}
		return source{config: config, env: processEnvironment, from: file, raw: raw, complete: true}, nil
	}
	s := source{
		// No token is made here, so the issuer may be anything.
		config: Config{BaseURL: "https://localhost"},
		env: func(name string) (string, bool) {
			if !commandVariables[name] && !(inv.Name() == "seed" && strings.HasPrefix(name, "STRIPE_")) {
				return "", false
			}
			return processEnvironment(name)
		},
	}
	switch kind, dir, _ := strings.Cut(named, ":"); {
	case named == "" && processEnvironment.get("DATABASE_URL") != "":
		s.from = "DATABASE_URL"
	case named == "":
		s.from = "the embedded database"
	case kind == "embedded":
		s.from = "--database"
		s.config.Database = &DatabaseConfig{Embedded: &EmbeddedConfig{Dir: dir}}
	default:
		s.from = "--database"
		s.config.Database = &DatabaseConfig{URL: named}
	}
	return s, nil
}

// readConfig adapts a config file as `run` does and takes the app out of it. A
// file without the app has its defaults.
func readConfig(file, adapter string) ([]byte, Config, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, Config{}, err
	}
	base := strings.ToLower(filepath.Base(file))
	if adapter == "" && filepath.Ext(base) != ".json" &&
		(strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile")) {
		adapter = "caddyfile"
	}
	if adapter != "" {
		adapt := caddyconfig.GetAdapter(adapter)
		if adapt == nil {
			return nil, Config{}, fmt.Errorf("there is no config adapter %q", adapter)
		}
		if raw, _, err = adapt.Adapt(raw, map[string]any{"filename": file}); err != nil {
			return nil, Config{}, err
		}
	}
	var whole struct {
		Apps map[string]json.RawMessage `json:"apps"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, Config{}, fmt.Errorf("not a config in JSON; name its adapter with --adapter: %w", err)
	}
	app := new(App)
	if part, ok := whole.Apps[appName]; ok {
		if err := caddy.StrictUnmarshalJSON(part, app); err != nil {
			return nil, Config{}, fmt.Errorf("app %s: %w", appName, err)
		}
	}
	return raw, app.Config, nil
}

// locate resolves the database alone, so that commands that need no more work
// with a config that is at fault elsewhere.
func (s source) locate() (database, error) {
	r := &resolver{env: s.env, replacer: caddy.NewReplacer()}
	d := r.database(s.config.Database)
	return d, errors.Join(r.faults...)
}

// withDatabase runs f on the database the flags lead to.
func (inv invocation) withDatabase(f func(source, connection) error) error {
	s, err := inv.findSource()
	if err != nil {
		return err
	}
	d, err := s.locate()
	if err != nil {
		return err
	}
	c, err := d.connect(inv.ctx, inv.log())
	if err != nil {
		return err
	}
	defer c.release()
	fmt.Fprintf(inv.ErrOrStderr(), "database: %s (from %s)\n", c.name, s.from)
	return f(s, c)
}

// withService runs f with the identity core on that database, and without its
// keys.
func (inv invocation) withService(f func(*authcore.Service) error) error {
	return inv.withCores(func(c cores) error { return f(c.auth) })
}

// withKeys is withService for what touches signing keys.
func (inv invocation) withKeys(f func(*authcore.Service) error) error {
	return inv.open(false, func(c cores) error { return f(c.auth) })
}

// withCores runs f with the cores on that database. They need no encryption
// key, so that an operator can work from any machine that reaches it.
func (inv invocation) withCores(f func(cores) error) error { return inv.open(true, f) }

func (inv invocation) open(keyless bool, f func(cores) error) error {
	return inv.withDatabase(func(s source, c connection) error {
		if keyless {
			s.config.EncryptionKey = noKey
		}
		settings, err := s.config.resolve(s.env)
		if err != nil {
			return err
		}
		if err := c.current(inv.ctx); err != nil {
			return err
		}
		return c.withCores(inv.ctx, settings, keyless, inv.log(), f)
	})
}

// noKey passes for an encryption key where none is used.
var noKey = strings.Repeat("-", 32)

// current brings an embedded database that only this command runs up to date,
// and refuses any other that is not.
func (c connection) current(ctx context.Context) error {
	if c.started {
		_, err := migrateSchema(ctx, c.at)
		return err
	}
	status, err := schemaStatus(ctx, c.at)
	switch {
	case err != nil:
		return err
	case !status.Complete():
		return fmt.Errorf("database: the schema is at version %d of %d; run `mana-edge mana migrate` first", status.Current, status.Latest)
	}
	return nil
}

// cores are what commands work with. Their background work does not run.
type cores struct {
	auth   *authcore.Service
	ledger *creditcore.Service
	gifts  *gift.Service
	sales  *billing.Service
}

func (c connection) withCores(ctx context.Context, s Settings, keyless bool, log *slog.Logger, f func(cores) error) error {
	config := s.auth()
	if config.Keyless = keyless; !keyless {
		key, err := s.encryptionKey, error(nil)
		if c.at.embedded && !key.IsSet() {
			if key, err = readKey(filepath.Join(c.dir, embeddedKeyFile)); err != nil {
				return fmt.Errorf("encryption_key: %w", err)
			}
		}
		if config.Secrets, err = s.secrets(key); err != nil {
			return err
		}
	}
	pool, err := openPool(ctx, c.at)
	if err != nil {
		return err
	}
	defer closePool(pool, log)
	var all cores
	all.ledger, all.gifts, all.sales = s.credits(pool, log)
	people := accounts{
		ledger: all.ledger, gifts: all.gifts, sales: all.sales, log: log,
		redeemUnverified: s.RedeemUnverified,
		later:            func(work func(context.Context)) { work(ctx) },
	}
	all.auth, err = authcore.New(ctx, config, authcore.Deps{
		Pool: pool, ListenDSN: c.at.listen, Logger: log, Hooks: people.hooks(),
	})
	if err != nil {
		return err
	}
	defer all.auth.Close()
	return f(all)
}

// log shows warnings and errors on stderr; a command's result is its output.
func (inv invocation) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(inv.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
