package billing

import (
	"net/url"
	"strings"
)

// home is the site whose pages buyers return to by default.
const home = "mana.how"

// AllowsReturn reports whether buyers may be sent to an address.
func (s *Service) AllowsReturn(raw string) bool {
	if s.cfg.ReturnURL != nil {
		return s.cfg.ReturnURL(raw)
	}
	to, err := url.Parse(raw)
	base, baseErr := url.Parse(s.cfg.BaseURL)
	return err == nil && baseErr == nil && to.User == nil && to.Host != "" &&
		to.Scheme == base.Scheme && strings.EqualFold(to.Host, base.Host)
}

// checkReturnURLs takes pairs of a field's name and its value and fails with a
// [*ReturnURLError] for the first that is not allowed. Empty ones are.
func (s *Service) checkReturnURLs(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && !s.AllowsReturn(pairs[i+1]) {
			return &ReturnURLError{Field: pairs[i]}
		}
	}
	return nil
}

// site is where our own pages for buyers are, without a slash at the end: the
// main site where base_url belongs to it, else that of base_url.
func (s *Service) site() string {
	base, err := url.Parse(s.cfg.BaseURL)
	if err != nil || base.Host == "" || base.Hostname() == home || strings.HasSuffix(base.Hostname(), "."+home) {
		return "https://" + home
	}
	return base.Scheme + "://" + base.Host
}
