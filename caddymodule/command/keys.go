package command

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/command/invoke"
)

func keysCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "keys <command>",
		Short: "Lists, rotates and revokes signing keys",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Lists signing keys and what they are doing",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listKeys),
	}
	rotate := &cobra.Command{
		Use:   "rotate [--algorithm EdDSA|RS256] [--now]",
		Short: "Makes a new signing key",
		Long: `Makes a new signing key. It is announced first, so that whoever caches the key
set knows it when it begins to sign; the old one goes when its last token has
expired. --now cuts the announcement down to the moment every edge needs to
learn of the key: others who cached the key set refuse new tokens until they
look again. The old key stops signing then, and verifies until the tokens it
signed have expired: a key that others may know is ended by keys revoke.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(rotateKeys),
	}
	rotate.Flags().String("algorithm", string(token.EdDSA), "EdDSA, or RS256 for the OpenID clients that are registered so")
	rotate.Flags().Bool("now", false, "Sign with the new key as soon as every edge knows it")
	revoke := &cobra.Command{
		Use:   "revoke <key id>",
		Short: "Ends a signing key that others may know",
		Long: `Ends a signing key that others may know. Its private half is wiped, and every
running edge refuses what it signed within a second; clients refresh by
themselves. Where it was the signing one, a new key signs at once. Apps that
verify tokens by a key set they cached, for up to five minutes, take what the
key signed until they look again. Lists all keys then.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(revokeKey),
	}
	group.AddCommand(list, rotate, revoke)
	return group
}

// keyView is a signing key in JSON.
type keyView struct {
	ID        string          `json:"id"`
	Algorithm token.Algorithm `json:"algorithm"`
	State     token.KeyState  `json:"state"`
	CreatedAt time.Time       `json:"createdAt"`
	SignsFrom time.Time       `json:"signsFrom"`
	GoneAt    *time.Time      `json:"goneAt"`
}

func viewKey(k token.Info) keyView {
	return keyView{ID: k.ID, Algorithm: k.Algorithm, State: k.State, CreatedAt: k.CreatedAt, SignsFrom: k.SignsFrom, GoneAt: k.GoneAt}
}

func printKeys(w io.Writer, keys ...keyView) {
	invoke.Line(w, "ID\tALGORITHM\tSTATE\tCREATED\tSIGNS FROM\tGONE AT")
	for _, k := range keys {
		invoke.Line(w, "%s\t%s\t%v\t%s\t%s\t%s", k.ID, k.Algorithm, k.State, invoke.Time(k.CreatedAt), invoke.Time(k.SignsFrom), invoke.OptionalTime(k.GoneAt))
	}
}

func listKeys(inv invoke.Invocation, _ []string) error {
	return inv.WithKeys(func(s *authcore.Service) error {
		keys, err := s.Keys(inv.Ctx)
		if err != nil {
			return err
		}
		return printAllKeys(inv, keys)
	})
}

func printAllKeys(inv invoke.Invocation, keys []token.Info) error {
	views := make([]keyView, len(keys))
	for i, k := range keys {
		views[i] = viewKey(k)
	}
	return inv.Print(views, func(w io.Writer) { printKeys(w, views...) })
}

func revokeKey(inv invoke.Invocation, args []string) error {
	return inv.WithKeys(func(s *authcore.Service) error {
		keys, err := s.RevokeKey(inv.Ctx, invoke.Operator(), args[0])
		if err != nil {
			return err
		}
		return printAllKeys(inv, keys)
	})
}

func rotateKeys(inv invoke.Invocation, _ []string) error {
	return inv.WithKeys(func(s *authcore.Service) error {
		key, err := s.RotateKeys(inv.Ctx, invoke.Operator(), token.Algorithm(inv.Flag("algorithm")), inv.On("now"))
		if err != nil {
			return err
		}
		view := viewKey(key)
		return inv.Print(view, func(w io.Writer) { printKeys(w, view) })
	})
}
