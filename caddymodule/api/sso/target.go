package sso

import (
	"net/url"
	"slices"
	"strings"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/caddymodule/api/endpoint"
)

// authorizePaths are those of the authorization endpoint of the OpenID provider.
var authorizePaths = []string{"/api/auth/oauth2/authorize", "/api/oidc/authorize"}

// AuthorizeTarget is the address of an authorization request with the given query.
func AuthorizeTarget(query string) string { return authorizePaths[0] + "?" + query }

// FormTarget is where the form of a page may lead beside its own origin (CSP level 3,
// form-action), for browsers follow redirects by it: the origin of a checked target or,
// where that is an authorization request, of the client's registered address.
func FormTarget(c *endpoint.Call, target string) string {
	client, query, ok := asking(c, target)
	switch {
	case !ok:
		return endpoint.OriginOf(target)
	case client.RedirectsTo(query.Get("redirect_uri")):
		return FormSource(query.Get("redirect_uri"))
	}
	return "" // the request will be refused
}

// AskingClient is the name of the client whose authorization request a target is, empty
// where it is none.
func AskingClient(c *endpoint.Call, target string) string {
	client, _, _ := asking(c, target)
	return client.Name
}

// asking is the client whose authorization request a target is, and the request.
func asking(c *endpoint.Call, target string) (client openid.Client, query url.Values, ok bool) {
	u, err := url.Parse(target)
	if err != nil || c.Auth == nil {
		return client, nil, false
	}
	own := u.Host == "" || u.Scheme == c.BaseURL().Scheme && u.Host == c.BaseURL().Host
	if !own || !slices.Contains(authorizePaths, u.Path) {
		return client, nil, false
	}
	query = u.Query()
	if client, err = c.Auth.OpenIDClient(c.Request.Context(), query.Get("client_id")); err != nil {
		return openid.Client{}, query, true
	}
	return client, query, true
}

// FormSource is a registered address of a client as a source of form-action: its origin
// or, where it has none, its scheme.
func FormSource(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || address == "":
		return ""
	case u.Host != "" && (u.Scheme == "http" || u.Scheme == "https"):
		return u.Scheme + "://" + u.Host
	case u.Scheme == "" || strings.ContainsAny(u.Scheme, " ;,"):
		return ""
	}
	return u.Scheme + ":"
}
