package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

//go:embed assets
var assets embed.FS

var layout = template.Must(template.ParseFS(assets, "assets/page.html"))

// Site is the whole of the documentation.
type Site struct {
	Pages []*Page
	// Files are what pages link to beside pages, by path below the repository.
	Files map[string][]byte
}

// Page is a file of Markdown.
type Page struct {
	Source   string // below the repository, such as docs/apps.md
	Title    string
	Body     template.HTML
	Anchors  []string
	Sections []Section
	links    []link
}

// Section is a heading and what stands below it, for the search.
type Section struct {
	Page   string `json:"page"`
	Anchor string `json:"anchor,omitempty"`
	Title  string `json:"title"`
	Text   string `json:"text"`
}

// link is one that leads to something in the repository.
type link struct{ path, anchor string }

// Target is where the page goes.
func (p *Page) Target() string { return target(p.Source) }

func target(source string) string {
	if source == "README.md" {
		return "index.html"
	}
	return strings.TrimSuffix(source, ".md") + ".html"
}

// Read makes the pages of a repository. Its error names every page that is not in the
// menu and every link that leads nowhere.
func Read(repository fs.FS) (*Site, error) {
	s := &Site{Files: make(map[string][]byte)}
	var faults []error
	known := make(map[string]*Page)
	for _, group := range menu {
		for _, source := range group.Paths {
			text, err := fs.ReadFile(repository, source)
			if err != nil {
				faults = append(faults, fmt.Errorf("the menu: %w", err))
				continue
			}
			p, err := newPage(source, text)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", source, err))
				continue
			}
			s.Pages, known[source] = append(s.Pages, p), p
		}
	}
	err := fs.WalkDir(repository, "docs", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && path.Ext(name) == ".md" && known[name] == nil {
			faults = append(faults, fmt.Errorf("%s is not in the menu", name))
		}
		return err
	})
	faults = append(faults, err)
	for _, p := range s.Pages {
		for _, l := range p.links {
			faults = append(faults, s.follow(repository, known, p, l))
		}
	}
	return s, errors.Join(faults...)
}

// follow checks a link, and takes the file along that it leads to.
func (s *Site) follow(repository fs.FS, known map[string]*Page, from *Page, l link) error {
	if to := known[l.path]; to != nil {
		if l.anchor != "" && !slices.Contains(to.Anchors, l.anchor) {
			return fmt.Errorf("%s: %s has no heading #%s", from.Source, l.path, l.anchor)
		}
		return nil
	}
	if info, err := fs.Stat(repository, l.path); err == nil && info.IsDir() {
		return s.takeAll(repository, l.path)
	}
	content, err := fs.ReadFile(repository, l.path)
	if err != nil {
		return fmt.Errorf("%s: %w", from.Source, err)
	}
	s.Files[l.path] = content
	return nil
}

// takeAll takes a directory along, and makes a list of what is in it.
func (s *Site) takeAll(repository fs.FS, dir string) error {
	var names []string
	err := fs.WalkDir(repository, dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := fs.ReadFile(repository, name)
		s.Files[name] = content
		names = append(names, strings.TrimPrefix(name, dir+"/"))
		return err
	})
	if err != nil {
		return err
	}
	var list bytes.Buffer
	err = listing.Execute(&list, map[string]any{"Dir": dir, "Names": names})
	s.Files[dir+"/files.html"] = list.Bytes()
	return err
}

