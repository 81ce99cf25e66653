package stripeapi

import (
	"net/url"
	"strings"
)

// home is the site whose pages buyers return to by default.
const home = "mana.how"

// ReturnURLs are the addresses that pages of Stripe may lead back to.
type ReturnURLs struct {
	// BaseURL is the site whose pages buyers return to where they name none:
	// scheme and host.
	BaseURL string
	// Allowed reports whether an address is allowed. Nil allows the site of
	// BaseURL alone.
	Allowed func(raw string) bool
}

// Allows reports whether buyers may be sent to an address.
func (r ReturnURLs) Allows(raw string) bool {
	if r.Allowed != nil {
		return r.Allowed(raw)
	}
	to, err := url.Parse(raw)
	base, baseErr := url.Parse(r.BaseURL)
	return err == nil && baseErr == nil && to.User == nil && to.Host != "" &&
		to.Scheme == base.Scheme && strings.EqualFold(to.Host, base.Host)
}

// Check takes pairs of a field's name and its value and fails with a
// [*ReturnURLError] for the first that is not allowed. Empty ones are.
func (r ReturnURLs) Check(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && !r.Allows(pairs[i+1]) {
			return &ReturnURLError{Field: pairs[i]}
		}
	}
	return nil
}

// Site is where our own pages for buyers are, without a slash at the end: the
// main site where BaseURL belongs to it, else that of BaseURL.
func (r ReturnURLs) Site() string {
	base, err := url.Parse(r.BaseURL)
	if err != nil || base.Host == "" || base.Hostname() == home || strings.HasSuffix(base.Hostname(), "."+home) {
		return "https://" + home
	}
	return base.Scheme + "://" + base.Host
}
