package api_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/api"
)

var write = flag.Bool("write", false, "write the error catalogue into docs/errors.md")

const cataloguePath = "../../docs/errors.md"

// The catalogue has every code that the table of routes has, as it has it.
func TestErrorCatalogue(t *testing.T) {
	const begin, end = "<!-- api -->\n", "<!-- /api -->"
	raw, err := os.ReadFile(cataloguePath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("docs/errors.md has no place for the table")
	}
	want := api.ErrorCatalogue()
	if *write {
		if err := os.WriteFile(cataloguePath, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		have = want
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("docs/errors.md is not what the routes say: %s", diff)
	}
	if n := strings.Count(want, "\n"); n < 50 {
		t.Errorf("the catalogue has %d lines", n)
	}
}

// The catalogue has every code that a directive answers.
func TestErrorCatalogueHasTheCodesOfDirectives(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(cataloguePath)
	if err != nil {
		t.Fatal(err)
	}
	_, directives, _ := strings.Cut(string(raw), "## Codes of the directives")
	code := regexp.MustCompile(`\bCode: +"([A-Z_]+)"`)
	found := 0
	for _, dir := range []string{"gate", "site", "meter", "ratelimit", "answer", "handler"} {
		err := filepath.WalkDir("../"+dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range code.FindAllSubmatch(source, -1) {
				if found++; !strings.Contains(directives, "`"+string(m[1])+"`") {
					t.Errorf("%s answers %s, which docs/errors.md does not have", path, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 20 {
		t.Errorf("only %d codes were found", found)
	}
}

// The page of the API has the catalogue, too.
func TestDocsPageHasTheErrors(t *testing.T) {
	t.Parallel()
	page := bare(t).send("GET", "/api-docs", nil).status(200).body
	for _, code := range []string{"INSUFFICIENT_CREDITS", "REAUTHENTICATION_REQUIRED", "offer to buy", `id="errors"`} {
		if !strings.Contains(page, code) {
			t.Errorf("the page lacks %s", code)
		}
	}
}
