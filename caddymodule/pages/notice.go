package pages

import "time"

// Price asks whether to go on with a request that another site began: what it
// costs, and the URL that repeats it from here. AtMost says that it may cost
// less.
type Price struct {
	Credits string
	AtMost  bool
	URL     string
}

// Notice says why a page cannot be shown. Code names its text, and Wait is how long
// it is until another try may help. SignIn is the absolute URL of the sign-in page
// where going there helps, else empty, and Resend that of the page which mails the
// link that confirms an address.
type Notice struct {
	Code, SignIn, Resend string
	Wait                 time.Duration
}

// Again reports whether the same address may be asked for again.
func (n Notice) Again() bool {
	switch n.Code {
	case "RATE_LIMITED", "UNAVAILABLE", "BAD_GATEWAY", "GATEWAY_TIMEOUT", "INTERNAL":
		return true
	}
	return false
}

// Shortfall says what a page costs that its visitor cannot pay. The amounts are
// numbers with a decimal point; Debt is empty where nothing is owed. Buy is the
// absolute URL of the page that sells credits, or that of their account where
// none are sold.
type Shortfall struct {
	Required, Available, Missing, Debt string
	Sells                              bool
	Buy                                string
	// Organization is set where it is an organisation that pays, whose page Buy is
	// then, and Allotment where it is what the visitor may spend of its credits.
	Organization, Allotment bool
}

func (Price) page() string     { return "price" }
func (Notice) page() string    { return "notice" }
func (Shortfall) page() string { return "shortfall" }
