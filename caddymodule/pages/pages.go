// Package pages renders the hosted pages: sign-in, registration, account and
// their company, in German and English. It holds templates, texts and one
// style sheet; what a page shows is decided by its callers.
//
// # Threat model
//
// Everything in a view may come from an attacker: html/template escapes it
// for its place. The pages hold no inline handler, and their one style element
// carries a nonce, so that the policy of the answer can forbid all else but the
// icon, which is ours. So does the one script, which only pages have that take a
// passkey ([Scripted]), for browsers give passkeys to scripts alone, or whose form
// asks for a proof of work ([AsksForWork]) while that is asked for. It knows no
// secret and decides nothing, it fills in a form. All other forms work without
// JavaScript, and so do those that ask for work.
package pages

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed templates/*.html templates/*.css templates/*.js
var files embed.FS

//go:embed templates/icon.svg
var iconSVG []byte

// Icon is the icon of the pages, as SVG.
func Icon() []byte { return bytes.TrimSpace(iconSVG) }

// View is what one page shows.
type View interface{ page() string }

// Login is the sign-in form. Error names a text, ReturnURL is a checked target
// or empty. Closed says that no new account is made.
type Login struct {
	Email, ReturnURL, Error string
	Closed                  bool
	// InviteOnly says that only who was invited makes one.
	InviteOnly bool
	// Verified and Reset say what was done before: the address was confirmed, or
	// another password chosen.
	Verified, Reset bool
	// Passkeys says that one may sign in with a passkey.
	Passkeys bool
}

// Register is the registration form. That of an invitation, a token, is for one
// address.
type Register struct{ Name, Email, ReturnURL, Invitation, Error string }

// Loop explains why signing in again and again does not help: Site, an
// origin, keeps sending a signed-in browser back.
type Loop struct{ Site string }

// Problem is an error. Code names its text; RequestID, where set, is what the
// log has it under.
type Problem struct{ Code, RequestID string }

// Docs is the documentation of the API.
type Docs struct {
	Version string
	Groups  []DocGroup
}

// DocGroup is the routes of one tag. Anchor names its place on the page.
type DocGroup struct {
	Name, Anchor string
	Routes       []DocRoute
}

// DocRoute is one route of the API.
type DocRoute struct {
	Method, Path, Summary, Access, Limit string
	Fields                               []DocField
	Answers                              []DocAnswer
}

// DocField is one field a route reads. Place is where, if not in the body.
type DocField struct {
	Name, Type, Place, Rules string
	Optional                 bool
}

// DocAnswer is a status with its codes and what they mean.
type DocAnswer struct {
	Status string
	Lines  []string
}

func (Login) page() string    { return "login" }
func (Register) page() string { return "register" }
func (Loop) page() string     { return "loop" }
func (Problem) page() string  { return "problem" }
func (Docs) page() string     { return "docs" }

// Scripted reports whether a page has the script of passkeys, which the policy of
// the answer must allow by its nonce.
func Scripted(v View) bool {
	s, ok := v.(interface{ scripted() bool })
	return ok && s.scripted()
}

func (l Login) scripted() bool          { return l.Passkeys }
func (f TwoFactor) scripted() bool      { return f.Passkey }
func (r Reauthenticate) scripted() bool { return r.Passkey }
func (p Passkeys) scripted() bool       { return p.Available && p.Proof.Recent }

// Pages are the parsed templates. They are safe for concurrent use.
type Pages struct {
	templates map[Language]map[string]*template.Template
	style     template.CSS
	passkey   template.JS
	work      template.JS // finds the solution of a proof of work
}

// New parses the templates of every page in every language.
func New() (*Pages, error) {
	p := &Pages{templates: make(map[Language]map[string]*template.Template)}
	for _, sheet := range []string{"style.css", "account.css"} {
		style, err := files.ReadFile("templates/" + sheet)
		if err != nil {
			return nil, fmt.Errorf("read the style sheet: %w", err)
		}
		p.style += template.CSS(style) // #nosec G203 -- our own file
	}
	for name, into := range map[string]*template.JS{"passkey.js": &p.passkey, "work.js": &p.work} {
		script, err := files.ReadFile("templates/" + name)
		if err != nil {
			return nil, fmt.Errorf("read a script: %w", err)
		}
		*into = template.JS(script) // #nosec G203 -- our own file
	}
	for _, lang := range languages {
		funcs := template.FuncMap{"t": lang.text, "fault": lang.fault, "when": lang.when, "event": lang.event, "sections": func() []section { return sections }}
		p.templates[lang] = make(map[string]*template.Template)
		for _, v := range []View{Login{}, Register{}, Verify{}, Resend{}, Forgot{}, Reset{}, Mailed{}, Account{}, Email{}, Password{}, Passkeys{}, Devices{}, Events{}, Preferences{}, OwnData{}, Left{}, TwoFactor{}, Reauthenticate{}, Link{}, Confirm{}, Security{}, Loop{}, Gift{}, Problem{}, Price{}, Notice{}, Docs{}} {
			t, err := template.New("layout.html").Funcs(funcs).
				ParseFS(files, "templates/layout.html", "templates/sections.html", "templates/passkeyform.html", "templates/work.html", "templates/"+v.page()+".html")
			if err != nil {
				return nil, fmt.Errorf("parse the page %s: %w", v.page(), err)
			}
			p.templates[lang][v.page()] = t
		}
	}
	return p, nil
}

// Render writes a page in the language, for the site of the hosted pages. The
// nonce is that of its style, for the Content-Security-Policy of the answer.
func (p *Pages) Render(lang Language, v View) (html []byte, nonce string, err error) {
	return p.render(lang, v, "/", "/favicon.svg")
}

// RenderAway is Render for another site. The page leads to home, the address of
// the hosted pages, and has its icon in itself.
func (p *Pages) RenderAway(lang Language, v View, home string) (html []byte, nonce string, err error) {
	return p.render(lang, v, home, iconURL)
}

// iconURL is the icon as a URL (RFC 2397).
var iconURL = template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(Icon())) // #nosec G203 -- our own file

func (p *Pages) render(lang Language, v View, home string, icon template.URL) (html []byte, nonce string, err error) {
	return p.renderWith(lang, v, home, icon, nil)
}

func (p *Pages) renderWith(lang Language, v View, home string, icon template.URL, work *Work) (html []byte, nonce string, err error) {
	nonce = rand.Text()
	var script template.JS
	switch {
	case Scripted(v):
		script = p.passkey
	case work != nil:
		script = p.work
	}
	var out bytes.Buffer
	err = p.templates[lang][v.page()].Execute(&out, struct {
		Language Language
		Page     string
		Nonce    string
		Style    template.CSS
		Script   template.JS
		Home     string
		Icon     template.URL
		View     View
		Work     *Work
	}{lang, v.page(), nonce, p.style, script, home, icon, v, work})
	if err != nil {
		return nil, "", fmt.Errorf("render the page %s: %w", v.page(), err)
	}
	return out.Bytes(), nonce, nil
}
