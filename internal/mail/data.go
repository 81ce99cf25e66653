package mail

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"mana.how/edge/internal/usertext"
)

// Data is what a mail tells. Empty fields are left out of it; times are shown
// in their own zone. It may be kept as JSON.
type Data struct {
	Name  string `json:",omitempty"` // of the recipient; the local part of Email where there is none
	Email string // of the recipient: whom the letter is to

	Link      string `json:",omitempty"` // what the mail asks for: http or https
	UndoLink  string `json:",omitempty"`
	ResetLink string `json:",omitempty"` // where a password is reset
	Code      string `json:",omitempty"` // letters, digits and hyphens

	Brand        string `json:",omitempty"` // ManaCore
	Imprint      string `json:",omitempty"` // of the brand: an http or https URL
	Support      string `json:",omitempty"` // where there is help: that, or a mail address
	Organization string `json:",omitempty"`
	Inviter      string `json:",omitempty"` // who invites, or gives
	Factor       string `json:",omitempty"` // "totp" or "passkey"
	Device       string `json:",omitempty"` // as people call it: "Firefox, Linux"
	Address      string `json:",omitempty"` // of the network
	Amount       string `json:",omitempty"` // of credits, with a decimal point
	Limit        string `json:",omitempty"` // threshold, price or budget, likewise
	APIKey       string `json:",omitempty"` // what its owner calls it
	Price        string `json:",omitempty"` // in euro, likewise
	Reason       string `json:",omitempty"` // of a top-up that is off: "declined", "unconfirmed", "card" or "package"
	Message      string `json:",omitempty"`

	Expires time.Time `json:",omitzero"` // end of what Link, UndoLink and Code are good for
	At      time.Time `json:",omitzero"` // when it happened
}

// DefaultBrand is the brand of mails whose [Data] names none.
const DefaultBrand = "ManaCore"

// ErrExpired reports a mail whose link or code is good for nothing any more.
var ErrExpired = errors.New("what the mail is for has expired")

// Lengths in characters as people count them.
const (
	maxName    = 60
	maxTitle   = 80
	maxMessage = 500
)

// view is a mail as a template sees it.
type view struct {
	Greeting string
	Brand    string
	Email    string

	Imprint, Support string

	Link, UndoLink, ResetLink, Code string

	Organization, Inviter, Factor, Device, Address, Amount, Limit, Price, Reason, APIKey, Message string

	Validity string // how long, from now: "24 Stunden"
	Until    string // until when
	At       string
}

var codeForm = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)

// view checks the data for a mail of a kind and makes them fit to be shown.
// Errors: [ErrExpired], or one that names a field.
func (d Data) view(k Kind, language string, now time.Time) (view, error) {
	w := words[language]
	v := view{
		Brand: cut(d.Brand, maxName), Email: cut(d.Email, 254),
		Imprint: cut(d.Imprint, 200), Support: cut(d.Support, 200),
		Link: d.Link, UndoLink: d.UndoLink, ResetLink: d.ResetLink, Code: d.Code,
		Organization: inert(cut(d.Organization, maxTitle)), Inviter: inert(cut(d.Inviter, maxName)), Factor: d.Factor,
		Device: inert(cut(d.Device, maxTitle)), Address: networkAddress(d.Address),
		Amount: w.decimal(cut(d.Amount, 32)), Limit: w.decimal(cut(d.Limit, 32)),
		Price: w.price(cut(d.Price, 32)), Reason: d.Reason, APIKey: inert(cut(d.APIKey, maxTitle)), Message: inert(cut(d.Message, maxMessage)),
		Greeting: w.greet(d.addressee()), At: w.moment(d.At),
	}
	if v.Brand == "" {
		v.Brand = DefaultBrand
	}
	for _, f := range []struct{ name, link string }{{"Link", d.Link}, {"UndoLink", d.UndoLink}, {"ResetLink", d.ResetLink}} {
		if err := checkLink(f.link); err != nil {
			return view{}, fmt.Errorf("%s of a mail: %w", f.name, err)
		}
	}
	if !codeForm.MatchString(d.Code) {
		return view{}, errors.New("Code of a mail: must be letters, digits and hyphens")
	}
	has := map[string]bool{"Link": d.Link != "", "Code": d.Code != "", "Expires": !d.Expires.IsZero()}
	for _, field := range needs[k] {
		if !has[field] {
			return view{}, fmt.Errorf("a mail of kind %s needs %s", k, field)
		}
	}
	if !d.Expires.IsZero() {
		left := d.Expires.Sub(now)
		if left < time.Second {
			return view{}, ErrExpired
		}
		v.Validity, v.Until = w.span(left), w.moment(d.Expires)
	}
	return v, nil
}

