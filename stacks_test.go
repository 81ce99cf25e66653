package edge_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var writeSnippets = flag.Bool("snippets", false, "write the snippets of docs/start.md and docs/stacks anew, from the files of examples")

// snippet is a block of a page that shows a region of a file: its name, and what is shown.
var snippet = regexp.MustCompile("(?ms)^<!-- (examples/[\\w./+-]+)#(\\w+) -->\n```(\\w+)\n(.*?)^```$")

// docs/start.md and each page of docs/stacks show regions of the files of examples, which the tests of
// clients and cmd/mana-edge run, word for word. Every region is shown, and every page is found from
// docs/apps.md.
func TestStackPagesShowTheExamples(t *testing.T) {
	t.Parallel()
	pages := append(glob(t, "docs/stacks/*.md"), "docs/start.md")
	if len(pages) < 12 {
		t.Errorf("%d pages", len(pages))
	}
	list := read(t, "docs/apps.md")
	shown := make(map[string]bool)
	for _, page := range pages {
		text := read(t, page)
		if !strings.Contains(list, "("+strings.TrimPrefix(page, "docs/")+")") {
			t.Errorf("docs/apps.md does not lead to %s", page)
		}
		blocks := snippet.FindAllStringSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s shows nothing of examples", page)
		}
		for _, block := range blocks {
			shown[block[1]+"#"+block[2]] = true
			want := region(t, block[1], block[2])
			if lines := strings.Count(want, "\n"); lines > 30 {
				t.Errorf("%s#%s has %d lines, which are more than one reads on a page", block[1], block[2], lines)
			}
			if *writeSnippets {
				text = strings.Replace(text, block[0], "<!-- "+block[1]+"#"+block[2]+" -->\n```"+block[3]+"\n"+want+"```", 1)
			} else if block[4] != want {
				t.Errorf("%s does not show %s#%s as it is; `go test -run StackPages -snippets .` writes it", page, block[1], block[2])
			}
		}
		if code := strings.Count(text, "\n```") / 2; code != len(blocks)+strings.Count(text, "\n```sh-session\n")+strings.Count(text, "\n```caddyfile\n") {
			t.Errorf("%s has code that is of no example", page)
		}
		if *writeSnippets {
			if err := os.WriteFile(page, []byte(text), 0o644); err != nil { // #nosec G306 -- a page
				t.Fatal(err)
			}
		}
	}
	begin := regexp.MustCompile(`(?m)^\s*(?://|#|<!--)\s*#?region (\w+)`)
	err := filepath.WalkDir("examples", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, m := range begin.FindAllStringSubmatch(read(t, name), -1) {
			if !shown[filepath.ToSlash(name)+"#"+m[1]] {
				t.Errorf("no page shows %s#%s", name, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// region is what a file has between the marks of a region, as an editor folds it,
// without the indentation that all of it has.
func region(t *testing.T, file, name string) string {
	t.Helper()
	var lines []string
	inside, found := false, false
	indent := -1
	for line := range strings.Lines(read(t, file)) {
		mark := strings.TrimLeft(line, "\t /#<!-")
		switch {
		case strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(mark), "-->")) == "region "+name:
			if found {
				t.Fatalf("%s has the region %s twice", file, name)
			}
			inside, found = true, true
		case inside && strings.HasPrefix(mark, "endregion"):
			inside = false
		case inside:
			lines = append(lines, line)
			if width := len(line) - len(strings.TrimLeft(line, "\t ")); strings.TrimSpace(line) != "" && (indent < 0 || width < indent) {
				indent = width
			}
		}
	}
	if !found || inside {
		t.Fatalf("%s has no region %s, or no end of it", file, name)
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line[min(max(indent, 0), len(line)-len(strings.TrimLeft(line, "\t "))):])
	}
	return strings.Trim(text.String(), "\n") + "\n"
}
