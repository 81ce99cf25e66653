package pages

import "time"

// Consent asks what a client may have: Name is the client's, Email whose account it is,
// Code names the question.
type Consent struct {
	Name, Email, Code string
	Scopes            []string
}

// DeviceCode asks for the code that a device shows and, where Name is set, whether that device
// may have what it asks for. Decided is "allowed" or "refused".
type DeviceCode struct {
	Code, Name, Email, Error, Decided string
	Scopes                            []string
}

// SignOut asks whether to sign out. The fields are handed back by its form; who stays goes
// back to ReturnURL.
type SignOut struct{ Client, Target, State, ReturnURL string }

// SignedOut is said to who has signed out.
type SignedOut struct{}

// Apps lists the clients that a user has allowed something.
type Apps struct {
	List        []App
	Done, Error string
}

// App is one of them. Gone says that the client is not known any more.
type App struct {
	ID, Name            string
	Scopes              []string
	ConnectedAt, UsedAt time.Time
	Sessions            int
	Gone, Trusted       bool
}

func (Consent) page() string    { return "consent" }
func (DeviceCode) page() string { return "device" }
func (SignOut) page() string    { return "signout" }
func (SignedOut) page() string  { return "signedout" }
func (Apps) page() string       { return "apps" }

// scope tells what a scope gives; one that is a client's own is told as it is.
func (l Language) scope(name string) string {
	if s, ok := openidTexts["scope."+name]; ok {
		return s[l]
	}
	return name
}
