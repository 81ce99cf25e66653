package request

import (
	"net/http"
	"slices"
	"strings"

	"mana.how/edge/authcore/apikey"
)

// APIKeyHeader carries an API key where Authorization is taken by something
// else.
const APIKeyHeader = "X-Api-Key"

// APIKey reads the API key of a request: its bearer token, which is empty where
// there is none, else the one value of X-Api-Key. A bearer token that is no key
// decides alone, and what does not begin as our keys do is the app's.
func APIKey(bearer string, h http.Header) (key string, ok bool) {
	if bearer != "" {
		return bearer, strings.HasPrefix(bearer, apikey.Prefix)
	}
	if values := h[APIKeyHeader]; len(values) == 1 && strings.HasPrefix(values[0], apikey.Prefix) {
		return values[0], true
	}
	return "", false
}

// DropAPIKey removes an X-Api-Key header with a key of ours: no app needs to see
// it. One of the app's own stays.
func DropAPIKey(h http.Header) {
	if values := h[APIKeyHeader]; slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, apikey.Prefix) }) {
		delete(h, APIKeyHeader)
	}
}
