package doctor

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/app"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/syntax"
)

// config finds what `validate` finds, and reports whether that is anything.
func (d *doctor) config(s invoke.Source, faults error) (found bool) {
	list := []string(syntax.AppErrors(faults))
	if s.Raw != nil {
		list = app.ConfigErrors(s.Raw, s.From)
	}
	for _, line := range list {
		d.fail("config", "%s", line)
	}
	if s.Raw == nil || len(list) > 0 {
		return len(list) > 0
	}
	if err := provisions(s.Raw); err != nil {
		d.fail("config", "%v", err)
		return true
	}
	return false
}

// provisions has Caddy load every module of the config, and start none. Neither
// its logs are opened nor its storage touched: the files would be of whoever
// runs the command.
func provisions(raw []byte) error {
	config := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(caddy.RemoveMetaFields(raw), config); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mana-doctor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if config.StorageRaw, err = json.Marshal(map[string]string{"module": "file_system", "root": dir}); err != nil {
		return err
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	config.Admin = &caddy.AdminConfig{Disabled: true}
	return caddy.Validate(config)
}

// secrets warns of those that stand in the config themselves: its text, the
// admin endpoint's /config/ and Caddy's autosave.json show them.
func (d *doctor) secrets(c config.Config) {
	values := map[string][]string{
		"encryption_key": append([]string{c.EncryptionKey}, c.OldEncryptionKeys...),
		"service_key":    {c.ServiceKey},
	}
	if c.Stripe != nil {
		values["stripe secret_key"] = []string{c.Stripe.SecretKey}
		values["stripe webhook_secret"] = c.Stripe.WebhookSecret
	}
	if c.SMTP != nil {
		values["smtp password"] = []string{c.SMTP.Password}
	}
	if c.Events != nil {
		values["events secret"] = []string{c.Events.Secret}
	}
	if c.Storage != nil {
		values["storage secret_key"] = []string{c.Storage.SecretKey}
	}
	for _, k := range c.ServiceKeys {
		values["service_key "+k.Name] = []string{k.Key}
	}
	for _, b := range c.Backends {
		values["backend "+b.ID] = []string{b.Key}
	}
	urls := map[string]string{"redis": c.Redis, "replica": c.Replica}
	if c.Database != nil {
		urls["database"], urls["database direct"] = c.Database.URL, c.Database.Direct
	}
	for option, text := range urls {
		if holdsPassword(text) {
			values[option] = []string{text}
		}
	}
	found := false
	for _, option := range slices.Sorted(maps.Keys(values)) {
		for _, text := range values[option] {
			if text != "" && !strings.Contains(text, "{") {
				found = true
				d.warn("secrets", "%s holds a secret in clear, which the file, /config/ of the admin endpoint and Caddy's autosave.json show; "+
					"write {env.NAME} or {file./path} instead ({$NAME} is put into the config in clear too), and change the secret", option)
				break
			}
		}
	}
	if !found {
		d.ok("secrets", "none stands in the config")
	}
}

// holdsPassword reports whether a URL, or a DSN of keywords, has a password.
func holdsPassword(text string) bool {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		_, set := u.User.Password()
		return set
	}
	return strings.Contains(text, "password=")
}

// admin warns where more than this user may put another config into the
// process that signs tokens.
func (d *doctor) admin(raw []byte) {
	var whole struct {
		Admin struct {
			Disabled bool   `json:"disabled"`
			Listen   string `json:"listen"`
		} `json:"admin"`
	}
	_ = json.Unmarshal(raw, &whole)
	listen := whole.Admin.Listen
	if listen == "" {
		listen = caddy.DefaultAdminListen
	}
	address, err := caddy.ParseNetworkAddress(listen)
	switch {
	case whole.Admin.Disabled:
		d.ok("admin", "the endpoint is off")
	case err == nil && (address.IsUnixNetwork() || address.IsFdNetwork()):
		d.ok("admin", "at %s", listen)
	default:
		d.warn("admin", "the admin endpoint is at %s: every program on this machine that reaches it, an app behind the edge too, can load "+
			"another config into the process that signs tokens; use a socket, as `admin unix//run/mana-edge/admin.sock`", listen)
	}
}
