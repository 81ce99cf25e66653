package pages

import (
	"html/template"
	"time"
)

// Amounts of credits in these views are numbers with a decimal point, as the
// ledger writes them; the pages write them as the language does.

// Credits is what somebody's account of credits holds, and what happened to it.
type Credits struct {
	Balance    string
	Held, Debt string // empty where there is none
	Sells      bool   // credits can be bought here
	Lots       []Lot
	Chart      Chart
	ByApp      []UsageLine
	ByDay      []UsageLine // Name is a day
	Entries    []Entry
	Filter     HistoryFilter
	Older      string // query of the next page, empty for none
	Newest     string // query of the first page, empty on it
	Export     string // query of the file
	Paid       bool   // they come from a purchase
	// Organization is the id of the one whose account it is, empty for the user's.
	Organization string
	// LowBalance is the threshold below which the balance is low, empty for the
	// default, and DefaultLow that one, empty for none.
	LowBalance, DefaultLow string
	Alerts                 []Alert
	// ToppedUp says that the account is topped up by itself, below that threshold, and
	// TopUpWaits that a payment for it waits for its owner.
	ToppedUp, TopUpWaits bool
	Done                 string
	Error                string
}

// Alert is something that the owner of the account was told of it. What has no
// amount or end is empty.
type Alert struct {
	Kind    string // one of creditcore.AlertKinds
	Credits string
	Ends    time.Time
	At      time.Time
}

// Lot is what is left of credits that came in together.
type Lot struct {
	Source    string // purchase, gift, subscription, refund, admin
	Left      string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	// Of what is left then, up to RollsOver goes on; empty: nothing.
	RollsOver string
}

// UsageLine is what an app or a day cost, and what of that came back, empty
// where nothing did.
type UsageLine struct {
	Name              string
	Credits, Refunded string
	Requests          int64
}

// Entry is a row of the ledger. Amount is negative where credits left.
type Entry struct {
	At                          time.Time
	Type                        string
	App, Operation, Description string
	Amount, Balance             string
	Incoming                    bool
	By                          string // who spent, on the account of an organisation
}

// HistoryFilter is what of a ledger is shown. The days are written 2006-01-02.
type HistoryFilter struct {
	Type, App, From, To string
	Types               []string // that can be chosen
	Apps                []string // that are known
}

// Chart is the usage of the last days as bars, the oldest first.
type Chart struct {
	Bars          []Bar
	Width, Height int
}

// Bar is a day of a chart, in units of its picture.
type Bar struct {
	Day     time.Time
	Credits string
	X, Y, H int
}

// Sizes of a chart, in its own units.
const (
	barWidth, barGap = 16, 4
	chartHeight      = 120
	leastVisible     = 2
)

// NewChart draws days. Values are in thousandths of a credit, written beside
// them.
func NewChart(days []time.Time, values []int64, written []string) Chart {
	most := int64(1)
	for _, v := range values {
		most = max(most, v)
	}
	c := Chart{Width: len(days)*(barWidth+barGap) - barGap, Height: chartHeight}
	for i, day := range days {
		height := 0
		if values[i] > 0 {
			height = max(leastVisible, int(float64(values[i])/float64(most)*chartHeight))
		}
		c.Bars = append(c.Bars, Bar{Day: day, Credits: written[i], X: i * (barWidth + barGap), Y: chartHeight - height, H: height})
	}
	return c
}

// Empty reports whether nothing was used.
func (c Chart) Empty() bool {
	for _, b := range c.Bars {
		if b.H > 0 {
			return false
		}
	}
	return true
}

// First is the oldest day.
func (c Chart) First() time.Time { return c.Bars[0].Day }

// Last is the newest day.
func (c Chart) Last() time.Time { return c.Bars[len(c.Bars)-1].Day }

// Shop is what is for sale. Key tells one press of a button from two.
type Shop struct {
	Balance, Debt string // Debt is empty where nothing is owed
	Packages      []Package
	Plans         []Plan
	Current       *Subscription // nil without one
	Key           string
	Portal        bool // Stripe knows the buyer
	Cancelled     bool // they come back from a purchase that they left
	Subscribed    bool // they come back from a subscription
	Error         string
	// Organization is the id of the one that is bought for, empty for the user, and
	// Members how many it has.
	Organization string
	Members      int
	// Card is what is kept for the automatic top-up, nil without one, and ToppedUp that
	// it is on.
	Card     *Card
	ToppedUp bool
}

// TopUp is how an account is topped up by itself. Threshold and Cap are as they were
// typed, or as they are.
type TopUp struct {
	Enabled, Sells   bool
	Threshold, Cap   string
	PackageID        string
	Packages         []Package
	SpentCents       int64  // of the cap, this month
	CapCents         int64  // zero where none was set
	Card             *Card  // nil without one
	OffReason        string // declined, unconfirmed, card, package; empty: none
	Waits            string // confirm, cap, daily, processing, declined, stripe; empty: for nothing
	Confirm          bool   // a payment waits for its owner
	RunningCents     int64  // what that costs
	Returned         bool   // they come back from their bank
	Paid             bool   // they come back from a purchase whose card is kept
	Organization, At string // At is this page
	Proof            Proof
	Done, Error      string
}

// Card is a saved card.
type Card struct {
	Brand, Last4 string
	Month, Year  int
}

// Package is credits for a price, in cents.
type Package struct {
	ID, Name, Description, Credits string
	Cents                          int64
}

// Plan is what can be subscribed to. A price of zero is none that can be paid.
type Plan struct {
	ID, Name, Description, Credits string
	MonthlyCents, YearlyCents      int64
	Features                       []string
	Current                        bool
	RollsOver                      string // what months leave at most; empty: nothing
	PerSeat                        bool   // credits and prices are those of a seat
}

// Subscription is that of the visitor. Ends says that it is not prolonged. Seats are
// zero where it is not by the seat.
type Subscription struct {
	Plan   string
	Status string
	Until  time.Time
	Ends   bool
	Seats  int
}

// Onward leads on to a page of the payment service or, where Provider names one,
// of that. The answer does so by itself.
type Onward struct {
	URL      template.URL
	Provider string
}

func (Credits) page() string { return "credits" }
func (Shop) page() string    { return "shop" }
func (TopUp) page() string   { return "topup" }
func (Onward) page() string  { return "onward" }
