package services

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/internal/localpg"
)

// embeddedServers are the embedded servers of this process by their directory,
// so that runtimes of different settings share one.
var embeddedServers = caddy.NewUsagePool()

// embeddedStopWait bounds the orderly shutdown of the server.
const embeddedStopWait = 20 * time.Second

type pooledServer struct {
	*localpg.Server
	log *slog.Logger
}

// Destruct implements [caddy.Destructor].
func (p pooledServer) Destruct() error {
	ctx, cancel := context.WithTimeout(context.Background(), embeddedStopWait)
	defer cancel()
	return p.Stop(ctx)
}

// AcquireEmbedded returns the running server of dir, starting it for its first
// user; release stops it after its last.
func AcquireEmbedded(ctx context.Context, dir string, log *slog.Logger) (server *localpg.Server, release func(), err error) {
	value, _, err := embeddedServers.LoadOrNew(dir, func() (caddy.Destructor, error) {
		server, err := localpg.Start(ctx, localpg.Config{Dir: dir, Logger: log})
		if err != nil {
			return nil, err
		}
		return pooledServer{server, log}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	release = func() {
		if _, err := embeddedServers.Delete(dir); err != nil {
			log.Error("stop the embedded PostgreSQL", "error", err)
		}
	}
	return value.(pooledServer).Server, release, nil
}

// EmbeddedKeyFile is the encryption key of an embedded database, in its directory.
const EmbeddedKeyFile = "encryption_key"

// embeddedKey reads the encryption key that belongs to the embedded database,
// and makes it where there is none yet. Of several that make it at once one
// wins, and all get that one.
func embeddedKey(dir string) (config.Secret, error) {
	path := filepath.Join(dir, EmbeddedKeyFile)
	if key, err := ReadKey(path); !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	raw := make([]byte, 48)
	if _, err := rand.Read(raw); err != nil {
		return config.Secret{}, err
	}
	draft, err := os.CreateTemp(dir, EmbeddedKeyFile+".*") // mode 0600
	if err != nil {
		return config.Secret{}, err
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return config.Secret{}, err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return config.Secret{}, err
	}
	return ReadKey(path)
}

// ReadKey reads an encryption key from a file.
func ReadKey(path string) (config.Secret, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return config.Secret{}, err
	}
	text := strings.TrimSpace(string(raw))
	if len(text) < 32 {
		return config.Secret{}, fmt.Errorf("%s is damaged: it holds %d bytes, at least 32 are needed", path, len(text))
	}
	return config.NewSecret(text), nil
}
