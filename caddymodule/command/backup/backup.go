package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"mana.how/edge/caddymodule/command/invoke"
	"mana.how/edge/caddymodule/metrics"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/internal/localpg"
)

// Commands are `mana-edge mana backup`, `mana-edge mana restore` and `mana-edge mana upgrade-postgres`.
func Commands() []*cobra.Command {
	save := &cobra.Command{
		Use:   "backup <file> (--recipient <public key>… | --passphrase-file <file>)",
		Short: "Writes the embedded database, its key and the pictures into one encrypted file",
		Long: `Writes all that an edge with an embedded database keeps into one file: schema and
rows as of one moment, the encryption key, the pictures of users. The edge may
run meanwhile. The file is encrypted with age (https://age-encryption.org), for
public keys or with a passphrase, and replaces one of the same name only when it
is whole. It needs pg_dump of PostgreSQL.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(backupAction),
	}
	save.Flags().StringArray("recipient", nil, "Public key of age that may open it (age1…); may be repeated")
	save.Flags().String("passphrase-file", "", "File with a passphrase of 12 bytes or more; else "+passphraseVariable)
	load := &cobra.Command{
		Use:   "restore <file> (--identity <file> | --passphrase-file <file>)",
		Short: "Makes the embedded database of a backup, where there is none",
		Long: `Makes the embedded database that the config names out of a backup, on this or
another machine, under this or a newer version of PostgreSQL and of this
program. Where a database, a key or pictures are there already it refuses. Run
it as the user of the edge, with the environment of the edge. It needs
pg_restore of PostgreSQL.`,
		Args: cobra.ExactArgs(1),
		RunE: invoke.Runs(restoreAction),
	}
	load.Flags().String("identity", "", "File with the secret key of age")
	load.Flags().String("passphrase-file", "", "File with the passphrase; else "+passphraseVariable)
	return []*cobra.Command{save, load, upgradeCommand()}
}

// view is a backup in JSON.
type view struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes,omitempty"`
	manifest
}

func (v view) print(inv invoke.Invocation, verb string) error {
	return inv.Print(v, func(w io.Writer) {
		invoke.Line(w, "%s\t%s", verb, v.File)
		invoke.Line(w, "made\t%s", invoke.Time(v.Made))
		invoke.Line(w, "schema\t%d", v.Schema)
		invoke.Line(w, "PostgreSQL\t%d", v.PostgreSQL)
	})
}

// place is the embedded database of the config, and where its pictures lie.
type place struct{ dir, pictures string }

var errNotEmbedded = errors.New("the database is no embedded one: back a server up with what PostgreSQL has for it (docs/operations.md, \"Backup\")")

func placeOf(inv invoke.Invocation) (place, error) {
	s, err := inv.ReadSource()
	if err != nil {
		return place{}, err
	}
	d, err := s.Locate()
	if err != nil {
		return place{}, err
	}
	if !d.Embedded() {
		return place{}, errNotEmbedded
	}
	settings, err := s.Config.Resolve(s.Env)
	if err != nil && s.Complete {
		return place{}, err
	}
	p := place{dir: d.Dir, pictures: settings.Storage.Dir}
	if settings.Storage.Bucket.Endpoint == "" && p.pictures == "" {
		p.pictures = filepath.Join(caddy.AppDataDir(), "mana", "files")
	}
	return p, nil
}

func backupAction(inv invoke.Invocation, args []string) error {
	to, err := recipients(inv)
	if err != nil {
		return err
	}
	p, err := placeOf(inv)
	if err != nil {
		return err
	}
	made := view{File: args[0]}
	err = inv.WithDatabase(func(_ invoke.Source, c invoke.Connection) error {
		return p.save(inv.Ctx, c, to, &made)
	})
	if err != nil {
		return err
	}
	return made.print(inv, "written")
}

// save writes the backup beside its name and puts it there when it is whole.
func (p place) save(ctx context.Context, c invoke.Connection, to []age.Recipient, made *view) (err error) {
	key, err := os.ReadFile(filepath.Join(p.dir, services.EmbeddedKeyFile))
	if errors.Is(err, os.ErrNotExist) {
		key, err = nil, nil // the config has the key, and whoever has the config
	}
	if err != nil {
		return err
	}
	status, err := services.SchemaStatus(ctx, c.At)
	if err != nil {
		return err
	}
	major, err := localpg.Major(p.dir)
	if err != nil {
		return err
	}
	made.manifest = manifest{Format: archiveFormat, Made: time.Now().UTC(), Schema: status.Current, PostgreSQL: major, Edge: metrics.Version()}

	dir := filepath.Dir(made.File)
	dump, err := os.CreateTemp(dir, ".mana-dump-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(dump.Name())
	defer dump.Close()
	if err := p.dump(ctx, major, dump); err != nil {
		return err
	}
	draft, err := os.CreateTemp(dir, ".mana-backup-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	defer draft.Close()
	sealed, err := age.Encrypt(draft, to...)
	if err != nil {
		return err
	}
	if err := (contents{made.manifest, key, p.pictures, dump}).write(sealed); err != nil {
		return err
	}
	if err := errors.Join(sealed.Close(), draft.Sync()); err != nil {
		return err
	}
	info, err := draft.Stat()
	if err != nil {
		return err
	}
	made.Bytes = info.Size()
	if err := os.Rename(draft.Name(), made.File); err != nil {
		return err
	}
	return p.note(*made)
}

// dump writes schema and rows as of one moment.
func (p place) dump(ctx context.Context, major int, to *os.File) error {
	cmd, err := p.tool(ctx, "pg_dump", major, "--format=custom")
	if err != nil {
		return err
	}
	cmd.Stdout = to
	return run(cmd)
}

// tool prepares a client program on the database, as the superuser: rows are
// under forced row-level security. The password is in no argument.
func (p place) tool(ctx context.Context, name string, major int, args ...string) (*exec.Cmd, error) {
	dsn, err := localpg.AdminDSN(p.dir)
	if err != nil {
		return nil, err
	}
	return toolOn(ctx, dsn, name, major, args...)
}

// toolOn is tool on the database of a connection string.
func toolOn(ctx context.Context, dsn, name string, major int, args ...string) (*exec.Cmd, error) {
	path, err := localpg.Tool(ctx, name, major)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("the credentials of the embedded database make no URL")
	}
	password, _ := u.User.Password()
	u.User = url.User(u.User.Username())
	cmd := exec.CommandContext(ctx, path, append(args, "--dbname="+u.String())...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password, "LC_ALL=C"}
	return cmd, nil
}

// run runs a program and tells what it said where it fails.
func run(cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(said.String()))
	}
	return nil
}

// LastFile is where an embedded database notes its last backup.
const LastFile = "last_backup.json"

// note leaves a record for the doctor. It says nothing secret.
func (p place) note(made view) error {
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, LastFile), text, 0o600)
}

// Last is when the embedded database of a directory was backed up last; zero
// where it never was.
func Last(dir string) (time.Time, error) {
	text, err := os.ReadFile(filepath.Join(dir, LastFile))
	if errors.Is(err, os.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var made view
	err = json.Unmarshal(text, &made)
	return made.Made, err
}
