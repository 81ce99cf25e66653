package stripetest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/stripe/stripe-go/v85"
)

// call is one request that has passed all checks of its route.
type call struct {
	form
	// target is the object that the path names, nil without one.
	target object
	// known is what the route takes.
	known spec
	url   string
}

// action carries a call out. It runs with the server locked and changes
// nothing when it refuses.
type action func(*call) (object, *refusal)

func (s *Server) routes() {
	s.mux.HandleFunc("/", s.unknownPath)
	s.customerRoutes()
	s.methodRoutes()
	s.intentRoutes()
	s.sessionRoutes()
	s.chargeRoutes()
	s.refundRoutes()
	s.disputeRoutes()
	s.priceRoutes()
	s.subscriptionRoutes()
	s.invoiceRoutes()
	s.portalRoutes()
	s.eventRoutes()
}

// route adds an endpoint. Its {id} in the pattern names an object of the kind.
func (s *Server) route(pattern, kind, parameters string, do action) {
	known := parseSpec(parameters)
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tick()
		c := &call{form: form(r.Form), known: known, url: r.URL.Path}
		s.replaying(w, r, func() (object, *refusal) {
			if id := r.PathValue("id"); id != "" {
				target, ok := s.objects[id]
				if !ok || target.kind() != kind {
					return nil, missing(http.StatusNotFound, kind, id, param(kind))
				}
				c.target = target
			}
			if refused := s.check(known, c.form); refused != nil {
				return nil, refused
			}
			answer, refused := do(c)
			if refused != nil {
				return nil, refused
			}
			return s.expanded(answer, c.list("expand"))
		})
	})
}

// retrieve adds the endpoint that shows one object.
func (s *Server) retrieve(path, kind string) {
	s.route("GET "+path+"/{id}", kind, "", func(c *call) (object, *refusal) { return c.target, nil })
}

// param is what Stripe calls the id of a path in its errors.
func param(kind string) string {
	switch kind {
	case "payment_intent":
		return "intent"
	case "checkout.session":
		return "session"
	case "customer", "payment_method", "setup_intent", "subscription", "invoice", "charge", "price", "refund", "dispute":
		return kind
	}
	return "id"
}

// serve is the edge of the API: what happens here happens to a request before
// any endpoint sees it.
func (s *Server) serve(writer http.ResponseWriter, r *http.Request) {
	w := &recorder{ResponseWriter: writer}
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := s.arrive(r)
	defer s.leave(a, w)
	if a.hook != nil {
		a.hook(a.request)
	}
	if a.delay > 0 {
		s.wait(r.Context(), a.delay)
	}
	w.Header().Set("Request-Id", a.id)
	w.Header().Set("Stripe-Version", stripe.APIVersion)
	refused := s.admit(r)
	switch {
	case refused != nil:
	case a.trouble == nil:
		s.mux.ServeHTTP(w, r)
		return
	case a.trouble.kind == refuse:
		refused = broken(a.trouble.status)
		if refused.status >= 500 { // what began and failed is remembered under its key
			s.mu.Lock()
			defer s.mu.Unlock()
			s.replaying(w, r, func() (object, *refusal) { return nil, refused })
			return
		}
	case a.trouble.kind == lose:
		s.mux.ServeHTTP(discard{header: w.Header().Clone()}, r)
		breakOff(writer)
	case a.trouble.kind == hang:
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
		panic(http.ErrAbortHandler)
	}
	write(w, refused.status, refused.body())
}

// admit checks the key and the version of the API.
func (s *Server) admit(r *http.Request) *refusal {
	refused := &refusal{status: http.StatusUnauthorized, kind: "invalid_request_error"}
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if name, _, basic := r.BasicAuth(); basic {
		key = name
	} else if !bearer {
		refused.message = "You did not provide an API key."
		return refused
	}
	if key != s.Key {
		refused.message = "Invalid API Key provided: " + masked(key)
		return refused
	}
	if version := r.Header.Get("Stripe-Version"); version != "" && version != stripe.APIVersion {
		return invalid("", "", "Invalid Stripe API version: %s", version)
	}
	return nil
}

func masked(key string) string {
	return key[:min(len(key), 8)] + strings.Repeat("*", 8)
}

func (s *Server) unknownPath(w http.ResponseWriter, r *http.Request) {
	refused := invalid("", "", "Unrecognized request URL (%s: %s).", r.Method, r.URL.Path)
	refused.status = http.StatusNotFound
	write(w, refused.status, refused.body())
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// hosted is the address that Stripe would host, or that is hosted in its place.
func (s *Server) hosted(host, path string) string {
	if s.pages != "" {
		return s.pages + "/" + path
	}
	return fmt.Sprintf("https://%s.stripe.com/%s", host, url.PathEscape(path))
}
