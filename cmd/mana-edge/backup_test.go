package main_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

const backupPassphrase = "a passphrase nobody guesses"

// An edge with an embedded database is backed up while it runs and restored
// elsewhere: the ledger adds up there, people sign in, and what they hold stays
// good. A file that is changed, cut or opened with something else restores nothing.
func TestBackupRestoresOnAnotherMachine(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	register(t, e, "edsger@mana.how", "192.0.2.70")
	access, refresh := login(t, e, "edsger@mana.how", "192.0.2.70")
	e.run(t, "mana", "credits", "grant", "--config", e.config, "--user", "edsger@mana.how", "--amount", "42", "--reason", "test")
	pictures := filepath.Join("data", "caddy", "mana", "files")
	picture := filepath.Join(pictures, "avatars", "one.webp")
	if err := os.MkdirAll(filepath.Join(e.dir, filepath.Dir(picture)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, picture), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(e.dir, "edge.backup")
	if err := fails(t, e, "mana", "backup", file, "--config", e.config); !strings.Contains(err, "never written in clear") {
		t.Errorf("a backup without a secret: %s", err)
	}
	e.Env = append(e.Env, "MANA_BACKUP_PASSPHRASE=short")
	if err := fails(t, e, "mana", "backup", file, "--config", e.config); !strings.Contains(err, "at least 12") {
		t.Errorf("a backup with a short passphrase: %s", err)
	}
	e.Env = []string{"MANA_BACKUP_PASSPHRASE=" + backupPassphrase}
	if said := e.run(t, "mana", "backup", file, "--config", e.config, "--json"); !strings.Contains(said, `"postgresql": `) {
		t.Errorf("backup says %s", said)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(e.dir, "postgres", "encryption_key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, clear := range [][]byte{bytes.TrimSpace(key), []byte("edsger@mana.how"), []byte("PGDMP")} {
		if bytes.Contains(text, clear) {
			t.Errorf("%q stands in the backup in clear", clear)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(e.dir, ".mana-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	forKey := filepath.Join(e.dir, "key.backup")
	e.run(t, "mana", "backup", forKey, "--config", e.config, "--recipient", identity.Recipient().String())
	e.stop(t)

	other := newEdge(t)
	other.BaseURL = e.Auth()
	other.writeConfig(t, "", "")
	database := filepath.Join(other.dir, "postgres")
	wantNothing := func(when string) {
		t.Helper()
		for _, dir := range []string{database, filepath.Join(other.dir, pictures)} {
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("%s: %s holds %v", when, dir, entries)
			}
		}
	}
	damaged := filepath.Join(other.dir, "damaged.backup")
	changed := bytes.Clone(text)
	changed[len(changed)-40] ^= 1
	for when, bad := range map[string][]byte{"cut": text[:len(text)-20], "changed": changed, "no backup": []byte("nothing")} {
		if err := os.WriteFile(damaged, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		other.Env = []string{"MANA_BACKUP_PASSPHRASE=" + backupPassphrase}
		fails(t, other, "mana", "restore", damaged, "--config", other.config)
		wantNothing(when)
	}
	other.Env = []string{"MANA_BACKUP_PASSPHRASE=another passphrase"}
	if err := fails(t, other, "mana", "restore", file, "--config", other.config); !strings.Contains(err, "does not open") {
		t.Errorf("another passphrase: %s", err)
	}
	wantNothing("another passphrase")

	secret := filepath.Join(other.dir, "identity.txt")
	if err := os.WriteFile(secret, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other.Env = nil
	other.run(t, "mana", "restore", forKey, "--config", other.config, "--identity", secret)
	other.Env = []string{"MANA_BACKUP_PASSPHRASE=" + backupPassphrase}
	if err := fails(t, other, "mana", "restore", file, "--config", other.config); !strings.Contains(err, "writes over nothing") {
		t.Errorf("over a database: %s", err)
	}
	if text, err := os.ReadFile(filepath.Join(other.dir, picture)); string(text) != "a picture" {
		t.Errorf("the picture is %q, %v", text, err)
	}

	other.start(t)
	if said := other.run(t, "mana", "credits", "audit", "--config", other.config); !strings.Contains(said, "of 1 accounts") {
		t.Errorf("audit says %s", said)
	}
	want(t, send(t, other.client(), http.MethodGet, other.AppURL()+"/api/whoami", nil, "Authorization", "Bearer "+access), http.StatusOK)
	balance := want(t, send(t, other.client(), http.MethodGet, other.Auth()+"/api/v1/credits/balance", nil, "Authorization", "Bearer "+access), http.StatusOK)
	if got := balance.JSON()["balance"]; got != 42.0 {
		t.Errorf("the balance is %v: %s", got, balance.Body)
	}
	want(t, send(t, other.client(), http.MethodPost, other.Auth()+"/api/v1/auth/refresh", map[string]string{"refreshToken": refresh}), http.StatusOK)
	login(t, other, "edsger@mana.how", "192.0.2.71")
}

// fails runs mana-edge, which must fail, and returns what it said.
func fails(t testing.TB, e *Edge, args ...string) string {
	t.Helper()
	out, err := e.command(t.Context(), args...).CombinedOutput()
	if err == nil {
		t.Errorf("mana-edge %s succeeds:\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}
