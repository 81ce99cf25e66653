package manaid

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Identity is who a request acts for. What is not known is empty. A user has a
// session; an API key has a KeyID and Scopes in its place.
type Identity struct {
	UserID        string
	Email         string
	EmailVerified bool
	Role          string // user, support, admin or service
	SessionID     string
	OrgID         string // of the active organisation
	OrgRole       string
	KeyID         string
	Scopes        []string
	AuthTime      time.Time // when they last showed who they are
	Methods       []string  // how (RFC 8176)
	Name          string    // with `mana_auth { headers name }`
	Picture       string    // with `mana_auth { headers picture }`
}

// FromRequest reads the headers that the gate has written. ok is false for a guest.
// An app that can be reached around the edge must not call it: anybody may have
// written them.
func FromRequest(r *http.Request) (who Identity, ok bool) {
	text := func(name string) string {
		value, err := url.PathUnescape(r.Header.Get("X-Mana-" + name))
		if err != nil {
			return ""
		}
		return value
	}
	who = Identity{
		UserID: text("User-Id"), Email: text("Email"), EmailVerified: text("Email-Verified") == "true", Role: text("Role"),
		SessionID: text("Session-Id"), OrgID: text("Org-Id"), OrgRole: text("Org-Role"), KeyID: text("Key-Id"),
		Scopes: list(text("Scopes")), Methods: list(text("Amr")), Name: text("Name"), Picture: text("Picture"),
	}
	if seconds, err := strconv.ParseInt(text("Auth-Time"), 10, 64); err == nil {
		who.AuthTime = time.Unix(seconds, 0)
	}
	return who, who.UserID != ""
}

func list(joined string) []string {
	if joined == "" {
		return nil
	}
	return strings.Split(joined, ",")
}

type identityKey struct{}

// FromContext is who [Require] or [Verifier.RequireAssertion] has found.
func FromContext(ctx context.Context) (who Identity, ok bool) {
	who, ok = ctx.Value(identityKey{}).(Identity)
	return who, ok
}

func with(r *http.Request, who Identity) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
}

// Require lets only requests on to next that the gate has named somebody in, and puts
// them into the context. Others get 401.
func Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := FromRequest(r)
		if !ok {
			refuse(w, "No token provided")
			return
		}
		next.ServeHTTP(w, with(r, who))
	})
}

func refuse(w http.ResponseWriter, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("WWW-Authenticate", "Bearer")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`{"statusCode":401,"message":` + strconv.Quote(message) + `}`))
}
