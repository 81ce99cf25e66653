package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/config"
)

func keyCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "key <command>",
		Short: "Lists and revokes API keys of users",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list <user id or e-mail>",
		Short: "Lists the API keys of a user, newest first, those revoked included",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(listAPIKeys),
	}
	revoke := &cobra.Command{
		Use:   "revoke <key id>",
		Short: "Ends an API key",
		Long: `Ends an API key. Every running edge refuses it within a second, and what is open
of it ends. Users make new ones by themselves.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(revokeAPIKey),
	}
	group.AddCommand(list, revoke)
	return group
}

// apiKeyView is an API key in JSON.
type apiKeyView struct {
	ID               string     `json:"id"`
	Name             string     `json:"name"`
	KeyPrefix        string     `json:"keyPrefix"`
	Scopes           []string   `json:"scopes"`
	OrganizationID   *string    `json:"organizationId"`
	AllowedAddresses []string   `json:"allowedAddresses"`
	CreatedAt        time.Time  `json:"createdAt"`
	ExpiresAt        *time.Time `json:"expiresAt"`
	LastUsedAt       *time.Time `json:"lastUsedAt"`
	RevokedAt        *time.Time `json:"revokedAt"`
}

func viewAPIKey(k apikey.Key) apiKeyView {
	return apiKeyView{
		ID: k.ID, Name: k.Name, KeyPrefix: k.Shown, Scopes: k.Scopes, OrganizationID: k.OrganizationID, AllowedAddresses: k.AllowedAddresses,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, RevokedAt: k.RevokedAt,
	}
}

func listAPIKeys(inv invoke.Invocation, args []string) error {
	return onUser(inv, args, func(s *authcore.Service, u authcore.User) error {
		keys, err := s.APIKeysOf(inv.Ctx, invoke.Operator(), u.ID)
		if err != nil {
			return err
		}
		views := make([]apiKeyView, len(keys))
		for i, k := range keys {
			views[i] = viewAPIKey(k)
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tKEY\tNAME\tSCOPES\tCREATED\tLAST USED\tEXPIRES\tREVOKED")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.KeyPrefix, v.Name, strings.Join(v.Scopes, " "),
					invoke.Time(v.CreatedAt), invoke.OptionalTime(v.LastUsedAt), invoke.OptionalTime(v.ExpiresAt), invoke.OptionalTime(v.RevokedAt))
			}
		})
	})
}

func revokeAPIKey(inv invoke.Invocation, args []string) error {
	return inv.WithService(func(s *authcore.Service) error {
		if err := s.RevokeAPIKeyOf(inv.Ctx, invoke.Operator(), args[0]); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return inv.Print(map[string]any{"id": args[0], "revoked": true}, func(w io.Writer) {
			invoke.Line(w, "revoked the API key %s", args[0])
		})
	})
}

func serviceKeyCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "service-key <command>",
		Short: "Lists the service keys of back ends, and makes new ones",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists the service keys of the config, and what each may do",
		Long: `Lists the service keys of the config, and what each may do: those with a name
within their scopes and under their own appId, the one without a name everything.
The keys themselves are not shown.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(listServiceKeys),
	}
	rotate := &cobra.Command{
		Use:   "rotate [<name>]",
		Short: "Makes a new secret for a service key of the config, and says where to write it",
		Long: `Makes a new secret for a service key of the config: the one of a name, or the one
without. Keys are in the config alone, so nothing changes until it is written
there, and the config reloaded; then the old one is refused at once. The secret is
printed once, and kept nowhere.`,
		Args: cobra.MaximumNArgs(1),
		RunE: invoke.Runs(rotateServiceKey),
	}
	group.AddCommand(list, rotate)
	return group
}

// serviceKeyView is a service key in JSON. Name is nil for the one that may do
// everything.
type serviceKeyView struct {
	Name   *string  `json:"name"`
	Scopes []string `json:"scopes"`
}

// serviceKeysOf are the service keys of the config, and where that is.
func serviceKeysOf(inv invoke.Invocation) (servicekey.Set, invoke.Source, error) {
	source, err := inv.ReadSource()
	if err != nil {
		return nil, source, err
	}
	if !source.Complete {
		source.Env = config.ProcessEnvironment // where there is no file, MANA_CORE_SERVICE_KEY is all there may be
	}
	settings, err := source.Config.Resolve(source.Env)
	if source.Complete && err != nil {
		return nil, source, fmt.Errorf("%s: %w", source.From, err)
	}
	return settings.ServiceKeys(), source, nil
}

// rotatedView is a new secret in JSON. Line is what the mana block says, Variable the
// environment variable that it takes the secret from.
type rotatedView struct {
	Name     *string `json:"name"`
	Secret   string  `json:"secret"`
	Line     string  `json:"line"`
	Variable string  `json:"variable"`
}

func rotateServiceKey(inv invoke.Invocation, args []string) error {
	keys, source, err := serviceKeysOf(inv)
	if err != nil {
		return err
	}
	name := strings.Join(args, "")
	at := slices.IndexFunc(keys, func(k servicekey.Key) bool { return k.Name == name })
	if at < 0 {
		return &invoke.Failure{Code: "SERVICE_KEY_NOT_FOUND", Err: fmt.Errorf("%s has no service key named %q; `service-key list` shows them", source.From, name)}
	}
	view := rotatedView{Secret: servicekey.NewSecret(), Variable: "MANA_CORE_SERVICE_KEY", Line: "service_key {env.MANA_CORE_SERVICE_KEY}"}
	if name != "" {
		view.Name, view.Variable = &name, strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_SERVICE_KEY"
		view.Line = "service_key " + name + " {env." + view.Variable + "}"
		for _, scope := range keys[at].Scopes {
			view.Line += " " + string(scope)
		}
	}
	return inv.Print(view, func(w io.Writer) {
		invoke.Line(w, "secret\t%s", view.Secret)
		invoke.Line(w, "in the environment of the edge\t%s=%s", view.Variable, view.Secret)
		invoke.Line(w, "in the mana block of %s\t%s", source.From, view.Line)
		invoke.Line(w, "then\tgive the secret to the back end, and reload the edge: the old one is refused from then on")
	})
}

func listServiceKeys(inv invoke.Invocation, _ []string) error {
	keys, _, err := serviceKeysOf(inv)
	if err != nil {
		return err
	}
	views := []serviceKeyView{}
	for _, k := range keys {
		v := serviceKeyView{Scopes: []string{}}
		if k.Name != "" {
			v.Name = &k.Name
		}
		for _, scope := range k.Scopes {
			v.Scopes = append(v.Scopes, string(scope))
		}
		views = append(views, v)
	}
	return inv.Print(views, func(w io.Writer) {
		invoke.Line(w, "NAME\tMAY")
		for _, v := range views {
			if v.Name == nil {
				invoke.Line(w, "-\teverything")
				continue
			}
			invoke.Line(w, "%s\t%s", *v.Name, strings.Join(v.Scopes, " "))
		}
	})
}
