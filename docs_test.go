package edge_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName   = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	testFunc   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	namedPath  = regexp.MustCompile("`([\\w.-]+(?:/[\\w.-]+)*/?)`")
	makeTarget = regexp.MustCompile("`make ([a-z]+)`")
)

// Each claim of docs/security.md names the test that keeps it.
func TestSecurityClaimsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	existing := make(map[string]bool)
	walkFiles(t, "_test.go", func(_, text string) {
		for _, m := range testFunc.FindAllStringSubmatch(text, -1) {
			existing[m[1]] = true
		}
	})
	text := read(t, "docs/security.md")
	named := testName.FindAllStringSubmatch(text, -1)
	if len(named) == 0 {
		t.Fatal("docs/security.md names no test")
	}
	for _, m := range named {
		if !existing[m[1]] {
			t.Errorf("docs/security.md names %s, which does not exist", m[1])
		}
	}
	_, claims, ok := strings.Cut(text, "\n## Claims\n")
	if !ok {
		t.Fatal("docs/security.md has no table of claims")
	}
	for line := range strings.Lines(claims) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| Claim") && !strings.HasPrefix(line, "| Trouble") && !testName.MatchString(line) {
			t.Errorf("a claim without a test: %s", strings.TrimSpace(line))
		}
	}
}

// The maps of README.md lead to files, directories and make targets that exist.
func TestReadmeLeadsSomewhere(t *testing.T) {
	t.Parallel()
	text := read(t, "README.md")
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, m := range namedPath.FindAllStringSubmatch(line, -1) {
			name := m[1]
			if !strings.Contains(name, "/") && filepath.Ext(name) == "" || strings.HasPrefix(name, "bin/") {
				continue // a word, not a path; or what the build makes
			}
			if _, err := os.Stat(name); err != nil {
				t.Errorf("README.md names %s: %v", name, err)
			}
		}
	}
	makefile := read(t, "Makefile")
	for _, m := range makeTarget.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("README.md names `make %s`, which the Makefile does not have", m[1])
		}
	}
}

// Every option that a Caddyfile parser of caddymodule knows is documented.
func TestConfigurationDocumentsEveryOption(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/configuration.md")
	for _, name := range glob(t, "docs/directives/*.md") {
		text += read(t, name)
	}
	options := []*regexp.Regexp{
		regexp.MustCompile(`(?m)^\s*"([a-z_]+)":\s+func\(\) \{`),
		regexp.MustCompile(`(?m)^\s*case ("[a-z_", ]+"):`),
	}
	found := 0
	for _, name := range glob(t, "caddymodule/*/*.go") {
		source := read(t, name)
		if strings.HasSuffix(name, "_test.go") || !strings.Contains(source, "UnmarshalCaddyfile(d *caddyfile.Dispenser)") {
			continue
		}
		for _, option := range options {
			for _, m := range option.FindAllStringSubmatch(source, -1) {
				for word := range strings.SplitSeq(m[1], ",") {
					word = strings.Trim(word, `" `)
					found++
					if !strings.Contains(text, "`"+word) {
						t.Errorf("%s knows the option %q, docs/configuration.md and docs/directives do not", name, word)
					}
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d options found in caddymodule: does this test still look at the right place?", found)
	}
}

var (
	tableMade  = regexp.MustCompile(`(?m)^CREATE TABLE ([a-z]+\.\w+) `)
	tableNamed = regexp.MustCompile("`((?:auth|credits|gifts|subscriptions|mana)\\.[a-z_]+)`")
)

// docs/scale.md says of every table by what it would be distributed, and names none that is not there.
func TestScaleNamesEveryTable(t *testing.T) {
	t.Parallel()
	made := make(map[string]bool)
	for _, name := range glob(t, "migrations/*.sql") {
		for _, m := range tableMade.FindAllStringSubmatch(read(t, name), -1) {
			made[m[1]] = true
		}
	}
	_, tables, ok := strings.Cut(read(t, "docs/scale.md"), "\n| Tables | Distributed by |")
	if !ok || len(made) < 30 {
		t.Fatalf("no table of tables, or %d tables", len(made))
	}
	tables, _, _ = strings.Cut(tables, "\n\n")
	named := make(map[string]bool)
	var cells strings.Builder // the first of each row
	for line := range strings.Lines(tables) {
		if _, rest, ok := strings.Cut(line, "| "); ok {
			cell, _, _ := strings.Cut(rest, " | ")
			cells.WriteString(cell + "\n")
		}
	}
	for _, m := range tableNamed.FindAllStringSubmatch(cells.String(), -1) {
		if named[m[1]] {
			t.Errorf("docs/scale.md has %s twice", m[1])
		}
		named[m[1]] = true
		if !made[m[1]] {
			t.Errorf("docs/scale.md has %s, which no migration makes", m[1])
		}
	}
	for name := range made {
		if !named[name] {
			t.Errorf("docs/scale.md lacks %s", name)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// walkFiles calls fn with every file of the repository whose name ends so.
func walkFiles(t *testing.T, suffix string, fn func(name, text string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin"):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, suffix):
			fn(path, read(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
