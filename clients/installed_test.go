//go:build examples

package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
	for _, part := range []string{"examples", "clients/go", "clients/ts", "clients/python", "tools/openapi", "tools/oapicodegen"} {
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

// What docs/start.md shows is the whole of a first app and of its test, in both
// languages: somebody who types it, and nothing else, has them.
func TestFirstAppIsWholeOnThePage(t *testing.T) {
	if *binary == "" {
		t.Fatal("it needs -edge")
	}
	page, err := os.ReadFile("../docs/start.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(copied(t), "examples", "first")
	typed := make(map[string]string)
	for _, block := range regexp.MustCompile("(?ms)^<!-- examples/first/([\\w.]+)#\\w+ -->\n```\\w+\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		typed[block[1]] += block[2] + "\n"
	}
	for _, name := range []string{"app.ts", "app.test.ts", "main.go", "main_test.go", "page.html", "site.caddyfile", "tsconfig.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(typed[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, nil, npmInstall[0], npmInstall[1:]...)
	if said := run(t, dir, nil, *binary, "dev", "--upstream", "localhost:0", "--site", "site.caddyfile", "--once", "--", "npm", "test"); !strings.Contains(said, "# fail 0") || !strings.Contains(said, "# pass 3") {
		t.Errorf("%s", said)
	}
	run(t, dir, nil, *binary, "dev", "--upstream", "localhost:0", "--site", "site.caddyfile", "--once", "--", "go", "test", "-count=1", "./...")
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

// The client of oapi-codegen calls every operation of the document, and reads each
// answer into the type of its status.
func TestOapiCodegenDrivesEveryOperation(t *testing.T) {
	f, provider := startFamily(t), startEdge(t, openIDClients)
	dir := filepath.Join(copied(t), "tools", "oapicodegen")
	operations, raw := readDocument(t, f["MANA_URL"])
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "go", "tool", "oapi-codegen", "-config", "config.yaml", "openapi.json")
	run(t, dir, nil, "go", "build", "-o", "drive", ".")
	startWalker(t, operations, dir, "./drive", "walk").walk(f, provider)
}

// openapi-fetch calls every operation of the document, and the types of
// openapi-typescript are those of all that was sent and answered.
func TestOpenAPIFetchDrivesEveryOperation(t *testing.T) {
	f, provider := startFamily(t), startEdge(t, openIDClients)
	dir := filepath.Join(copied(t), "tools", "openapi")
	operations, raw := readDocument(t, f["MANA_URL"])
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, npmInstall[0], npmInstall[1:]...)
	run(t, dir, nil, "npx", "openapi-typescript", "openapi.json", "-o", "api.d.ts")
	w := startWalker(t, operations, dir, "node", "walk.mjs")
	var seen transcript
	seen.WriteString("import type { operations } from \"./api.js\";\n")
	w.kept = seen.add
	w.walk(f, provider)
	if err := os.WriteFile(filepath.Join(dir, "seen.ts"), seen.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, nil, "npx", "tsc", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext", "seen.ts")
}

// transcript is a program in TypeScript that says of what was sent and answered which
// type it is of.
type transcript struct {
	bytes.Buffer
	count int
}

func (s *transcript) add(o *operation, c sent, r reply) {
	of := fmt.Sprintf("operations[%q]", o.ID)
	is := func(kind string, value any) {
		raw, err := json.Marshal(value)
		if err != nil {
			r.Fatal(err)
		}
		s.count++
		fmt.Fprintf(s, "export const seen%d: %s = %s;\n", s.count, kind, raw)
	}
	if len(c.Query) > 0 {
		is("NonNullable<"+of+`["parameters"]["query"]>`, c.Query)
	}
	if r.Status < 400 && c.Media == "application/json" {
		is("NonNullable<"+of+`["requestBody"]>["content"]["application/json"]`, c.Body)
	}
	if _, typed := o.Responses[strconv.Itoa(r.Status)].Content["application/json"]; typed && r.Body != "" && strings.HasPrefix(r.Headers.Get("Content-Type"), "application/json") {
		is(fmt.Sprintf(`%s["responses"][%d]["content"]["application/json"]`, of, r.Status), json.RawMessage(r.Body))
	}
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
