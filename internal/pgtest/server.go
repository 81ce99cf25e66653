package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"mana.how/edge/internal/localpg"
)

// settings trade durability for speed: the data lives as long as the tests.
var settings = map[string]string{
	"autovacuum":         "off",
	"fsync":              "off",
	"full_page_writes":   "off",
	"jit":                "off",
	"max_connections":    "400",
	"synchronous_commit": "off",
}

var shared struct {
	sync.Mutex
	instance *instance
	err      error
	used     bool
}

// instance is the server of this test binary.
type instance struct {
	server *localpg.Server
	watch  *watchdog
}

// Main runs the tests of a package, stops the shared server, removes its data and
// returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// server returns the shared server, which it starts on first use.
func server(t testing.TB) *localpg.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.used {
		shared.used = true
		shared.instance, shared.err = start()
	}
	if shared.err != nil {
		t.Fatalf("start PostgreSQL for tests: %v", shared.err)
	}
	return shared.instance.server
}

func start() (*instance, error) {
	dir, watch, err := watchedDir()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := localpg.Start(ctx, localpg.Config{Dir: dir, Options: settings})
	if err != nil {
		watch.release()
		return nil, err
	}
	return &instance{server: s, watch: watch}, nil
}

func stop() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.instance == nil {
		return nil
	}
	err := shared.instance.server.Stop(context.Background())
	shared.instance.watch.release()
	shared.instance = nil
	return err
}
