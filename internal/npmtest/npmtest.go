// Package npmtest installs the npm packages that tests run: those of tools/npm, at the
// versions and digests of its lock file.
package npmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Dir is a directory of the test's own in which the packages are installed, beside the
// programs of tools/npm.
func Dir(t testing.TB) string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	dir, from := t.TempDir(), filepath.Join(filepath.Dir(self), "..", "..", "tools", "npm")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// No script of a package runs.
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("npm: %w\n%s", err, out))
	}
	return dir
}
