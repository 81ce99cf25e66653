package openapi

import (
	"slices"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
)

// tagged says what the routes of a tag are for.
var tagged = map[string]string{
	".well-known":    "What OpenID clients discover.",
	"admin":          "Users, for operators.",
	"api":            "OpenID provider, and links to Matrix accounts under an address of old.",
	"api-keys":       "Keys of programs that act for a user.",
	"auth":           "Sign-up, sign-in, sessions, passkeys, organisations: the account of a user.",
	"credits":        "Balance, charges, refunds, history, purchases.",
	"documentation":  "This document, and what imports it.",
	"files":          "Pictures of users.",
	"gifts":          "Codes that carry credits.",
	"health":         "Whether the edge lives, and is ready.",
	"internal":       "Routes for back ends, with a service key.",
	"keys":           "The keys that access tokens and assertions are verified with.",
	"me":             "What is kept of the caller: shown, exported, erased.",
	"pages":          "Hosted pages, for browsers.",
	"settings":       "Preferences of the caller, for all apps, one app, one device.",
	"single sign-on": "The session of the browser, in the words of Better Auth.",
	"storage":        "Uploads of pictures.",
	"subscriptions":  "Plans, checkout, invoices.",
	"webhooks":       "What Stripe sends.",
}

// Tag is the group of the document that a route belongs to.
func Tag(rt *endpoint.Route) string {
	switch {
	case rt.Format == endpoint.Page:
		return "pages"
	case strings.Contains(rt.Path, "/health"):
		return "health"
	case strings.Contains(rt.Path, "api-docs"), slices.Contains([]string{"/api/v1/openapi.json", "/api/v1/postman.json", "/api/v1/bruno.json"}, rt.Path):
		return "documentation"
	case strings.HasSuffix(rt.Path, "/jwks"), strings.HasSuffix(rt.Path, "/jwks.json"):
		return "keys"
	case rt.Format == endpoint.BetterAuth:
		return "single sign-on"
	}
	resource, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(rt.Path, "/api/v1"), "/"), "/")
	return resource
}

// tags are the tags of the document.
func tags(table []endpoint.Route) []any {
	var list []any
	for _, name := range Tags(table) {
		list = append(list, object{"name": name, "description": tagged[name]})
	}
	return list
}

// Tags lists the tags of the table in order.
func Tags(table []endpoint.Route) []string {
	var found []string
	for i := range table {
		if t := Tag(&table[i]); !slices.Contains(found, t) {
			found = append(found, t)
		}
	}
	return found
}
