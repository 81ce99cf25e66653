package pages

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"html/template"
	"net/url"
)

// Visit is how a page is asked for.
type Visit struct {
	Language Language
	// Query is that of the page's address. Nil, for a page that cannot be asked
	// for again, leaves the choice of a language out.
	Query url.Values
	// Work is the proof of work that the page's form asks for, if any.
	Work *Work
}

// LanguageParam is the parameter that chooses the language of the hosted pages.
const LanguageParam = "lang"

// LanguageCookie is the plain name of the cookie that remembers the choice.
const LanguageCookie = "mana.language"

// choice is a language that the page can be had in.
type choice struct {
	Language Language
	Name     string
	URL      template.URL
	Current  bool
}

var languageNames = map[Language]string{German: "Deutsch", English: "English"}

// choices are the same page in every language. The reference is relative and has
// no path, so that it leads to no other site whatever the path is.
func (v Visit) choices() (list []choice) {
	if v.Query == nil {
		return nil
	}
	for _, l := range languages {
		query := url.Values{}
		for name, values := range v.Query {
			query[name] = values
		}
		query.Set(LanguageParam, string(l))
		list = append(list, choice{l, languageNames[l], template.URL("?" + query.Encode()), l == v.Language}) // #nosec G203 -- escaped
	}
	return list
}

// frame is what the layout shows.
type frame struct {
	Language  Language
	Page      string
	Title     string // the key of its text
	Nonce     string
	Style     template.CSS
	Script    template.JS // of pages that take a passkey, ask for a proof of work, or document the API
	Home      string
	Brand     string
	Mark      mark
	Links     []link
	Languages []choice
	View      View
	Work      *Work
}

// Show writes a page for the site of the hosted pages. The nonce is that of its
// style, for the Content-Security-Policy of the answer.
func (p *Pages) Show(visit Visit, v View) (html []byte, nonce string, err error) {
	return p.render(v, frame{Language: visit.Language, Home: "/", Mark: p.Brand.mark(false), Languages: visit.choices(), Work: visit.Work})
}

// Render is Show without the choice of a language.
func (p *Pages) Render(lang Language, v View) (html []byte, nonce string, err error) {
	return p.Show(Visit{Language: lang}, v)
}

// RenderAway is Render for another site. The page leads to home, the address of
// the hosted pages, and has its pictures in itself.
func (p *Pages) RenderAway(lang Language, v View, home string) (html []byte, nonce string, err error) {
	return p.render(v, frame{Language: lang, Home: home, Mark: p.Brand.mark(true)})
}

func (p *Pages) render(v View, f frame) (html []byte, nonce string, err error) {
	if gifts, ok := v.(Gifts); ok && SafeLink(p.Brand.Support) {
		gifts.support = template.URL(p.Brand.Support) // #nosec G203 -- of a safe scheme
		v = gifts
	}
	f.Page, f.Nonce, f.View = v.page(), rand.Text(), v
	f.Title = "title." + f.Page
	if own, ok := v.(interface{ title() string }); ok {
		f.Title = own.title()
	}
	f.Style, f.Brand, f.Links = p.styles[f.Page]+p.Brand.Colour.style(), p.Brand.Title(), p.Brand.links()
	_, docs := v.(Docs)
	switch {
	case docs:
		f.Script = p.docs
	case Scripted(v):
		f.Script = p.passkey
	case f.Work != nil:
		f.Script = p.work
	}
	var out bytes.Buffer
	if err := p.templates[f.Language][f.Page].Execute(&out, f); err != nil {
		return nil, "", fmt.Errorf("render the page %s: %w", f.Page, err)
	}
	return out.Bytes(), f.Nonce, nil
}
