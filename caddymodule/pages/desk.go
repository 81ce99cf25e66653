package pages

import (
	"strings"
	"time"
)

// Desk is a page of the admin's desk. Its pages are much alike: facts, charts, lists
// and, for who may change something, forms. Words that the desk itself chooses are
// keys of its texts; what was written by others is a text as it is.
type Desk struct {
	// Section is the entry of the menu that is open. Heading is a key; About is what
	// the page shows, such as an address, in its place.
	Section, Heading, About string
	// At is the path of the page, where its forms lead.
	At string
	// Up is the list that the page of one thing belongs to.
	Up string
	// ReadOnly is the desk of who changes nothing. Recent says that a change needs no
	// other proof.
	ReadOnly, Recent bool
	Done, Error      string
	Notes            []string // keys
	Search           []DeskField
	Links            []DeskCell
	Facts            []DeskFact
	Charts           []DeskChart
	Tables           []DeskTable
	Actions          []DeskAction
	// Draft is a form that changes nothing, which stands open. Faults are what is wrong with
	// what was sent, as it is told.
	Draft  *DeskAction
	Faults []string
}

// DeskField is a field of a form; Name is the key of its label too. Kind is a type of
// input, or "select", or "textarea", or "table", which is one of many lines.
type DeskField struct {
	Name, Kind, Value string
	Options           []string // of a select, keys of words
	Required          bool
	Max               int
	// Words is before each option where it is looked up as a word.
	Words string
}

// DeskFact is one thing that is known.
type DeskFact struct {
	Label string
	Value DeskCell
}

// DeskChart is figures by the hour. Total is their sum.
type DeskChart struct {
	Title string
	Total string
	Chart
}

// DeskTable is a list. Newest and Older are the queries of other pages, empty for
// none.
type DeskTable struct {
	Title         string
	Columns       []string
	Rows          [][]DeskCell
	Newest, Older string
}

// DeskCell is a value. The first of its fields that is set is shown: the form, the
// time, the number of credits, the price, the parts, the word, the text. With a link the text
// leads there.
type DeskCell struct {
	Form    *DeskAction
	At      time.Time
	Credits string
	Cents   int64
	Word    string // looked up, and shown as it is where it has no text
	Text    string
	Link    string
	Parts   []DeskFact // several values, each with its label
	Code    bool       // the text is for programs: an id, an address, JSON
	Tone    string     // of a badge: good, bad or plain; none where empty
}

// Empty reports whether there is nothing to show.
func (c DeskCell) Empty() bool {
	return c.Form == nil && c.At.IsZero() && c.Credits == "" && c.Cents == 0 && c.Word == "" && c.Text == "" && len(c.Parts) == 0
}

// DeskAction is a form that changes something. Name is what it sends, and the key of
// its button; Item names what is changed, where that is not the page's own.
type DeskAction struct {
	Name, Item string
	Fields     []DeskField
	Danger     bool
	// Plain is a form that wants no reason.
	Plain bool
	// Key tells one press of the button from two.
	Key string
}

func (Desk) page() string { return "desk" }

// title is the key of the page's title.
func (d Desk) title() string {
	if d.Heading == "" {
		return "title.desk"
	}
	return "desk." + d.Heading
}

// deskSections are the entries of the desk's menu.
var deskSections = []section{
	{"overview", "/admin"}, {"users", "/admin/users"}, {"organizations", "/admin/organizations"}, {"ledger", "/admin/ledger"},
	{"gifts", "/admin/gifts"}, {"coupons", "/admin/coupons"}, {"abuse", "/admin/abuse"}, {"sales", "/admin/sales"}, {"prices", "/admin/prices"}, {"keys", "/admin/api-keys"}, {"clients", "/admin/clients"}, {"alerts", "/admin/alerts"}, {"events", "/admin/events"},
	{"outbox", "/admin/outbox"}, {"webhooks", "/admin/webhooks"}, {"signing", "/admin/signing-keys"}, {"edges", "/admin/edges"},
}

// hour writes the hour of a time (UTC) for people, without the year.
func (l Language) hour(t time.Time) string {
	if l == German {
		return t.UTC().Format("02.01., 15:04")
	}
	return t.UTC().Format("2 Jan, 15:04")
}

// deskWord is a word of the desk, or what the account's own pages call an alert; one that
// it does not know, such as a status of another service, is its own text.
func (l Language) deskWord(word string) string {
	if s, ok := deskTexts["deskWord."+word]; ok {
		return s[l]
	}
	if strings.HasPrefix(word, "alert.") {
		return l.text(word)
	}
	return word
}
