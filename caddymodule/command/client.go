package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/command/invoke"
)

func clientCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "client <command>",
		Short: "Manages the clients of the OpenID provider",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	create := &cobra.Command{
		Use:   "create --redirect-uri <uri>… [--id <id>] [--name <name>] [--public | --trusted]",
		Short: "Makes a client and prints its secret, once",
		Long: `Makes a client and prints its secret, once: the database keeps a digest alone. A
client that cannot keep a secret, such as an app on a phone or in a browser, is
public: it has none, and must use PKCE. A trusted one, of the own family, asks
nobody for consent.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(createClient),
	}
	f := create.Flags()
	f.String("id", "", "The client_id; made up where it is not given")
	f.String("name", "", "What users are shown; the id where it is not given")
	f.Bool("public", false, "It keeps no secret")
	f.Bool("trusted", false, "Users are not asked for consent")
	f.StringArray("redirect-uri", nil, "Where the browser may be led back to, each letter by letter (repeatable)")
	f.StringArray("post-logout-redirect-uri", nil, "Where it may go after signing out (repeatable)")
	f.String("backchannel-logout-uri", "", "Where the client is told of sessions that have ended")
	f.StringSlice("scopes", nil, "Scopes it may ask for; openid,profile,email,offline_access where not given")
	f.StringSlice("grant-types", nil, "Grants it may use; authorization_code,refresh_token where not given")
	f.String("id-token-signed-response-alg", "", "EdDSA or RS256; EdDSA where not given")
	f.String("access-token", "", "opaque or jwt; opaque where not given")
	f.String("audience", "", "The aud of access tokens; the client's id where not given")
	f.String("logo-uri", "", "A picture of the client")

	list := &cobra.Command{
		Use:   "list",
		Short: "Lists every client, those of the config first",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listClients),
	}
	rotate := &cobra.Command{
		Use:   "rotate <id>",
		Short: "Gives a client another secret and prints it, once",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(rotateClient),
	}
	remove := &cobra.Command{
		Use:   "delete <id>",
		Short: "Deletes a client, ends its sessions and forgets what users have allowed it",
		Args:  cobra.ExactArgs(1),
		RunE:  invoke.Runs(deleteClient),
	}
	group.AddCommand(create, list, rotate, remove)
	return group
}

// clientView is a client in JSON. Secret is there once.
type clientView struct {
	ID                     string   `json:"id"`
	Name                   string   `json:"name"`
	Secret                 string   `json:"secret,omitempty"`
	Public                 bool     `json:"public"`
	Trusted                bool     `json:"trusted"`
	Configured             bool     `json:"configured"`
	RedirectURIs           []string `json:"redirectUris"`
	PostLogoutRedirectURIs []string `json:"postLogoutRedirectUris"`
	BackchannelLogoutURI   string   `json:"backchannelLogoutUri,omitempty"`
	Scopes                 []string `json:"scopes"`
	GrantTypes             []string `json:"grantTypes"`
	Algorithm              string   `json:"idTokenSignedResponseAlg"`
	AccessToken            string   `json:"accessToken"`
	Audience               string   `json:"audience"`
}

func viewClient(c openid.Client) clientView {
	return clientView{
		ID: c.ID, Name: c.Name, Public: c.Public, Trusted: c.Trusted, Configured: c.Configured,
		RedirectURIs: listed(c.RedirectURIs), PostLogoutRedirectURIs: listed(c.PostLogoutRedirectURIs), BackchannelLogoutURI: c.BackchannelLogoutURI,
		Scopes: listed(c.Scopes), GrantTypes: listed(c.GrantTypes), Algorithm: string(c.Algorithm), AccessToken: string(c.AccessTokenFormat), Audience: c.TokenAudience(),
	}
}

// listed is a list that JSON writes as one where it is empty, too.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func createClient(inv invoke.Invocation, _ []string) error {
	flags := inv.Flags()
	redirects, e1 := flags.GetStringArray("redirect-uri")
	afterwards, e2 := flags.GetStringArray("post-logout-redirect-uri")
	scopes, e3 := flags.GetStringSlice("scopes")
	grants, e4 := flags.GetStringSlice("grant-types")
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return err
	}
	c := openid.Client{
		ID: inv.Flag("id"), Name: inv.Flag("name"), Public: inv.On("public"), Trusted: inv.On("trusted"), RedirectURIs: redirects,
		PostLogoutRedirectURIs: afterwards, BackchannelLogoutURI: inv.Flag("backchannel-logout-uri"), Scopes: scopes, GrantTypes: grants,
		Algorithm: token.Algorithm(inv.Flag("id-token-signed-response-alg")), AccessTokenFormat: openid.Format(inv.Flag("access-token")),
		Audience: inv.Flag("audience"), LogoURI: inv.Flag("logo-uri"),
	}
	return inv.WithService(func(s *authcore.Service) error {
		made, secret, err := s.CreateOpenIDClient(inv.Ctx, invoke.Operator(), c)
		if err != nil {
			return err
		}
		view := viewClient(made)
		view.Secret = secret
		return inv.Print(view, func(w io.Writer) {
			invoke.Line(w, "client_id\t%s", view.ID)
			if secret != "" {
				invoke.Line(w, "client_secret\t%s", secret)
			}
		})
	})
}

func listClients(inv invoke.Invocation, _ []string) error {
	return inv.WithService(func(s *authcore.Service) error {
		list, err := s.OpenIDClients(inv.Ctx)
		if err != nil {
			return err
		}
		views := make([]clientView, len(list))
		for i, c := range list {
			views[i] = viewClient(c)
		}
		return inv.Print(views, func(w io.Writer) {
			invoke.Line(w, "ID\tNAME\tKIND\tFROM\tREDIRECTS")
			for _, v := range views {
				invoke.Line(w, "%s\t%s\t%s\t%s\t%s", v.ID, v.Name, clientKind(v), clientSource(v), strings.Join(v.RedirectURIs, " "))
			}
		})
	})
}

func clientKind(v clientView) string {
	switch {
	case v.Public:
		return "public"
	case v.Trusted:
		return "trusted"
	}
	return "confidential"
}

func clientSource(v clientView) string {
	if v.Configured {
		return "config"
	}
	return "database"
}

func rotateClient(inv invoke.Invocation, args []string) error {
	return inv.WithService(func(s *authcore.Service) error {
		secret, err := s.RotateOpenIDClient(inv.Ctx, invoke.Operator(), args[0])
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return inv.Print(map[string]string{"id": args[0], "secret": secret}, func(w io.Writer) {
			invoke.Line(w, "client_id\t%s", args[0])
			invoke.Line(w, "client_secret\t%s", secret)
		})
	})
}

func deleteClient(inv invoke.Invocation, args []string) error {
	return inv.WithService(func(s *authcore.Service) error {
		if err := s.DeleteOpenIDClient(inv.Ctx, invoke.Operator(), args[0]); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return inv.Print(map[string]any{"id": args[0], "deleted": true}, func(w io.Writer) {
			invoke.Line(w, "deleted the client %s", args[0])
		})
	})
}
