package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/xcaddy"
	"github.com/google/go-cmp/cmp"

	main "mana.how/edge/cmd/xbuild"
)

func TestParseManifest(t *testing.T) {
	t.Parallel()
	const text = `
caddy_version = "v2.11.9"
output = "bin/edge"
tags = ["a", "b"]
[[plugin]]
module = "mana.how/edge"
path = "."
[[plugin]]
module = "example.org/plugin"
version = "v1.2.3"
`
	m, err := main.ParseManifest([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	got := m.Builder(dir)
	want := []xcaddy.Dependency{
		{PackagePath: "mana.how/edge", Version: "v0.0.0"},
		{PackagePath: "example.org/plugin", Version: "v1.2.3"},
	}
	if diff := cmp.Diff(want, got.Plugins); diff != "" {
		t.Errorf("plugins (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]xcaddy.Replace{xcaddy.NewReplace("mana.how/edge", filepath.Clean(dir))}, got.Replacements); diff != "" {
		t.Errorf("replacements (-want +got):\n%s", diff)
	}
	if got.CaddyVersion != "v2.11.9" {
		t.Errorf("Caddy version = %q", got.CaddyVersion)
	}
	if !strings.Contains(got.BuildFlags, "CustomVersion=v0.0.0\"") {
		t.Errorf("build flags %q do not name the edge's version", got.BuildFlags)
	}
	if !strings.Contains(got.BuildFlags, "-tags=a,b") {
		t.Errorf("build flags %q lack the tags", got.BuildFlags)
	}
}

func TestParseManifestNamesEveryFault(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"unknown keys": {
			"caddy_version = \"v2\"\noutput = \"x\"\ncolour = \"red\"\n[[plugin]]\nmodule = \"m\"\nversion = \"v1\"\nflavour = 1\n",
			[]string{`unknown key "colour"`, `unknown key "plugin.flavour"`},
		},
		"empty":          {"", []string{"caddy_version is missing", "output is missing", "no [[plugin]] is listed"}},
		"plugin at once": {"caddy_version = \"v2\"\noutput = \"x\"\n[[plugin]]\n", []string{"plugin 1: module is missing", "needs a version or a path"}},
		"not TOML":       {"caddy_version = ", []string{"read manifest"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := main.ParseManifest([]byte(test.text))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}
