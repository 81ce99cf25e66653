package pages

import "time"

// ProviderButton leads to a provider, to sign in there.
type ProviderButton struct{ Name, URL string }

// ProviderChoice is a provider in a form.
type ProviderChoice struct{ ID, Name string }

// SignIns are the accounts of providers that somebody signs in with, and the
// providers that there are.
type SignIns struct {
	List        []SignInAccount
	Providers   []ProviderChoice
	Proof       Proof
	Error, Done string
}

// SignInAccount is one of them. LastUsed is zero for never.
type SignInAccount struct {
	ID, Provider, Email string
	Linked, LastUsed    time.Time
}

// ProviderFailed says why nobody was signed in with a provider, and leads back.
// Retry is where to try again, Back the way to go on otherwise.
type ProviderFailed struct {
	Provider, Code string
	Retry, Back    string
}

// Address asks somebody for the address that a provider does not know.
type Address struct{ Provider, Token, Email, Error string }

func (SignIns) page() string        { return "signins" }
func (ProviderFailed) page() string { return "providerfailed" }
func (Address) page() string        { return "address" }
