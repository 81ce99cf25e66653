package localpg

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

const (
	adminRole       = "postgres"
	loginRole       = "mana"
	databaseName    = "mana"
	credentialsName = "credentials.json"
)

// credentials are the secrets of a cluster and where its server listens. They are
// kept in a file of mode 0600 and appear in no log and on no command line.
type credentials struct {
	AdminPassword string `json:"admin_password"`
	Password      string `json:"password"`
	// Host is the directory of the UNIX socket, or a loopback address.
	Host string `json:"host"`
	Port int    `json:"port"`
}

func newCredentials() credentials {
	return credentials{AdminPassword: rand.Text(), Password: rand.Text()}
}

// LogValue keeps the secrets out of logs.
func (c credentials) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// String keeps the secrets out of formatted text.
func (c credentials) String() string { return "[redacted]" }

// dsn is a URL that pgx and libpq both take.
func (c credentials) dsn(role, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password), Path: "/" + database,
	}
	q := url.Values{"sslmode": {"disable"}}
	if filepath.IsAbs(c.Host) {
		q.Set("host", c.Host)
		q.Set("port", strconv.Itoa(c.Port))
	} else {
		u.Host = net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func readCredentials(dir string) (credentials, error) {
	path := filepath.Join(dir, credentialsName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return credentials{}, fmt.Errorf("%s is missing, and with it the passwords of the database beside it: restore it from a backup: %w", path, err)
	}
	if err != nil {
		return credentials{}, fmt.Errorf("read the database credentials: %w", err)
	}
	var c credentials
	if err := json.Unmarshal(raw, &c); err != nil || c.AdminPassword == "" || c.Password == "" {
		return credentials{}, fmt.Errorf("%s does not hold database credentials: restore it from a backup", path)
	}
	return c, nil
}

// write replaces the credentials file of dir in one step.
func (c credentials) write(dir string) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, credentialsName)
	f, err := os.CreateTemp(dir, credentialsName+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the database credentials: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the database credentials: %w", err)
	}
	keepOwner(dir, f.Name())
	return os.Rename(f.Name(), path)
}

// keepOwner gives a file that root made to the owner of its directory, so that a
// command run by root does not lock out the user who runs the server.
func keepOwner(dir, path string) {
	if os.Getuid() != 0 {
		return
	}
	if info, err := os.Stat(dir); err == nil {
		uid, gid := owner(info)
		_ = os.Lchown(path, uid, gid)
	}
}
