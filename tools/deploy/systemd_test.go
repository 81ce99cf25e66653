package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// `make install` puts everything where the units look for it, keeps a config
// that is there, and systemd has nothing to say about the units.
func TestInstallAndUnits(t *testing.T) {
	t.Parallel()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	install := func() {
		t.Helper()
		// The programs are built already; -o keeps make from building them anew.
		cmd := exec.CommandContext(t.Context(), "make", "-o", "build", "install", "DESTDIR="+dest)
		cmd.Dir = copyForInstall(t)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make install: %v\n%s", err, text)
		}
	}
	install()
	caddyfile := filepath.Join(dest, "etc/mana-edge/Caddyfile")
	if err := os.WriteFile(caddyfile, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	install()
	if text, err := os.ReadFile(caddyfile); err != nil || string(text) != "# mine\n" {
		t.Errorf("the config was replaced: %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dest, "etc/mana-edge/environment")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secrets: %v, %v", info, err)
	}
	if text, err := os.ReadFile(filepath.Join(dest, "etc/sysctl.d/60-mana-edge.conf")); err != nil || !strings.Contains(string(text), "net.ipv4.tcp_migrate_req = 1") {
		t.Errorf("sysctl: %v\n%s", err, text)
	}
	for _, unit := range []string{"mana-edge.service", "mana-demo.service"} {
		path := filepath.Join(dest, "etc/systemd/system", unit)
		// systemd looks for the programs on this machine.
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.ReplaceAll(string(text), "/usr/local/bin/", filepath.Join(dest, "usr/local/bin")+"/")
		here = strings.ReplaceAll(here, "/usr/sbin/sysctl", filepath.Join(dest, "usr/local/bin/demo-app"))
		if err := os.WriteFile(path, []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput()
		if err != nil || strings.Contains(string(out), unit) {
			t.Errorf("systemd-analyze verify %s: %v\n%s", unit, err, out)
		}
	}
	sysctl := unitLines(t, "ExecStartPre=-+/usr/sbin/sysctl")
	if len(sysctl) != 1 || !strings.Contains(sysctl[0], "net.ipv4.tcp_migrate_req=1") {
		t.Errorf("the unit sets %v", sysctl)
	}
}

// unitLines are those of the edge's unit that begin so.
func unitLines(t *testing.T, prefix string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/mana-edge.service"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// copyForInstall is a folder with what `make install` installs: the repository's
// own bin stays as it is.
func copyForInstall(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"Makefile": filepath.Join(absolute, "Makefile"), "deploy": filepath.Join(absolute, "deploy"), ".ci": filepath.Join(absolute, ".ci"),
		"Caddyfile.example": filepath.Join(absolute, "Caddyfile.example"),
		"bin/mana-edge":     filepath.Join(out, "mana-edge"), "bin/demo-app": filepath.Join(out, "demo-app"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
