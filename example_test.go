package edge_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "mana.how/edge"
)

// productionMark starts the part of Caddyfile.example that is commented out.
const productionMark = "# ==== production ===="

// validate adapts a Caddyfile and provisions every module of it, which starts nothing.
func validate(t *testing.T, name, text string) {
	t.Helper()
	adapter := caddyconfig.GetAdapter("caddyfile")
	adapted, warnings, err := adapter.Adapt([]byte(text), map[string]any{"filename": name})
	if err != nil {
		t.Fatalf("adapt: %v", err)
	}
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	config.StorageRaw = storage
	if err := caddy.Validate(&config); err != nil {
		t.Errorf("validate: %v", err)
	}
}

// The secrets of the production set-up come from the environment.
func setSecrets(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("MANA_ENCRYPTION_KEY", "an encryption key of at least thirty-two bytes")
	t.Setenv("MANA_CORE_SERVICE_KEY", "a service key")
	t.Setenv("DATABASE_URL", "postgres://mana:secret@db.mana.localhost:5432/mana")
	t.Setenv("CHAT_KEY", "the key of the chat's back end alone, long enough")
	t.Setenv("APP_KEY", "the key of a first app alone, which is long enough")
	t.Setenv("GRAFANA_OIDC_SECRET", "the secret of Grafana, which is long enough")
	t.Setenv("BOT_KEY", "the key of the bot alone, which is long enough too")
	t.Setenv("DATABASE_DIRECT_URL", "postgres://mana:secret@db.mana.localhost:5432/mana")
	t.Setenv("REDIS_URL", "redis://redis.mana.localhost:6379/0")
}

func TestCaddyfileExampleWorks(t *testing.T) {
	text, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(text); string(formatted) != string(text) {
		t.Error("Caddyfile.example is not formatted; `make fmt` does it")
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	validate(t, "Caddyfile.example", string(text))
}

func TestCaddyfileExampleProductionPartWorks(t *testing.T) {
	text, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	_, commented, ok := strings.Cut(string(text), productionMark+"\n")
	if !ok {
		t.Fatalf("Caddyfile.example lacks the line %q", productionMark)
	}
	var production strings.Builder
	for line := range strings.Lines(commented) {
		plain, ok := strings.CutPrefix(line, "#")
		if !ok && strings.TrimSpace(line) != "" {
			t.Fatalf("a line of the production part is not commented out: %s", line)
		}
		production.WriteString(strings.TrimPrefix(plain, " "))
	}
	setSecrets(t)
	validate(t, "production", production.String())
}

// Every ```caddyfile block of the documentation is a whole Caddyfile and works.
func TestDocumentedCaddyfilesWork(t *testing.T) {
	setSecrets(t)
	blocks := 0
	for _, name := range append(append(glob(t, "docs/*.md"), glob(t, "docs/stacks/*.md")...), "README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "```caddyfile\n")[1:] {
			block, _, _ := strings.Cut(part, "```")
			blocks++
			t.Run(filepath.Base(name), func(t *testing.T) { validate(t, name, block) })
		}
	}
	if blocks == 0 {
		t.Error("the documentation shows no Caddyfile")
	}
}

// xcaddy must build on the Caddy that the tests ran with.
func TestManifestNamesTheTestedCaddy(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile("xcaddy.toml")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		if _, version, ok := strings.Cut(line, "github.com/caddyserver/caddy/v2 "); ok {
			version, _, _ = strings.Cut(strings.TrimSpace(version), " ")
			if !strings.Contains(string(manifest), `caddy_version = "`+version+`"`) {
				t.Errorf("xcaddy.toml does not build on Caddy %s of go.mod", version)
			}
			return
		}
	}
	t.Error("go.mod does not require Caddy")
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Each directive has a page with at least three examples, and all of them are
// whole sites that load.
func TestDirectiveExamplesWork(t *testing.T) {
	setSecrets(t)
	example := regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	for _, name := range glob(t, "docs/directives/mana_*.md") {
		blocks := example.FindAllStringSubmatch(read(t, name), -1)
		if len(blocks) < 3 {
			t.Errorf("%s has %d examples", name, len(blocks))
		}
		for i, block := range blocks {
			t.Run(fmt.Sprintf("%s %d", filepath.Base(name), i+1), func(t *testing.T) {
				validate(t, name, "{\n\tlocal_certs\n\tmana {\n\t\tbase_url https://auth.mana.how\n\t\tprices {\n\t\t\tchat.in 0.015 per 1000 tokens\n"+
					"\t\t\tchat.out 0.06 per 1000 tokens\n\t\t}\n\t}\n}\n"+block[1])
			})
		}
	}
}