var listing = template.Must(template.New("listing").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Dir}}</title>
<h1>{{.Dir}}</h1>
<ul>
{{range .Names}}<li><a href="{{.}}">{{.}}</a></li>
{{end}}</ul>
</html>
`))

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

func newPage(source string, content []byte) (*Page, error) {
	p := &Page{Source: source}
	tree := markdown.Parser().Parse(text.NewReader(content))
	err := ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			id, _ := n.AttributeString("id")
			anchor, _ := id.([]byte)
			p.Anchors = append(p.Anchors, string(anchor))
			p.Sections = append(p.Sections, Section{Page: p.Target(), Anchor: string(anchor), Title: words(n, content)})
			if p.Title == "" {
				p.Title = words(n, content)
			}
			return ast.WalkSkipChildren, nil
		case *ast.Link:
			n.Destination = []byte(p.lead(string(n.Destination)))
		case *ast.Text:
			p.add(string(n.Segment.Value(content)), n.SoftLineBreak())
		case *ast.String:
			p.add(string(n.Value), false)
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				p.add(string(line.Value(content)), true)
			}
		}
		if n.Type() == ast.TypeBlock {
			p.add(" ", false)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return nil, err
	}
	if p.Title == "" {
		return nil, errors.New("it has no heading")
	}
	var body bytes.Buffer
	if err := markdown.Renderer().Render(&body, content, tree); err != nil {
		return nil, err
	}
	p.Body = template.HTML(body.String()) // raw HTML is left out by goldmark
	return p, nil
}

// words is the text of a heading.
func words(n ast.Node, content []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(content))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// add notes text of the section that is open.
func (p *Page) add(text string, line bool) {
	if len(p.Sections) == 0 {
		return
	}
	last := &p.Sections[len(p.Sections)-1]
	last.Text += text
	if line {
		last.Text += " "
	}
}

// lead turns a link of the Markdown into one of the site, and notes where it leads.
func (p *Page) lead(to string) string {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return to
	}
	name, anchor, _ := strings.Cut(to, "#")
	at := p.Source
	if name != "" {
		at = path.Join(path.Dir(p.Source), name)
	}
	p.links = append(p.links, link{at, anchor})
	if anchor != "" {
		anchor = "#" + anchor
	}
	if name == "" {
		return anchor
	}
	goal := at
	switch {
	case strings.HasSuffix(name, "/"):
		goal += "/files.html"
	case path.Ext(at) == ".md":
		goal = target(at)
	}
	return up(p.Target()) + goal + anchor
}

// up leads from a page to the top of the site.
func up(target string) string { return strings.Repeat("../", strings.Count(target, "/")) }

// entry is a line of the menu.
type entry struct {
	Title, Address string
	Here           bool
}

// group is a part of the menu.
type group struct {
	Title   string
	Entries []entry
}

func (s *Site) menuFor(p *Page) (groups []group) {
	titles := make(map[string]string)
	for _, p := range s.Pages {
		titles[p.Source] = p.Title
	}
	for _, g := range menu {
		out := group{Title: g.Title}
		for _, source := range g.Paths {
			out.Entries = append(out.Entries, entry{titles[source], up(p.Target()) + target(source), source == p.Source})
		}
		groups = append(groups, out)
	}
	return groups
}

// Write makes the files of the site below a directory.
func (s *Site) Write(dir string) error {
	var sections []Section
	for _, p := range s.Pages {
		var page bytes.Buffer
		err := layout.Execute(&page, map[string]any{"Title": p.Title, "Body": p.Body, "Menu": s.menuFor(p), "Up": up(p.Target())})
		if err == nil {
			err = write(dir, p.Target(), page.Bytes())
		}
		if err != nil {
			return err
		}
		for _, section := range p.Sections {
			section.Text = strings.Join(strings.Fields(section.Text), " ")
			sections = append(sections, section)
		}
	}
	for name, content := range s.Files {
		if err := write(dir, name, content); err != nil {
			return err
		}
	}
	list, err := json.Marshal(sections)
	if err != nil {
		return err
	}
	if err := write(dir, "sections.js", slices.Concat([]byte("const sections = "), list, []byte(";\n"))); err != nil {
		return err
	}
	for _, name := range []string{"style.css", "search.js"} {
		content, err := assets.ReadFile("assets/" + name)
		if err == nil {
			err = write(dir, name, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func write(dir, name string, content []byte) error {
	at := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	return os.WriteFile(at, content, 0o644)
}
