package clients_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each client works with the API as it is, and its app with what the gate sends.
func TestClientsWorkWithTheEdge(t *testing.T) {
	e := startEdge(t)
	receipts := "MANA_RECEIPTS=" + writeReceipts(t)
	for _, c := range []struct {
		name, dir string
		command   []string
	}{
		{"go", "go", []string{"go", "test", "-count=1", "-tags", "live", "-run", "^TestLive", "."}},
		{"ts", "ts", []string{"node", "--test", "drive.mjs"}},
		{"python", "python", []string{"python3", "drive.py"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, filepath.FromSlash(c.dir), append(e.env(t, c.name), receipts), c.command[0], c.command[1:]...)
		})
	}
}

// The snippets of docs/apps.md are of the examples, which are run, or are run here.
func TestSnippetsOfAppsWork(t *testing.T) {
	page, err := os.ReadFile("../docs/apps.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{"go": "../examples/go/main.go", "js": "../examples/node/app.mjs", "python": "../examples/python/app.py"}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	seen := make(map[string]int)
	for _, block := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		seen[block[1]]++
		switch file, is := sources[block[1]]; {
		case is:
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(flat(string(source)), flat(block[2])) {
				t.Errorf("docs/apps.md shows what %s does not have:\n%s", file, block[2])
			}
		case block[1] == "sh":
			script.WriteString(block[2])
		case block[1] != "caddyfile" && block[1] != "sh-session": // which the tests of the root read, and those of cmd/mana-edge
			t.Errorf("a block of %s is not run", block[1])
		}
	}
	for _, language := range []string{"go", "js", "python", "sh", "caddyfile"} {
		if seen[language] == 0 {
			t.Errorf("docs/apps.md has no %s", language)
		}
	}
	e := startEdge(t)
	e.start(t, stacks[1])
	run(t, ".", e.env(t, "sh"), "bash", "-c", script.String())
}

// flat is a text without the indentation of its lines.
func flat(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}
