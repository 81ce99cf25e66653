// Package pages renders the hosted pages: sign-in, registration, account and
// their company, in German and English. It holds templates, texts and one
// style sheet; what a page shows is decided by its callers.
//
// # Threat model
//
// Everything in a view may come from an attacker: html/template escapes it
// for its place. The pages hold no inline handler, and their one style element
// carries a nonce, so that the policy of the answer can forbid all else but the
// logo, which is ours or the admin's. So does the one script, which only pages have that take a
// passkey ([Scripted]), for browsers give passkeys to scripts alone, or whose form
// asks for a proof of work ([AsksForWork]) while that is asked for. It knows no
// secret and decides nothing, it fills in a form. That of the documentation sends what
// its reader wrote, as whoever is signed in, and only when they press a button. All other forms work without
// JavaScript, and so do those that ask for work.
//
// It is larger than others because each page is a type with its texts in both languages, and
// all are rendered in one frame with one style.
package pages

import (
	"embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed templates/*.html templates/*.css templates/*.js
var files embed.FS

//go:embed templates/icon.svg
var iconSVG []byte

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
	// Client is the name of the OpenID client that asks for the sign-in, empty where
	// none does.
	Client string
	// Providers may be signed in with; PasswordsOff says that nothing else may.
	Providers    []ProviderButton
	PasswordsOff bool
}

// Register is the registration form. That of an invitation, a token, is for one
// address.
type Register struct {
	Name, Email, ReturnURL, Invitation, Error string
	// Providers may make one with; PasswordsOff says that nothing else may.
	Providers    []ProviderButton
	PasswordsOff bool
}

// Loop explains why signing in again and again does not help: Site, an
// origin, keeps sending a signed-in browser back.
type Loop struct{ Site string }

// Problem is an error. Code names its text; RequestID, where set, is what the
// log has it under, and Wait how long it is until another try may help.
type Problem struct {
	Code, RequestID string
	Wait            time.Duration
}

// Docs is the documentation of the API.
type Docs struct {
	Version string
	Groups  []DocGroup
	Errors  []DocError
}

// DocError is a code by which clients know a refusal: its status, its texts, and what
// to do about it.
type DocError struct {
	Code, Status, Advice string
	Texts                []string
}

// DocGroup is the routes of one tag. Anchor names its place on the page.
type DocGroup struct {
	Name, Anchor string
	Routes       []DocRoute
}

