package pages

// Verify is the button that confirms an address. RedirectTo is a checked origin
// or empty.
type Verify struct{ Token, RedirectTo string }

// Resend asks for the address that a link is mailed to again.
type Resend struct{ Email, Error string }

// Forgot asks for the address of an account whose password is forgotten.
type Forgot struct{ Email, ReturnURL, Error string }

// Reset is the form for another password.
type Reset struct{ Token, Error string }

// Mailed says that a mail is on its way, if there is something to mail. About is
// verify, reset or link.
type Mailed struct{ Email, About string }

// Again is the page that sends the mail once more.
func (m Mailed) Again() string {
	switch m.About {
	case "verify":
		return "/resend-verification"
	case "link":
		return "/login/link"
	}
	return "/forgot-password"
}

func (Verify) page() string { return "verify" }
func (Resend) page() string { return "resend" }
func (Forgot) page() string { return "forgot" }
func (Reset) page() string  { return "reset" }
func (Mailed) page() string { return "mailed" }