// links are those that a mail may hold.
func (v view) links() (all []string) {
	for _, link := range []string{v.Link, v.UndoLink, v.ResetLink} {
		if link != "" {
			all = append(all, link)
		}
	}
	return all
}

// addressee is what to call the recipient: empty where that could be taken for
// a link. Of an address only what its owner chose counts, not the +tag that
// anybody can add.
func (d Data) addressee() string {
	name := cut(d.Name, maxName)
	if name != "" {
		if linkLike(name) {
			return ""
		}
		return name
	}
	local, _, _ := strings.Cut(d.Email[:max(strings.LastIndexByte(d.Email, '@'), 0)], "+")
	if local = cut(local, maxName); hostLike(local) {
		return ""
	}
	return local
}

// networkAddress is an address of a network as it is, and anything else inert.
func networkAddress(text string) string {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return text
	}
	return inert(cut(text, maxName))
}

func checkLink(link string) error {
	if link == "" {
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil ||
		strings.ContainsFunc(link, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) || strings.ContainsRune("<>\"`\\", r) }) {
		return errors.New("must be an http or https URL")
	}
	return nil
}

// cut makes one line of at most n characters, as people count them, out of what
// somebody wrote.
func cut(text string, n int) string {
	text = strings.Join(strings.Fields(usertext.Clean(text, 64*n)), " ")
	end, count := 0, 0
	for clusters := uniseg.NewGraphemes(text); clusters.Next(); count++ {
		if count == n {
			return strings.TrimSpace(text[:end]) + "…"
		}
		_, end = clusters.Positions()
	}
	return text
}

// wording is how a language says what is computed.
type wording struct {
	hello   string
	comma   string
	money   string
	layout  string
	minutes [2]string
	hours   [2]string
	days    [2]string
}

var words = map[string]wording{
	"de": {"Hallo", ",", "%s €", "02.01.2006, 15:04 Uhr (MST)",
		[2]string{"Minute", "Minuten"}, [2]string{"Stunde", "Stunden"}, [2]string{"Tag", "Tage"}},
	"en": {"Hello", ".", "€%s", "2 January 2006, 15:04 (MST)",
		[2]string{"minute", "minutes"}, [2]string{"hour", "hours"}, [2]string{"day", "days"}},
}

func (w wording) greet(name string) string {
	if name == "" {
		return w.hello + ","
	}
	return w.hello + " " + name + ","
}

func (w wording) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(w.layout)
}

func (w wording) decimal(amount string) string {
	if _, err := strconv.ParseFloat(amount, 64); err != nil {
		return inert(amount)
	}
	return strings.Replace(amount, ".", w.comma, 1)
}

// price writes an amount in euro; nothing for none.
func (w wording) price(amount string) string {
	if amount == "" {
		return ""
	}
	return fmt.Sprintf(w.money, w.decimal(amount))
}

// span tells a duration in the largest unit that does not round it down by
// much, and never up by more than the half minute that sending may have taken.
func (w wording) span(d time.Duration) string {
	const day = 24 * time.Hour
	d = (d + 30*time.Second).Truncate(time.Minute)
	switch {
	case d >= 2*day:
		return count(int(d/day), w.days)
	case d >= 2*time.Hour, d == time.Hour:
		return count(int(d/time.Hour), w.hours)
	default:
		return count(max(int(d/time.Minute), 1), w.minutes)
	}
}

func count(n int, unit [2]string) string {
	if n == 1 {
		return "1 " + unit[0]
	}
	return strconv.Itoa(n) + " " + unit[1]
}
