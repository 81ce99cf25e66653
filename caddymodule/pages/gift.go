package pages

import (
	"html/template"
	"strings"
	"time"
)

// Gift is what the link of a gift shows. An empty Status is that of a code
// that does not exist. Creator, Message and Riddle may be empty.
type Gift struct {
	Code, Status             string
	Credits                  string // of one portion
	Portions, Left           int
	Creator, Message, Riddle string
	Personalized             bool
	Closed                   bool // no new account is made
	Expires                  time.Time
	// User is who is signed in, empty for nobody, and Own says that they made it.
	User  string
	Own   bool
	Key   string // of the form, which tells one press of the button from two
	Error string
}

// Gifts are those that the visitor made and received, and the forms to do either.
type Gifts struct {
	Balance  string
	Created  []CreatedGift
	Received []ReceivedGift
	Coupons  []RedeemedCoupon
	Order    GiftOrder
	Code     string // that was to be redeemed
	// What the visitor has just done, nil for nothing.
	Made, Cancelled *CreatedGift
	Redeemed        *ReceivedGift
	Coupon          *RedeemedCoupon
	// Key is that of the form which makes a gift, and RedeemKey that of the other.
	Key, RedeemKey string
	// MakeError and Error are those of the form that makes one, and of the others.
	MakeError, Error string
	// Held is since when the visitor makes no gifts; zero where they do.
	Held time.Time

	support template.URL // whom to ask, of the brand
}

// Support is where the visitor gets help, empty for nowhere, and SupportText how that
// reads.
func (g Gifts) Support() template.URL { return g.support }

// SupportText is Support as people read it.
func (g Gifts) SupportText() string { return strings.TrimPrefix(string(g.support), "mailto:") }

// GiftOrder is the form that makes a gift, as it was sent.
type GiftOrder struct {
	Credits, Portions, Target, Question, Answer, Message, Expires string
	Several                                                       bool // one person may take several portions
}

// CreatedGift is a gift of the visitor's.
type CreatedGift struct {
	ID, Code, URL, Status, Message string
	Total, Portion, Unclaimed      string // credits
	Portions, Claimed              int
	Expires                        time.Time
}

// Active reports whether it can be cancelled.
func (g CreatedGift) Active() bool { return g.Status == "active" }

// ReceivedGift is a gift that the visitor redeemed.
type ReceivedGift struct {
	Code, Credits, Creator, Message string
	At                              time.Time
}

// RedeemedCoupon is a coupon that the visitor redeemed.
type RedeemedCoupon struct {
	ID, Name, Credits string
	At                time.Time
	Expires           time.Time // of the credits; zero for never
}

func (Gift) page() string  { return "gift" }
func (Gifts) page() string { return "gifts" }
