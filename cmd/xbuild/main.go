// Command xbuild builds the binary that xcaddy.toml describes: it fills an
// xcaddy.Builder from the file and runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	log.SetFlags(0)
	config := flag.String("config", "xcaddy.toml", "the manifest to build")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *config); err != nil {
		log.Fatalf("xbuild: %v", err)
	}
}

// run builds the manifest at path. Relative paths in it start at its directory.
func run(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	m, err := ParseManifest(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	builder := m.Builder(dir)
	return builder.Build(ctx, filepath.Join(dir, m.Output))
}
