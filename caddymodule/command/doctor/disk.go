package doctor

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/caddyserver/caddy/v2"

	"mana.how/edge/caddymodule/config"
)

const (
	mib = 1 << 20
	// diskLow and diskOut are how much must be left where certificates and an
	// embedded database are written.
	diskLow, diskOut = 1024 * mib, 100 * mib
)

// disk examines what is left where the edge writes.
func (d *doctor) disk(place config.Database) {
	dirs := []string{caddy.AppDataDir()}
	if place.Embedded() {
		dirs = append(dirs, place.Dir)
	}
	seen := make(map[syscall.Fsid]bool)
	for _, dir := range dirs {
		there := existing(dir)
		var fs syscall.Statfs_t
		if err := syscall.Statfs(there, &fs); err != nil {
			d.warn("disk", "%s: %v", there, err)
			continue
		}
		if seen[fs.Fsid] {
			continue
		}
		seen[fs.Fsid] = true
		d.room(there, uint64(fs.Bavail)*uint64(fs.Bsize)) //nolint:unconvert,gosec // the types differ between systems
	}
}

// room judges how many bytes are left below a folder.
func (d *doctor) room(dir string, left uint64) {
	switch {
	case left < diskOut:
		d.fail("disk", "%d MiB are left at %s: PostgreSQL stops when there are none", left/mib, dir)
	case left < diskLow:
		d.warn("disk", "%d MiB are left at %s", left/mib, dir)
	default:
		d.ok("disk", "%d MiB are left at %s", left/mib, dir)
	}
}

// existing is the folder, or the nearest one above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}
