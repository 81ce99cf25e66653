package backup

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"

	"mana.how/edge/caddymodule/command/invoke"
)

// shortestPassphrase of a backup, in bytes: the file may be copied and guessed at for years.
const shortestPassphrase = 12

const passphraseVariable = "MANA_BACKUP_PASSPHRASE"

var errNoSecret = errors.New("a backup holds the key that signs tokens, so it is never written in clear: name --recipient (a public key of age), --passphrase-file, or set " + passphraseVariable)

// recipients are who may open the backup.
func recipients(inv invoke.Invocation) ([]age.Recipient, error) {
	keys, err := inv.Flags().GetStringArray("recipient")
	if err != nil {
		return nil, err
	}
	passphrase, err := passphraseOf(inv)
	if err != nil {
		return nil, err
	}
	switch {
	case len(keys) > 0 && inv.Flag("passphrase-file") != "":
		return nil, errors.New("--recipient and --passphrase-file exclude each other: age takes one or the other")
	case len(keys) > 0:
		return age.ParseRecipients(strings.NewReader(strings.Join(keys, "\n")))
	case passphrase == "":
		return nil, errNoSecret
	case len(passphrase) < shortestPassphrase:
		return nil, fmt.Errorf("the passphrase has %d bytes, at least %d are needed", len(passphrase), shortestPassphrase)
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	return []age.Recipient{recipient}, nil
}

// identities are what the caller opens the backup with.
func identities(inv invoke.Invocation) ([]age.Identity, error) {
	if name := inv.Flag("identity"); name != "" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		found, err := age.ParseIdentities(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return found, nil
	}
	passphrase, err := passphraseOf(inv)
	if err != nil {
		return nil, err
	}
	if passphrase == "" {
		return nil, errors.New("name what opens the backup: --identity (a file of age), --passphrase-file, or " + passphraseVariable)
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	return []age.Identity{identity}, nil
}

func passphraseOf(inv invoke.Invocation) (string, error) {
	if name := inv.Flag("passphrase-file"); name != "" {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(text), "\r\n"), nil
	}
	return os.Getenv(passphraseVariable), nil
}
