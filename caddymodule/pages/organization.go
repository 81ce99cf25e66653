package pages

import "time"

// Organizations are those of who is signed in, and the invitations into others.
// Verified says that their address is proven, without which nobody makes one or
// joins one. NewName is what stands in the form.
type Organizations struct {
	List        []Organization
	Invitations []Invitation
	Verified    bool
	Acting      bool // in one of them
	NewName     string
	Error, Done string
}

// Organization is one of them. Active says that the session acts in it.
type Organization struct {
	ID, Name, Role string
	Active         bool
}

// Invitation is one into an organisation, or of one: Email is whom it is to.
// Focus marks the one that a link led to.
type Invitation struct {
	ID, Name, Inviter, Email, Role string
	Expires                        time.Time
	Focus                          bool
}

// Team is one organisation with its members. Manages and Owns say what who looks
// at it may do. Recent says that they have lately shown who they are.
type Team struct {
	ID, Name            string
	Manages, Owns       bool
	Recent              bool
	Members             []Member
	Invitations         []Invitation
	NewName, InviteMail string
	Wallet              Wallet
	Error, Done         string
}

// Wallet is what an organisation has of credits, as far as who looks may know.
// Share is their own part in it, Default what every plain member may spend who has
// no allotment of their own, and Entries the last rows of the ledger: of all
// members for who manages them, else their own.
type Wallet struct {
	Balance    string
	Held, Debt string // empty where there is none
	Sells      bool
	Share      Share
	Default    Allotment
	Entries    []Entry
	Credits    string // what stands in the form that was refused
}

// Allotment is what may be spent in a period: day, month or total. Credits are
// empty where nothing is allotted.
type Allotment struct{ Credits, Period string }

// Share is a member's part in the credits of their organisation: what is allotted
// to them, by name or, with Common, as to everyone; what they have spent of it, or
// this month; and what is left, empty where nothing bounds them.
type Share struct {
	Allotment
	Common      bool
	Spent, Left string
}

// Member is one of a team. Changeable says that who looks at it may give them
// another role or remove them.
type Member struct {
	ID, Name, Email, Role string
	You, Changeable       bool
	Share                 Share
}

func (Organizations) page() string { return "organizations" }
func (Team) page() string          { return "team" }
