package main

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	_ "embed"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Parse(pageSource))

// Identity is what the edge said about the caller of a request. Without a user
// the request came from a guest.
type Identity struct {
	UserID string `json:"userId"`
	Email  string `json:"email"`
	// EmailVerified is "true" where the address is proven to be theirs, "false"
	// where anybody may have named it.
	EmailVerified string `json:"emailVerified"`
	Role          string `json:"role"`
	SessionID     string `json:"sessionId"`
	// Organization is the one that they act in, and OrganizationRole what they are
	// there.
	Organization     string `json:"organizationId,omitempty"`
	OrganizationRole string `json:"organizationRole,omitempty"`
	// Bearer reports whether an access token came along, the client's own or one
	// that the edge added. The token itself is not shown.
	Bearer bool `json:"bearer"`
}

// identityOf reads the sealed headers. An app may trust them because the edge
// removes whatever a client sent under these names.
func identityOf(r *http.Request) Identity {
	return Identity{
		UserID:           r.Header.Get("X-Mana-User-Id"),
		Email:            r.Header.Get("X-Mana-Email"),
		EmailVerified:    r.Header.Get("X-Mana-Email-Verified"),
		Role:             r.Header.Get("X-Mana-Role"),
		SessionID:        r.Header.Get("X-Mana-Session-Id"),
		Organization:     r.Header.Get("X-Mana-Org-Id"),
		OrganizationRole: r.Header.Get("X-Mana-Org-Role"),
		Bearer:           strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "),
	}
}

// NewApp returns the app. auth is the base_url of the edge, for its links.
//
//	GET /            the identity as a page
//	GET /api/whoami  the identity as JSON
//	/api/generate    a line of text, which the example's edge sells
//	GET /events      the identity and the time, once a second, as server-sent events
//	GET /healthz     200
func NewApp(auth string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.Execute(w, struct {
			Identity
			Host, Auth string
		}{identityOf(r), r.Host, auth})
	})
	mux.HandleFunc("GET /api/whoami", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(identityOf(r))
	})
	mux.HandleFunc("/api/generate", generate)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux
}

// lines are what the app has to sell.
var lines = []string{
	"An old silent pond", "A frog jumps into the pond", "Splash! Silence again",
}

// generate is the paid work. The app itself knows nothing of prices.
func generate(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(struct {
		UserID string `json:"userId"`
		Text   string `json:"text"`
	}{identityOf(r).UserID, lines[int(time.Now().UnixNano()/1000)%len(lines)]})
}

// events streams until the client or the edge ends the request; the edge does
// when the session is revoked.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	email := identityOf(r).Email
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := time.Now(); ; {
		if _, err := fmt.Fprintf(w, "event: tick\ndata: {\"at\":%q,\"email\":%q}\n\n", now.UTC().Format(time.RFC3339), email); err != nil {
			return
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case now = <-tick.C:
		}
	}
}
