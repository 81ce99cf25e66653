package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed templates
var embedded embed.FS

const layoutFile = "layout.html"

// Templates renders mails. It may be used at once.
type Templates struct {
	Now func() time.Time // time.Now

	texts  map[string]*template.Template     // by file name
	pages  map[string]*htmltemplate.Template // of mails that have a page of their own, by file name
	layout *htmltemplate.Template
}

// NewTemplates loads the mails of this program, each file replaced by the one of
// the same name in dir; "" is no directory.
//
// Every mail is rendered once here, so that a template that cannot be is an
// error that names its file and line: one that is malformed, has a field that
// does not exist, lacks its subject, or does not show the link or code that it
// is for. A file in dir that replaces nothing is an error too.
func NewTemplates(dir string) (*Templates, error) {
	sources, err := readSources(dir)
	if err != nil {
		return nil, err
	}
	t := &Templates{Now: time.Now, texts: map[string]*template.Template{}, pages: map[string]*htmltemplate.Template{}}
	var faults []error
	if t.layout, err = parsePage(layoutFile, sources[layoutFile], layoutFields); err != nil {
		return nil, err
	}
	for _, language := range languages {
		partials, err := parseText(partialsFile(language), sources[partialsFile(language)], nil)
		if err != nil {
			return nil, err
		}
		for _, k := range slices.Sorted(maps.Keys(needs)) {
			faults = append(faults, t.load(k, language, sources, partials))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return t, nil
}

// load parses the files of a mail and tries them.
func (t *Templates) load(k Kind, language string, sources map[string]string, partials *template.Template) (err error) {
	name := textFile(k, language)
	if t.texts[name], err = parseText(name, sources[name], partials); err != nil {
		return err
	}
	if page, own := sources[pageFile(k, language)]; own {
		if t.pages[pageFile(k, language)], err = parsePage(pageFile(k, language), page, viewFields); err != nil {
			return err
		}
	}
	return t.try(k, language)
}

// try renders a mail with every field, and with those alone that it must have.
func (t *Templates) try(k Kind, language string) error {
	now := time.Now()
	full := Data{
		Name: "Ada", Email: "ada@example.com", Link: "https://example.com/link", UndoLink: "https://example.com/undo",
		ResetLink: "https://example.com/reset", Code: "12345678", Organization: "Analytical Engines", Inviter: "Charles",
		Factor: "totp", Device: "Firefox", Address: "192.0.2.1", Amount: "5", Message: "Hello",
		Imprint: "https://example.com/imprint", Support: "help@example.com", Expires: now.Add(time.Hour), At: now,
	}
	least := Data{Email: full.Email, Link: full.Link, Code: full.Code, Expires: full.Expires}
	for _, d := range []Data{full, least} {
		letter, err := t.Render(k, language, d)
		if err != nil {
			return err
		}
		shown := map[string]string{"Link": d.Link, "Code": d.Code}
		for _, field := range needs[k] {
			if !strings.Contains(letter.Text, shown[field]) {
				return fmt.Errorf("mail template %s: does not show {{.%s}}", textFile(k, language), field)
			}
			if !strings.Contains(letter.HTML, shown[field]) {
				return fmt.Errorf("mail template %s: does not show {{.%s}} in the HTML part", textFile(k, language), field)
			}
		}
	}
	return nil
}

// Render makes a mail. The language may have a region ("de-AT"); one that mails
// are not written in is German. Errors: [ErrExpired], or one that names the
// field of d that is missing or wrong.
func (t *Templates) Render(k Kind, language string, d Data) (Letter, error) {
	language = base(language)
	source := t.texts[textFile(k, language)]
	if source == nil {
		return Letter{}, fmt.Errorf("no mail of kind %q", k)
	}
	v, err := d.view(k, language, t.Now())
	if err != nil {
		return Letter{}, err
	}
	var raw bytes.Buffer
	if err := source.Execute(&raw, v); err != nil {
		return Letter{}, fmt.Errorf("mail template: %w", err)
	}
	subject, text, ok := split(raw.String())
	if !ok {
		return Letter{}, fmt.Errorf("mail template %s:1: must begin with a line \"Subject: …\" and an empty one", source.Name())
	}
	letter := Letter{To: d.Email, Subject: subject, Kind: string(k)}
	for _, link := range v.links() {
		if strings.Contains(text, link) {
			letter.Links = append(letter.Links, link)
		}
	}
	paragraphs := paragraphs(text)
	letter.Text = strings.Join(paragraphs, "\n\n") + "\n"
	var page bytes.Buffer
	if own := t.pages[pageFile(k, language)]; own != nil {
		err = own.Execute(&page, v)
	} else {
		err = t.layout.Execute(&page, layout{Subject: subject, Language: language, Brand: v.Brand, Blocks: blocks(paragraphs, v)})
	}
	if err != nil {
		return Letter{}, fmt.Errorf("mail template: %w", err)
	}
	letter.HTML = page.String()
	return letter, nil
}

// base is the language that mails for a language tag are written in.
func base(tag string) string {
	if tag = primary(tag); slices.Contains(languages, tag) {
		return tag
	}
	return languages[0]
}

// primary is the language of a tag without its region (RFC 5646, section 2.2.1).
func primary(tag string) string {
	tag, _, _ = strings.Cut(strings.ToLower(strings.ReplaceAll(tag, "_", "-")), "-")
	return tag
}

// Writes reports whether there are mails in the language of a tag.
func Writes(tag string) bool { return slices.Contains(languages, primary(tag)) }

func textFile(k Kind, language string) string { return string(k) + "." + language + ".txt" }
func pageFile(k Kind, language string) string { return string(k) + "." + language + ".html" }
func partialsFile(language string) string     { return "partials." + language + ".txt" }

// readSources returns what stands in the files, by name.
func readSources(dir string) (map[string]string, error) {
	sources := map[string]string{}
	defaults, err := fs.ReadDir(embedded, "templates")
	if err != nil {
		return nil, fmt.Errorf("read mail templates: %w", err)
	}
	for _, entry := range defaults {
		text, err := embedded.ReadFile("templates/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read mail templates: %w", err)
		}
		sources[entry.Name()] = string(text)
	}
	if dir == "" {
		return sources, nil
	}
	replaced, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read mail templates: %w", err)
	}
	known := map[string]bool{}
	for name := range sources {
		known[name] = true
		known[strings.TrimSuffix(name, ".txt")+".html"] = !strings.HasPrefix(name, "partials.")
	}
	for _, entry := range replaced {
		name := entry.Name()
		if entry.IsDir() || strings.HasPrefix(name, ".") || filepath.Ext(name) != ".txt" && filepath.Ext(name) != ".html" {
			continue
		}
		if !known[name] {
			return nil, fmt.Errorf("mail template %s: there is no mail of that name", filepath.Join(dir, name))
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read mail templates: %w", err)
		}
		sources[name] = string(text)
	}
	return sources, nil
}
