package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/caddymodule/syntax"
	"mana.how/edge/internal/mail"
)

// ErrNotForDevelopment means that a config could be reached by others.
var ErrNotForDevelopment = errors.New("not a config for development")

// Develop loads a config in JSON and runs it for development: mails go to
// letters, and the codes of mails and authenticators are the fixed ones of
// [authcore.Service.FixCodes]. No config can ask for that, this function alone
// can, and it takes none that could be reached from another machine, or be
// replaced while it runs: base_url is at localhost, all sites listen on loopback
// addresses, the database is an embedded one, the admin endpoint is off, and
// there is no app but those that the sites need. It fails with
// [ErrNotForDevelopment] where that is not so, and as a start of Caddy does.
func Develop(ctx context.Context, text []byte, letters mail.Sender) (*services.Runtime, error) {
	if err := forDevelopment(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotForDevelopment, err)
	}
	if err := caddy.Load(text, true); err != nil {
		return nil, err
	}
	module, err := caddy.ActiveContext().AppIfConfigured(syntax.AppName)
	if err != nil {
		return nil, err
	}
	rt, err := module.(*App).Runtime(ctx)
	if err != nil {
		return nil, err
	}
	rt.Mail.SendBy(letters)
	rt.Auth.FixCodes()
	return rt, nil
}

// forDevelopment reports all that is wrong.
func forDevelopment(text []byte) error {
	var whole caddy.Config
	if err := caddy.StrictUnmarshalJSON(text, &whole); err != nil {
		return err
	}
	var faults []error
	if whole.Admin == nil || !whole.Admin.Disabled || whole.Admin.Config != nil && whole.Admin.Config.LoadRaw != nil {
		faults = append(faults, errors.New("admin: is not off"))
	}
	for name := range whole.AppsRaw {
		if name != syntax.AppName && name != "http" {
			faults = append(faults, fmt.Errorf("%s: is another app", name))
		}
	}
	var own config.Config
	var sites caddyhttp.App
	for name, into := range map[string]any{syntax.AppName: &own, "http": &sites} {
		if err := json.Unmarshal(whole.AppsRaw[name], into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	settings, err := own.Resolve(config.ProcessEnvironment)
	if err != nil {
		return err
	}
	if settings.BaseURL.Hostname() != "localhost" {
		faults = append(faults, errors.New("base_url: is not at localhost"))
	}
	if !settings.Database.Embedded() {
		faults = append(faults, errors.New("database: is not an embedded one"))
	}
	for name, server := range sites.Servers {
		for _, listen := range server.Listen {
			if !onLoopback(listen) {
				faults = append(faults, fmt.Errorf("http: the server %s listens on %s, which is no loopback address", name, listen))
			}
		}
		if len(server.Listen) == 0 {
			faults = append(faults, fmt.Errorf("http: the server %s listens everywhere", name))
		}
	}
	return errors.Join(faults...)
}

// onLoopback reports whether a listener is at a loopback address, written as a
// number: a name may lead elsewhere.
func onLoopback(listen string) bool {
	at, err := caddy.ParseNetworkAddress(listen)
	if err != nil || at.Network != "tcp" {
		return false
	}
	address, err := netip.ParseAddr(strings.Trim(at.Host, "[]"))
	return err == nil && address.IsLoopback()
}
