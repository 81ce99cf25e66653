package localpg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// systemHome is where root's clusters live when their directory is out of the
// server user's reach.
const systemHome = "/var/lib/mana-edge"

// markerName is the link in a directory to a cluster that lives elsewhere.
const markerName = "cluster"

// cluster is a data directory with what belongs to it.
type cluster struct {
	dir     string // the configured directory: lock, credentials, log
	home    string // holds data and run; dir itself unless out of reach
	account account
}

func (c cluster) data() string { return filepath.Join(c.home, "data") }
func (c cluster) run() string  { return filepath.Join(c.home, "run") }
func (c cluster) log() string  { return filepath.Join(c.dir, "postgres.log") }

// locate decides where the cluster of dir lives and who runs it, and makes its
// directories fit. It moves nothing that exists.
func locate(dir string) (cluster, error) {
	marker := filepath.Join(dir, markerName)
	home, err := os.Readlink(marker)
	switch {
	case err == nil:
		if home, err = filepath.EvalSymlinks(home); err != nil {
			return cluster{}, fmt.Errorf("%s says that the database lives elsewhere, where it is not: restore it, or remove the link to begin with an empty one: %w", marker, err)
		}
	case errors.Is(err, os.ErrNotExist):
		home = dir
	default:
		return cluster{}, fmt.Errorf("read %s: %w", marker, err)
	}
	c := cluster{dir: dir, home: home}
	if c.account, err = pickAccount(c.data()); err != nil {
		return cluster{}, err
	}
	if blocked := c.account.blocked(c.home); blocked != "" {
		if _, err := os.Stat(c.data()); err == nil {
			return cluster{}, fmt.Errorf("the database in %s runs as user %s, which may not pass %s: allow it with chmod o+x, or move the directory", c.home, c.account.name, blocked)
		}
		if err := c.leave(marker); err != nil {
			return cluster{}, err
		}
	}
	mode := os.FileMode(0o700)
	if c.account.switched {
		mode = 0o711
	}
	if err := os.Chmod(c.home, mode); err != nil {
		return cluster{}, err
	}
	if err := os.MkdirAll(c.run(), 0o700); err != nil {
		return cluster{}, err
	}
	return c, c.account.give(c.run())
}

// leave moves the home of a new cluster below systemHome and links it in dir.
func (c *cluster) leave(marker string) error {
	sum := sha256.Sum256([]byte(c.dir))
	home := filepath.Join(systemHome, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(home, 0o711); err != nil {
		return fmt.Errorf("create a home for the database outside of %s: %w", c.dir, err)
	}
	if err := os.Chmod(systemHome, 0o711); err != nil {
		return err
	}
	home, err := filepath.EvalSymlinks(home)
	if err != nil {
		return err
	}
	if blocked := c.account.blocked(home); blocked != "" {
		return fmt.Errorf("user %s, who runs PostgreSQL for root, can reach neither %s nor %s: name a reachable directory for the embedded database", c.account.name, c.dir, home)
	}
	if _, err := os.Stat(filepath.Join(home, "data")); err == nil {
		return fmt.Errorf("%s holds a database made for %s, which has lost its link: restore that with ln -s %s %s, or remove the database to begin with an empty one", home, c.dir, home, marker)
	}
	c.home = home
	return os.Symlink(home, marker)
}

// major returns the major version that wrote the data directory, 0 when there is
// none yet.
func (c cluster) major() (int, error) {
	raw, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		if entries, _ := os.ReadDir(c.data()); len(entries) > 0 {
			return 0, fmt.Errorf("%s is not empty and no PostgreSQL data directory", c.data())
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("%s holds the data of PostgreSQL %q: %w", c.data(), strings.TrimSpace(string(raw)), ErrMajorVersion)
	}
	return major, nil
}

// prepare returns the credentials of the cluster, which it initialises if it is
// empty. A half-made cluster never takes the place of a whole one.
func (c cluster) prepare(ctx context.Context, bin binaries, durable bool, log *slog.Logger) (credentials, error) {
	major, err := c.major()
	if err != nil {
		return credentials{}, err
	}
	if major != 0 {
		return readCredentials(c.dir)
	}
	log.Info("initialising the embedded PostgreSQL", "cluster", c.home, "version", bin.version, "user", c.account.name)
	creds := newCredentials()
	fresh := c.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return credentials{}, err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return credentials{}, err
	}
	if err := c.account.give(fresh); err != nil {
		return credentials{}, err
	}
	if err := c.initdb(ctx, bin, fresh, creds, durable); err != nil {
		return credentials{}, errors.Join(err, os.RemoveAll(fresh))
	}
	if err := creds.write(c.dir); err != nil {
		return credentials{}, err
	}
	if err := os.Remove(c.data()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return credentials{}, err
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return credentials{}, err
	}
	return creds, nil
}

// initdb makes a data directory. The superuser's password goes through a file
// that only the server's user can read.
func (c cluster) initdb(ctx context.Context, bin binaries, data string, creds credentials, durable bool) error {
	secret, err := c.passwordFile(creds.AdminPassword)
	if err != nil {
		return err
	}
	defer os.Remove(secret)
	args := []string{
		"--pgdata", data, "--username", adminRole, "--pwfile", secret,
		"--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256",
		"--encoding", "UTF8", "--data-checksums",
	}
	if !durable {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, bin.path("initdb"), append(args, localeArgs(bin.major)...)...)
	cmd.Dir = data
	cmd.Env = serverEnv()
	cmd.SysProcAttr = c.account.attributes()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("initdb as user %s: %w: %s", c.account.name, err, lastLines(out.String(), 5))
	}
	return nil
}

// passwordFile writes a password where initdb reads it. The file is new for sure,
// since the directory belongs to a user of fewer rights.
func (c cluster) passwordFile(password string) (string, error) {
	f, err := os.CreateTemp(c.run(), "initdb-") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(password + "\n")
	if c.account.switched {
		err = errors.Join(err, f.Chown(c.account.uid, c.account.gid))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
