//go:build examples

package clients_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mana.how/edge/internal/edgetest"
)

// npmInstall is what is run in a folder with a lock file. No script of a package runs.
var npmInstall = []string{"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"}

// installed are the stacks that install packages.
var installed = []stack{
	{name: "express", dir: "examples/express", prepare: [][]string{npmInstall}, command: []string{"node", "app.mjs"}},
	{name: "fastify", dir: "examples/fastify", prepare: [][]string{npmInstall}, command: []string{"node", "app.mjs"}},
	{
		name: "next", dir: "examples/next", prepare: [][]string{npmInstall, {"npx", "next", "build"}},
		command: []string{"npx", "next", "start", "-H", "127.0.0.1"}, env: []string{"NEXT_TELEMETRY_DISABLED=1"}, lacks: []string{"/socket"},
	},
	{
		name: "sveltekit", dir: "examples/sveltekit", prepare: [][]string{npmInstall, {"npx", "vite", "build"}},
		command: []string{"node", "server.mjs"}, env: []string{"BODY_SIZE_LIMIT=1G"},
	},
	{
		name: "laravel", dir: "examples/laravel",
		prepare: [][]string{{"mkdir", "-p", "vendor", "bootstrap/cache", "storage/framework/cache", "storage/framework/views"}, {"cp", "debian.php", "vendor/autoload.php"}},
		command: []string{"sh", "-c", `exec php -d post_max_size=0 -S "127.0.0.1:$PORT" public/index.php`},
		env:     []string{"PHP_CLI_SERVER_WORKERS=4"}, lacks: []string{"/socket"},
	},
	{name: "fastapi", dir: "examples/fastapi", command: []string{"sh", "-c", `exec uvicorn app:app --port "$PORT"`}},
}

// copied are the examples, the clients that they use, and the tools beside them in a
// directory of the test's own.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"examples", "clients/ts", "clients/python", "tools/openapi", "tools/oapicodegen"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join("..", part))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Each example that installs packages works as those do that need none.
func TestInstalledExamplesWorkBehindTheEdge(t *testing.T) {
	e := startEdge(t)
	dir := copied(t)
	for _, s := range installed {
		t.Run(s.name, func(t *testing.T) {
			s.dir = filepath.Join(dir, s.dir)
			e.start(t, s)
			e.drive(t, s)
		})
	}
}

// The first app of docs/start.md is tested as it is told there.
func TestFirstAppInTypeScript(t *testing.T) {
	if *binary == "" {
		t.Fatal("it needs -edge")
	}
	dir := filepath.Join(copied(t), "examples", "first")
	run(t, dir, nil, npmInstall[0], npmInstall[1:]...)
	if said := run(t, dir, nil, *binary, "dev", "--upstream", "localhost:0", "--site", "site.caddyfile", "--once", "--", "npm", "test"); !strings.Contains(said, "# fail 0") {
		t.Errorf("%s", said)
	}
}

// describe writes the OpenAPI document of the edge into a folder, as openapi.json.
func (e edge) describe(t *testing.T, dir string) {
	t.Helper()
	status, document := try(t.Context(), http.MethodGet, e.base+"/api/v1/openapi.json", nil)
	if status != http.StatusOK {
		t.Fatalf("the document: %d %s", status, document)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
}

// oapi-codegen makes a client in Go of the document as it is, which compiles and drives
// the edge.
func TestOapiCodegenTakesTheDocument(t *testing.T) {
	e := startEdge(t)
	dir := filepath.Join(copied(t), "tools", "oapicodegen")
	e.describe(t, dir)
	run(t, dir, nil, "go", "tool", "oapi-codegen", "-config", "config.yaml", "openapi.json")
	run(t, dir, e.env(t, "oapicodegen"), "go", "run", ".")
}

// What reads OpenAPI documents finds nothing wrong with that of the running edge, and
// what generates types of it makes such as a strict program is written with.
func TestOpenAPIToolsTakeTheDocument(t *testing.T) {
	e := startEdge(t)
	dir := filepath.Join(copied(t), "tools", "openapi")
	e.describe(t, dir)
	run(t, dir, nil, npmInstall[0], npmInstall[1:]...)
	if said := run(t, dir, []string{"REDOCLY_TELEMETRY=off"}, "npx", "redocly", "lint", "--format=summary", "openapi.json"); !strings.Contains(said, "is valid") || strings.Contains(said, "You have ") { // a warning, or more
		t.Errorf("redocly: %s", said)
	}
	t.Logf("ajv: %s", run(t, dir, nil, "node", "check.mjs", "openapi.json"))
	run(t, dir, nil, "npx", "openapi-typescript", "openapi.json", "-o", "api.d.ts")
	run(t, dir, nil, "npx", "tsc", "-p", ".")
	run(t, dir, append(e.environment(), "MANA_EMAIL="+e.newUser(t, "generated").email, "MANA_PASSWORD="+edgetest.SignUpPassword), "node", "built/drive.js")
}
