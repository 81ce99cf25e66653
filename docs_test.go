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