// DocRoute is one route of the API.
type DocRoute struct {
	Method, Path, Summary, Access, Limit string
	// Curl and TypeScript call it; empty of a page.
	Curl, TypeScript string
	// Try is how a script of the page can call it, as whoever is signed in: with an
	// access token ("bearer"), the sign-on cookie ("cookie") or nothing ("open").
	// Empty is not at all.
	Try     string
	Fields  []DocField
	Answers []DocAnswer
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

// Scripted reports whether a page has a script of its own, that of passkeys or that
// of the documentation, which the policy of the answer must allow by its nonce.
func Scripted(v View) bool {
	s, ok := v.(interface{ scripted() bool })
	return ok && s.scripted()
}

func (Docs) scripted() bool             { return true }
func (l Login) scripted() bool          { return l.Passkeys }
func (f TwoFactor) scripted() bool      { return f.Passkey }
func (r Reauthenticate) scripted() bool { return r.Passkey }
func (p Passkeys) scripted() bool       { return p.Available && p.Proof.Recent }

// Pages are the parsed templates. They are safe for concurrent use.
type Pages struct {
	// Brand is whose pages they are.
	Brand Brand

	templates map[Language]map[string]*template.Template
	styles    map[string]template.CSS // by page
	passkey   template.JS
	work      template.JS // finds the solution of a proof of work
	docs      template.JS // searches the routes of the API, and tries them
}

// sheets are the style sheets that pages have beside the common one.
var sheets = map[string][]string{
	"login": {"account.css"}, "register": {"account.css"}, "signins": {"account.css"}, "twofactor": {"account.css"}, "reauthenticate": {"account.css"}, "left": {"account.css"},
	"account": {"account.css"}, "email": {"account.css"}, "password": {"account.css"}, "security": {"account.css"}, "passkeys": {"account.css"},
	"sessions": {"account.css"}, "securitylog": {"account.css"}, "preferences": {"account.css"}, "owndata": {"account.css"},
	"organizations": {"account.css"}, "team": {"account.css"},
	"apps": {"account.css"}, "desk": {"account.css", "credits.css", "desk.css"},
	"credits": {"account.css", "credits.css"}, "shop": {"account.css", "credits.css"}, "topup": {"account.css", "credits.css"}, "gifts": {"account.css", "credits.css"},
	"docs": {"docs.css"},
}

// styleOf is the style of a page.
func styleOf(page string) (css template.CSS, err error) {
	for _, name := range append([]string{"style.css"}, sheets[page]...) {
		sheet, err := files.ReadFile("templates/" + name)
		if err != nil {
			return "", fmt.Errorf("read the style sheet: %w", err)
		}
		css += template.CSS(sheet) // #nosec G203 -- our own file
	}
	return css, nil
}

// all has a view of every page.
var all = []View{
	Login{}, Register{}, Verify{}, Resend{}, Forgot{}, Reset{}, Mailed{}, TwoFactor{}, Reauthenticate{}, Link{}, Confirm{},
	Account{}, Email{}, Password{}, Security{}, Passkeys{}, Devices{}, Events{}, Preferences{}, OwnData{}, Left{},
	Loop{}, Problem{}, Price{}, Notice{}, Shortfall{}, Docs{},
	Gift{}, Gifts{}, Credits{}, Shop{}, TopUp{}, Onward{},
	Organizations{}, Team{},
	Consent{}, DeviceCode{}, SignOut{}, SignedOut{}, Apps{}, SignIns{}, ProviderFailed{}, Address{}, Desk{},
}

// New parses the templates of every page in every language.
func New() (*Pages, error) {
	p := &Pages{templates: make(map[Language]map[string]*template.Template), styles: make(map[string]template.CSS)}
	for _, v := range all {
		css, err := styleOf(v.page())
		if err != nil {
			return nil, err
		}
		p.styles[v.page()] = css
	}
	for name, into := range map[string]*template.JS{"passkey.js": &p.passkey, "work.js": &p.work, "docs.js": &p.docs} {
		script, err := files.ReadFile("templates/" + name)
		if err != nil {
			return nil, fmt.Errorf("read a script: %w", err)
		}
		*into = template.JS(script) // #nosec G203 -- our own file
	}
	for _, lang := range languages {
		funcs := template.FuncMap{
			"t": lang.text, "fault": lang.fault, "when": lang.when, "day": lang.day, "wait": lang.wait, "stamp": stamp,
			"amount": lang.amount, "credits": lang.credits, "euro": lang.euro,
			"event": lang.event, "scope": lang.scope, "sections": func() []section { return sections },
			"hour": lang.hour, "deskSections": func() []section { return deskSections }, "word": lang.deskWord,
		}
		p.templates[lang] = make(map[string]*template.Template)
		for _, v := range all {
			t, err := template.New("layout.html").Funcs(funcs).
				ParseFS(files, "templates/layout.html", "templates/sections.html", "templates/passkeyform.html", "templates/providers.html", "templates/work.html", "templates/scopes.html", "templates/"+v.page()+".html")
			if err != nil {
				return nil, fmt.Errorf("parse the page %s: %w", v.page(), err)
			}
			p.templates[lang][v.page()] = t
		}
	}
	return p, nil
}

// With is the same pages for a brand.
func (p *Pages) With(b Brand) *Pages {
	branded := *p
	branded.Brand = b
	return &branded
}
