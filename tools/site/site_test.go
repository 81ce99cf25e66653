package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/net/html"
)

// The site of this repository is whole: every link of every page leads to a file, and
// to a heading in it.
func TestSite(t *testing.T) {
	s, err := Read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]map[string]bool)
	links := make(map[string][]string)
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		at := filepath.ToSlash(relative)
		ids[at] = make(map[string]bool)
		if path.Ext(at) != ".html" {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		tree, err := html.Parse(bytes.NewReader(content))
		if err != nil {
			return err
		}
		for n := range tree.Descendants() {
			for _, a := range n.Attr {
				switch {
				case a.Key == "id":
					ids[at][a.Val] = true
				case a.Key == "href" || a.Key == "src":
					links[at] = append(links[at], a.Val)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for from, list := range links {
		for _, raw := range list {
			u, err := url.Parse(raw)
			if err != nil {
				t.Errorf("%s: %v", from, err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			count++
			to := from
			if u.Path != "" {
				to = path.Join(path.Dir(from), u.Path)
			}
			if at, ok := ids[to]; !ok {
				t.Errorf("%s leads to %s, which is not there", from, raw)
			} else if u.Fragment != "" && !at[u.Fragment] {
				t.Errorf("%s leads to %s, which has no such heading", from, raw)
			}
		}
	}
	if count < 20*len(s.Pages) {
		t.Errorf("%d links in %d pages: the menu is missing", count, len(s.Pages))
	}
}

// Faults are named.
func TestFaults(t *testing.T) {
	files := make(fstest.MapFS)
	for _, group := range menu {
		for _, source := range group.Paths {
			files[source] = &fstest.MapFile{Data: []byte("# Title\n\n## Part\n")}
		}
	}
	if _, err := Read(files); err != nil {
		t.Fatal(err)
	}
	files["docs/apps.md"].Data = []byte("# Apps\n\n[a](nowhere.md) [b](credits.md#missing) [c](credits.md#part) [d](#none) [e](https://example.com/x) [f](../gone.txt)\n")
	files["docs/new.md"] = &fstest.MapFile{Data: []byte("# New\n")}
	files["docs/keys.md"].Data = []byte("no heading\n")
	_, err := Read(files)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"docs/apps.md: open docs/nowhere.md", "docs/apps.md: docs/credits.md has no heading #missing", "docs/apps.md: docs/apps.md has no heading #none",
		"docs/apps.md: open gone.txt", "docs/new.md is not in the menu", "docs/keys.md: it has no heading",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "#part") || strings.Contains(err.Error(), "example.com") {
		t.Errorf("said too much: %v", err)
	}
}

// The search finds what people look for, and shows it at the top.
func TestSearch(t *testing.T) {
	s, err := Read(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"trusted_origins":    "docs/configuration.html",
		"pgbouncer":          "docs/operations.html",
		"mana_rate_limit":    "docs/directives/mana_rate_limit.html",
		"standard webhooks":  "docs/webhooks.html",
		"no such word qqqxz": "",
		"(":                  "any",
		"[a-":                "",
	} {
		out, err := exec.Command("node", "-e", `
			const { find } = require(process.argv[1] + '/search.js');
			const text = require('fs').readFileSync(process.argv[1] + '/sections.js', 'utf8');
			const sections = new Function(text + 'return sections')();
			console.log(JSON.stringify(find(sections, process.argv[2], 5).map(s => s.page)))`, dir, query).Output()
		var pages []string
		if err == nil {
			err = json.Unmarshal(out, &pages)
		}
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		switch {
		case want == "any":
		case want == "" && len(pages) > 0:
			t.Errorf("%q finds %v", query, pages)
		case want != "" && !slices.Contains(pages[:min(len(pages), 2)], want):
			t.Errorf("%q finds %v, %s not among the first two", query, pages, want)
		}
	}
}
