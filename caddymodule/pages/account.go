package pages

import "time"

// Proof is what the account still has to show before something grave: nothing where
// it has done so recently, its password, or something else on a page of its own.
type Proof struct{ Recent, Password bool }

// Account is the profile of whoever is signed in. Picture is where this site shows
// theirs, empty for one of another site; Uploads says that they can bring one.
// NewName is what stands in the form. Done names what was done, as in all sections.
type Account struct {
	Name, NewName, Email string
	Picture              string
	HasPicture, Uploads  bool
	Error, Done          string
}

// Email is the address of the account. Pending is the one it is to have, New what
// was typed in.
type Email struct {
	Email, Pending, New string
	Verified            bool
	Proof               Proof
	Error, Done         string
}

// Password is the form for another password.
type Password struct {
	Email       string
	HasPassword bool
	Error, Done string
}

// Passkeys are those of the account. Available says that there can be any.
type Passkeys struct {
	List        []Passkey
	Available   bool
	Proof       Proof
	Error, Done string
}

// Passkey is one of them. LastUsed is zero for never; Synced says that there is a
// copy elsewhere.
type Passkey struct {
	ID, Name          string
	Created, LastUsed time.Time
	Synced            bool
}

// Devices are the sessions of the account, and the events of those that have ended.
type Devices struct {
	List  []Device
	Ended []Event
	Done  string
}

// Device is one session. App tells an app's from a browser's.
type Device struct {
	ID, Name, UserAgent, IPAddress string
	LastSeen                       time.Time
	App, Current                   bool
}

// Events are what happened to the account, the newest first. Older is the event
// that the next page begins after, empty on the last one.
type Events struct {
	List   []Event
	Older  string
	Newest bool
}

// Event is something that happened to the account. Cause and Operator, of sessions
// that ended above all, choose the sentence; Name is that of a passkey.
type Event struct {
	Type, Cause, Name string
	Operator          bool
	At                time.Time
	Device, IPAddress string
}

// Preferences are the language of the account, empty for the browser's, and the
// mails it can do without.
type Preferences struct {
	Language           string
	NewDevice, Credits bool
	Done               string
}

// Other is a language that an app has set and in which there are no pages.
func (p Preferences) Other() string {
	if Writes(p.Language) {
		return ""
	}
	return p.Language
}

// OwnData offers what is kept of the account, and its end.
type OwnData struct {
	Email string
	Proof Proof
	Error string
}

// Left is what is said to who has deleted their account. Waiting are the apps that
// have not answered yet.
type Left struct{ Waiting []string }

func (Account) page() string     { return "account" }
func (Email) page() string       { return "email" }
func (Password) page() string    { return "password" }
func (Passkeys) page() string    { return "passkeys" }
func (Devices) page() string     { return "sessions" }
func (Events) page() string      { return "securitylog" }
func (Preferences) page() string { return "preferences" }
func (OwnData) page() string     { return "owndata" }
func (Left) page() string        { return "left" }

// section is an entry of the navigation of the account. Page is the name of the
// page that it leads to.
type section struct{ Page, Path string }

var sections = []section{
	{"account", "/account"}, {"email", "/account/email"}, {"password", "/account/password"}, {"security", "/account/two-factor"},
	{"passkeys", "/account/passkeys"}, {"signins", "/account/sign-ins"}, {"sessions", "/account/devices"}, {"securitylog", "/account/events"},
	{"credits", "/account/credits"}, {"gifts", "/account/gifts"}, {"organizations", "/account/organizations"},
	{"apps", "/account/apps"},
	{"preferences", "/account/preferences"}, {"owndata", "/account/data"},
}

// event tells an event in a sentence: that of its cause or of its operator, where
// there is one. What has none is told by its name.
func (l Language) event(e Event) string {
	keys := []string{"event." + e.Type + "." + e.Cause, "event." + e.Type}
	if e.Operator {
		keys = append([]string{"event." + e.Type + ".operator"}, keys...)
	}
	for _, key := range keys {
		if s, ok := accountTexts[key]; ok {
			return s[l]
		}
	}
	return l.text("event.other") + " " + e.Type
}
