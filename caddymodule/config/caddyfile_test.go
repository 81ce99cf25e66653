package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"mana.how/edge/caddymodule/config"
)

func FuzzCaddyfile(f *testing.F) {
	files, err := filepath.Glob("../app/testdata/*.caddytest")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		input, _, _ := strings.Cut(string(raw), "\n----------\n")
		_, block, _ := strings.Cut(input, "{\n")
		f.Add(strings.TrimSuffix(strings.TrimSpace(block), "}"))
	}
	f.Add("mana {\n database embedded {\n direct {\n }\n}")
	f.Add("mana {\n redis a {\n")
	f.Fuzz(func(t *testing.T, input string) {
		var c config.Config
		d := caddyfile.NewTestDispenser(input)
		d.Next()
		if err := c.UnmarshalCaddyfile(d); err != nil {
			return
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again config.Config
		if err := caddy.StrictUnmarshalJSON(raw, &again); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		second, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(raw, second) {
			t.Fatalf("%s became %s", raw, second)
		}
		if strings.Contains(string(raw), "{file.") {
			return
		}
		_, _ = c.ResolveWith(nil) // must not panic
	})
}
