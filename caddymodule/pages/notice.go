package pages

// Price asks whether to go on with a request that another site began: what it
// costs, and the URL that repeats it from here. AtMost says that it may cost
// less.
type Price struct {
	Credits string
	AtMost  bool
	URL     string
}

// Notice says why a page cannot be shown. Code names its text; SignIn is the
// absolute URL of the sign-in page where going there helps, else empty, and Resend
// that of the page which mails the link that confirms an address.
type Notice struct{ Code, SignIn, Resend string }

func (Price) page() string  { return "price" }
func (Notice) page() string { return "notice" }
