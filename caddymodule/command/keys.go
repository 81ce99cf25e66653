package command

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/keyring"
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
		Use:   "list [--purpose token|proof]",
		Short: "Lists signing keys and what they are doing",
		Args:  cobra.NoArgs,
		RunE:  invoke.Runs(listKeys),
	}
	rotate := &cobra.Command{
		Use:   "rotate [--purpose token|proof] [--algorithm EdDSA|RS256] [--now]",
		Short: "Makes a new signing key",
		Long: `Makes a new signing key. It is announced first, so that whoever caches the key
set knows it when it begins to sign; the old one goes when its last token has
expired. --now cuts the announcement down to the moment every edge needs to
learn of the key: others who cached the key set refuse new tokens until they
look again. The old key stops signing then, and verifies until the tokens it
signed have expired: a key that others may know is ended by keys revoke.

With --purpose proof it is the key that signs roots of the ledger and receipts
from now on. What the older ones have signed verifies for ever.`,
		Args: cobra.NoArgs,
		RunE: invoke.Runs(rotateKeys),
	}
	rotate.Flags().String("algorithm", string(token.EdDSA), "EdDSA, or RS256 for the OpenID clients that are registered so")
	rotate.Flags().Bool("now", false, "Sign with the new key as soon as every edge knows it")
	revoke := &cobra.Command{
		Use:   "revoke [--purpose token|proof] <key id>",
		Short: "Ends a signing key that others may know",
		Long: `Ends a signing key that others may know. Its private half is wiped, and every
running edge refuses what it signed within a second; clients refresh by
themselves. Where it was the signing one, a new key signs at once. Apps that
verify tokens by a key set they cached, for up to five minutes, take what the
key signed until they look again. Lists all keys then.

With --purpose proof, roots and receipts that the key has signed prove nothing
any more.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(revokeKey),
	}
	for _, cmd := range []*cobra.Command{list, rotate, revoke} {
		cmd.Flags().String("purpose", string(keyring.Tokens), "What the keys sign: token, or proof for roots of the ledger and receipts")
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

// forProofs reports whether the keys for proofs are meant.
func forProofs(inv invoke.Invocation) (bool, error) {
	switch purpose := keyring.Purpose(inv.Flag("purpose")); purpose {
	case keyring.Tokens, keyring.Proofs:
		return purpose == keyring.Proofs, nil
	default:
		return false, fmt.Errorf("--purpose: %q is neither token nor proof", purpose)
	}
}

func listKeys(inv invoke.Invocation, _ []string) error {
	proofs, err := forProofs(inv)
	if err != nil {
		return err
	}
	return inv.WithKeys(func(s *authcore.Service) error {
		list := s.Keys
		if proofs {
			list = s.ProofKeyList
		}
		keys, err := list(inv.Ctx)
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
	proofs, err := forProofs(inv)
	if err != nil {
		return err
	}
	return inv.WithKeys(func(s *authcore.Service) error {
		revoke := s.RevokeKey
		if proofs {
			revoke = s.RevokeProofKey
		}
		keys, err := revoke(inv.Ctx, invoke.Operator(), args[0])
		if err != nil {
			return err
		}
		return printAllKeys(inv, keys)
	})
}

func rotateKeys(inv invoke.Invocation, _ []string) error {
	proofs, err := forProofs(inv)
	if err != nil {
		return err
	}
	algorithm := token.Algorithm(inv.Flag("algorithm"))
	if proofs && algorithm != token.EdDSA {
		return errors.New("--algorithm: keys for proofs are EdDSA")
	}
	return inv.WithKeys(func(s *authcore.Service) error {
		rotate := func() (token.Info, error) { return s.RotateKeys(inv.Ctx, invoke.Operator(), algorithm, inv.On("now")) }
		if proofs {
			rotate = func() (token.Info, error) { return s.RotateProofKey(inv.Ctx, invoke.Operator(), inv.On("now")) }
		}
		key, err := rotate()
		if err != nil {
			return err
		}
		view := viewKey(key)
		return inv.Print(view, func(w io.Writer) { printKeys(w, view) })
	})
}
