package sso

import (
	"html/template"
	"net/http"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// Bindings are what the browser holds of sign-ins at providers that are under way.
func Bindings(c *endpoint.Call) []string {
	cookies, sent := c.Auth.Cookies(), c.Request.Header["Cookie"]
	return append(cookies.Provider().Tokens(sent), cookies.ProviderPost().Tokens(sent)...)
}

// Bind has the browser hold what belongs to a sign-in at a provider.
func Bind(c *endpoint.Call, r authcore.ProviderRedirect) {
	cookie := c.Auth.Cookies().Provider()
	if r.FormPost {
		cookie = c.Auth.Cookies().ProviderPost()
	}
	c.SetCookie(cookie.Set(r.Binding, r.ValidFor))
}

// LeaveFor leads from a form to a provider. A redirect would need the provider's
// site among those that the form may lead to.
func LeaveFor(c *endpoint.Call, r authcore.ProviderRedirect, name string) endpoint.Answer {
	Bind(c, r)
	c.Header.Set("Refresh", "0;url="+r.URL)
	return endpoint.HTML{Status: http.StatusOK, View: pages.Onward{URL: template.URL(r.URL), Provider: name}} // #nosec G203 -- of the provider
}

// ProviderPath begins a sign-in with a provider that leads on to a checked target.
func ProviderPath(id, target, invitation string) string {
	query := url.Values{}
	if target != "" {
		query.Set("callbackURL", target)
	}
	if invitation != "" {
		query.Set("invitation", invitation)
	}
	path := "/api/auth/sign-in/social/" + id
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// ProviderButtons are those of the pages that lead to a session.
func ProviderButtons(c *endpoint.Call, target, invitation string) (list []pages.ProviderButton) {
	for _, p := range c.Auth.Providers() {
		list = append(list, pages.ProviderButton{Name: p.Name, URL: ProviderPath(p.ID, target, invitation)})
	}
	return list
}

// ProviderName is what a provider is called, its id where it is none of ours.
func ProviderName(c *endpoint.Call, id string) string {
	for _, p := range c.Auth.Providers() {
		if p.ID == id {
			return p.Name
		}
	}
	return id
}

// ReturnTarget is the checked URL of a trusted place, or empty.
func ReturnTarget(c *endpoint.Call, raw string) string {
	target, ok := c.Origins().ReturnTarget(raw)
	if !ok {
		return ""
	}
	return target
}

// defaultTarget is where a sign-in leads that names no place, or none that is
// trusted.
const defaultTarget = "/account"

// GoOn leads who has just signed in to the checked target; who must set a second
// factor up before, there first.
func GoOn(c *endpoint.Call, b authcore.BrowserSession, target string) endpoint.Redirect {
	if c.Auth.LacksSecondFactor(b) {
		return endpoint.Redirect{To: endpoint.Enrollment(target)}
	}
	return Onward(target)
}

// Onward leads to the checked target.
func Onward(target string) endpoint.Redirect {
	if target == "" {
		target = defaultTarget
	}
	return endpoint.Redirect{To: target}
}

// ToSecondFactor leads to the page that asks for the second factor.
func ToSecondFactor(target string) endpoint.Redirect {
	to := "/two-factor"
	if target != "" {
		to += "?returnUrl=" + url.QueryEscape(target)
	}
	return endpoint.Redirect{To: to}
}
