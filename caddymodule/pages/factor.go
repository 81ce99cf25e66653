package pages

import (
	"fmt"
	"html/template"
	"net/url"
)

// TwoFactor asks for the second factor of a sign-in. Backup says that a backup
// code is asked for instead of one of an authenticator, Passkey that a passkey will
// do.
type TwoFactor struct {
	ReturnURL, Error string
	Backup, Passkey  bool
}

// Reauthenticate asks who is signed in to show once more who they are, by any of
// the ways named. FactorOnly says that the second factor alone is wanted.
type Reauthenticate struct {
	ReturnURL, Error              string
	Email                         string // of whoever is signed in
	Password, Code, Mail, Passkey bool
	FactorOnly                    bool
	// Providers are those that the account is linked to.
	Providers []ProviderChoice
}

// Link asks for the address that a link to sign in is mailed to.
type Link struct{ Email, ReturnURL, Error string }

// Confirm is a button behind a mailed link. About names its texts: sign-in,
// change-email or undo-email. Action is where its form goes, Target a checked
// place or empty.
type Confirm struct{ About, Action, Token, Target string }

// Security is the page of the second factor of whoever is signed in. Setup is
// there while it is set up, BackupCodes once after they were made. Confirming asks
// for the first code again.
type Security struct {
	Enabled        bool
	CodesLeft      int
	TrustedDevices int
	Proof          Proof
	Setup          *Setup
	Confirming     bool
	BackupCodes    []string
	Error          string
	// ReturnURL is a checked target to go on to, or empty. Missing says that nobody
	// does before they have a second factor.
	ReturnURL string
	Missing   bool
}

// Self is the page, with where it leads on to.
func (s Security) Self() string {
	const path = "/account/two-factor"
	if s.ReturnURL == "" {
		return path
	}
	return path + "?" + url.Values{"returnUrl": {s.ReturnURL}}.Encode()
}

// Setup is what an authenticator reads: a QR code of an otpauth address, the
// address itself, or its secret typed in.
type Setup struct {
	QR     QR
	Secret string
	URI    template.URL
}

// NewSetup is the set-up of an otpauth address.
func NewSetup(address string) (*Setup, error) {
	uri, err := url.Parse(address)
	if err != nil || uri.Scheme != "otpauth" {
		return nil, fmt.Errorf("not an otpauth address: %w", err)
	}
	code, err := NewQR(address)
	if err != nil {
		return nil, err
	}
	return &Setup{QR: code, Secret: uri.Query().Get("secret"), URI: template.URL(uri.String())}, nil // #nosec G203 -- of that scheme
}

func (TwoFactor) page() string      { return "twofactor" }
func (Reauthenticate) page() string { return "reauthenticate" }
func (Link) page() string           { return "link" }
func (Confirm) page() string        { return "confirm" }
func (Security) page() string       { return "security" }
