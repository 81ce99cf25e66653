package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "mana.how/edge"
	tags   = "nobadger,nomysql,nopgx"
)

// listed is what `go list` tells of a package.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string // direct imports without those of tests
	Deps       []string // all imports, without those of tests
	GoFiles    []string
}

// listPackages returns every package of this module, and with them all they depend on.
func listPackages(t *testing.T) map[string]listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-deps",
		"-json=ImportPath,Dir,Standard,Imports,Deps,GoFiles", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := make(map[string]listed)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// within reports whether the import path lies in one of the trees, each a path within the module.
func within(path string, trees ...string) bool {
	for _, tree := range trees {
		if full := strings.TrimSuffix(module+"/"+tree, "/"); path == full || strings.HasPrefix(path, full+"/") {
			return true
		}
	}
	return false
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func TestLayout(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)

	t.Run("1 caddymodule knows the cores and nothing but edge.go knows caddymodule", func(t *testing.T) {
		for path, p := range packages {
			for _, imported := range p.Imports {
				if within(imported, "caddymodule") && path != module && !within(path, "caddymodule", "internal/edgetest") {
					t.Errorf("%s imports %s", path, imported)
				}
				if within(path, "caddymodule") && ours(imported) &&
					!within(imported, "caddymodule", "authcore", "creditcore", "migrations", "internal") {
					t.Errorf("%s imports %s", path, imported)
				}
			}
		}
	})

	t.Run("in caddymodule each package imports only what stands before it", func(t *testing.T) {
		order := []string{
			"caddymodule/request", "caddymodule/pages", "caddymodule/answer", "caddymodule/guard",
			"caddymodule/api/endpoint/decode", "caddymodule/api/endpoint/validate", "caddymodule/api/endpoint", "caddymodule/api/endpoint/openapi",
			"caddymodule/api/sso", "caddymodule/api/kept", "caddymodule/api/auth", "caddymodule/api/passkey", "caddymodule/api/provider", "caddymodule/api/apikey", "caddymodule/api/matrix", "caddymodule/api/oidc", "caddymodule/api/organization", "caddymodule/api/settings", "caddymodule/api/me", "caddymodule/api/admin", "caddymodule/api/desk", "caddymodule/api/storage", "caddymodule/api/page", "caddymodule/api/accountpage", "caddymodule/api/health",
			"caddymodule/api/credit", "caddymodule/api/gift", "caddymodule/api/billing", "caddymodule/api/docs", "caddymodule/api",
			"caddymodule/syntax", "caddymodule/config", "caddymodule/logging", "caddymodule/counters", "caddymodule/metrics", "caddymodule/services", "caddymodule/app",
			"caddymodule/site", "caddymodule/gate", "caddymodule/ratelimit", "caddymodule/meter/price", "caddymodule/meter/upstream",
			"caddymodule/meter/fingerprint", "caddymodule/meter/tokens", "caddymodule/meter", "caddymodule/handler",
			"caddymodule/importer", "caddymodule/command/invoke", "caddymodule/command/backup", "caddymodule/command/doctor", "caddymodule/command/develop", "caddymodule/command", "caddymodule",
		}
		place := func(path string) int {
			return slices.Index(order, strings.TrimPrefix(path, module+"/"))
		}
		for path, p := range packages {
			if !within(path, "caddymodule") {
				continue
			}
			if place(path) < 0 {
				t.Errorf("%s has no place in the order", path)
			}
			for _, imported := range p.Imports {
				if within(imported, "caddymodule") && place(imported) >= place(path) {
					t.Errorf("%s imports %s, which stands behind it", path, imported)
				}
			}
		}
	})

	t.Run("in creditcore each package imports only what stands before it", func(t *testing.T) {
		order := []string{
			"creditcore", "creditcore/bookkeeping", "creditcore/proof", "creditcore/gift", "creditcore/sealed", "creditcore/coupon", "creditcore/guest", "creditcore/abuse", "creditcore/billing/stripeapi", "creditcore/billing/settle", "creditcore/billing/catalog",
			"creditcore/billing/purchase", "creditcore/billing/topup", "creditcore/billing/invoice", "creditcore/billing/subscription", "creditcore/billing",
		}
		place := func(path string) int { return slices.Index(order, strings.TrimPrefix(path, module+"/")) }
		for path, p := range packages {
			if !within(path, "creditcore") {
				continue
			}
			if place(path) < 0 {
				t.Errorf("%s has no place in the order", path)
			}
			for _, imported := range p.Imports {
				if within(imported, "creditcore") && place(imported) >= place(path) {
					t.Errorf("%s imports %s, which stands behind it", path, imported)
				}
			}
		}
	})

	t.Run("no resource of the API imports another", func(t *testing.T) {
		shared := []string{"caddymodule/api/endpoint", "caddymodule/api/sso", "caddymodule/api/kept"}
		for path, p := range packages {
			if path == module+"/caddymodule/api" || !within(path, "caddymodule/api") || within(path, shared...) {
				continue
			}
			for _, imported := range p.Imports {
				if within(imported, "caddymodule/api") && !within(imported, shared...) {
					t.Errorf("%s imports %s", path, imported)
				}
			}
		}
	})

	t.Run("2 the cores know neither each other nor Caddy nor zap nor HTTP answers", func(t *testing.T) {
		for path, p := range packages {
			if !within(path, "authcore", "creditcore") {
				continue
			}
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, "github.com/caddyserver/") || strings.HasPrefix(dep, "go.uber.org/zap") ||
					within(dep, "caddymodule") ||
					within(path, "authcore") && within(dep, "creditcore") || within(path, "creditcore") && within(dep, "authcore") {
					t.Errorf("%s depends on %s", path, dep)
				}
			}
			for _, file := range p.GoFiles {
				for _, call := range selectors(t, filepath.Join(p.Dir, file)) {
					if call == "http.ResponseWriter" {
						t.Errorf("%s/%s mentions http.ResponseWriter", path, file)
					}
				}
			}
		}
	})

	t.Run("3 what is atomic across both cores is composed in one file", func(t *testing.T) {
		var composers []string
		for path, p := range packages {
			if !ours(path) || !slices.ContainsFunc(p.Imports, func(i string) bool { return within(i, "authcore") }) {
				continue
			}
			for _, file := range p.GoFiles {
				name := filepath.Join(p.Dir, file)
				if both(t, name) && slices.ContainsFunc(selectors(t, name), func(s string) bool { return strings.HasSuffix(s, "Tx") }) {
					composers = append(composers, path+"/"+file)
					if !within(path, "caddymodule") {
						t.Errorf("%s/%s composes the cores outside caddymodule", path, file)
					}
				}
			}
		}
		if len(composers) > 1 {
			t.Errorf("several files compose the cores: %v", composers)
		}
	})

	t.Run("4 migrations know pgx and the standard library only", func(t *testing.T) {
		for path, p := range packages {
			if !within(path, "migrations") {
				continue
			}
			for _, imported := range p.Imports {
				if !packages[imported].Standard && !strings.HasPrefix(imported, "github.com/jackc/pgx/v5") && !within(imported, "migrations") {
					t.Errorf("%s imports %s", path, imported)
				}
			}
		}
	})

	t.Run("5 no package without a noun", func(t *testing.T) {
		nameless := []string{"utils", "util", "common", "helpers", "models", "dto", "pkg"}
		err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && slices.Contains(nameless, d.Name()) {
				t.Errorf("directory %s", path)
			}
			if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin") {
				return filepath.SkipDir
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})

	t.Run("a package that is larger than others says why", func(t *testing.T) {
		const mostFiles, mostLines = 15, 1500
		reason := regexp.MustCompile(`(?i)(is larger|more) than\s+other|has many files because`)
		for path, p := range packages {
			if !ours(path) {
				continue
			}
			lines, said := 0, false
			for _, name := range p.GoFiles {
				text, err := os.ReadFile(filepath.Join(p.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				lines += bytes.Count(text, []byte("\n"))
				comment, _, _ := strings.Cut("\n"+string(text), "\npackage ")
				said = said || reason.MatchString(strings.ReplaceAll(comment, "\n// ", " "))
			}
			if large := len(p.GoFiles) > mostFiles || lines > mostLines; large && !said {
				t.Errorf("%s has %d files of %d lines, and its doc does not say why", path, len(p.GoFiles), lines)
			}
		}
	})

	t.Run("only mana-edge dev fixes codes", func(t *testing.T) {
		allowed := map[string]string{".FixCodes(": "caddymodule/app/development.go", "app.Develop(": "caddymodule/command/develop/family.go"}
		walkFiles(t, ".go", func(name, text string) {
			if strings.HasSuffix(name, "_test.go") {
				return
			}
			for call, file := range allowed {
				if has := strings.Contains(text, call); has != (name == file) {
					t.Errorf("%s calls %s: %t", name, call, has)
				}
			}
		})
	})

	t.Run("the binary holds no build or test tooling", func(t *testing.T) {
		binary, ok := packages[module+"/cmd/mana-edge"]
		if !ok {
			t.Fatal("no cmd/mana-edge")
		}
		for _, dep := range binary.Deps {
			if strings.HasPrefix(dep, "github.com/caddyserver/xcaddy") || strings.HasPrefix(dep, "github.com/chromedp/") ||
				within(dep, "internal/pgtest", "internal/npmtest", "internal/freeport", "internal/edgetest", "internal/passkeytest", "internal/providertest", "cmd/xbuild") {
				t.Errorf("cmd/mana-edge depends on %s", dep)
			}
		}
	})

	t.Run("Stripe is played for tests and mana-edge dev alone", func(t *testing.T) {
		for path, p := range packages {
			if slices.Contains(p.Imports, module+"/internal/stripetest") && path != module+"/caddymodule/command/develop" {
				t.Errorf("%s imports internal/stripetest", path)
			}
		}
	})
}

// selectors returns every x.Y of a Go file.
func selectors(t *testing.T, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				found = append(found, x.Name+"."+s.Sel.Name)
			} else {
				found = append(found, s.Sel.Name)
			}
		}
		return true
	})
	return found
}

// both reports whether a Go file imports both cores.
func both(t *testing.T, name string) bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var auth, credit bool
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		auth = auth || within(path, "authcore")
		credit = credit || within(path, "creditcore")
	}
	return auth && credit
}
