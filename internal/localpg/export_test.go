package localpg

import (
	"context"
	"log/slog"
)

// Fetch exposes the download for a cluster of its own user in dir, and tells
// where the binaries are and their version.
func Fetch(ctx context.Context, dir string, major int) (bin, version string, err error) {
	c, err := locate(dir)
	if err != nil {
		return "", "", err
	}
	b, err := fetch(ctx, c, major, slog.New(slog.DiscardHandler))
	return b.dir, b.version, err
}

// UpgradeAnyway is Upgrade, to the same version too.
func UpgradeAnyway(ctx context.Context, cfg Config, fill func(ctx context.Context, from, to *Server) error) (Upgraded, error) {
	return upgrade(ctx, cfg, false, fill)
}
