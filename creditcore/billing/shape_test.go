package billing_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	stripemock "github.com/stripe/stripe-mock/server"

	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/billing/purchase"
	"mana.how/edge/creditcore/billing/subscription"
)

// published is Stripe's own mock: it knows the shape of every request from the
// published OpenAPI document, and nothing else.
var published = sync.OnceValues(func() (http.HandlerFunc, error) {
	spec, err := stripemock.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := stripemock.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	stub, err := stripemock.NewStubServer(fixtures, spec, false, false)
	if err != nil {
		return nil, err
	}
	return stub.HandleRequest, nil
})

// shapes stands before our Stripe and shows every request to the published
// mock first. What the mock finds wrong with one fails the test.
type shapes struct {
	URL string

	mu   sync.Mutex
	seen map[string]int // by method
}

func newShapes(t *testing.T, ours string) *shapes {
	t.Helper()
	mock, err := published()
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(ours)
	if err != nil {
		t.Fatal(err)
	}
	s := &shapes{seen: make(map[string]int)}
	forward := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		shown := r.Clone(r.Context())
		shown.Body = io.NopCloser(bytes.NewReader(body))
		shown.Header.Del("Idempotency-Key") // the mock would compare bodies under it
		answer := httptest.NewRecorder()
		mock(answer, shown)
		if answer.Code >= 400 {
			t.Errorf("%s %s: the published mock answers %d: %s\n%s", r.Method, r.URL, answer.Code, answer.Body, body)
		}
		s.mu.Lock()
		s.seen[r.Method]++
		s.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.URL = front.URL
	return s
}

// Every request we send has the shape that Stripe publishes.
func TestRequestsHaveThePublishedShape(t *testing.T) {
	t.Parallel()
	t.Run("purchases", func(t *testing.T) {
		t.Parallel()
		var shown *shapes
		s := newTill(t, func(c *billing.Config) {
			shown = newShapes(t, c.APIURL)
			c.APIURL = shown.URL
		})
		alice := s.user("alice")
		begun, err := s.Buy(t.Context(), alice, purchase.Order{PackageID: packageID})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Purchase(t.Context(), alice, begun.PurchaseID)
		if err != nil {
			t.Fatal(err)
		}
		s.deliver(s.stripe.Pay(*p.StripePaymentIntentID)...)
		_, session := s.link(alice)
		s.deliver(s.stripe.Pay(session)...)
		_, kept := s.buySaving(alice)
		s.deliver(s.stripe.Pay(kept)...)
		_, keptSession := s.linkSaving(alice)
		s.deliver(s.stripe.Pay(keptSession)...)
		if _, err := s.Reconcile(t.Context()); err != nil {
			t.Error(err)
		}
		shown.want(t, "GET", "POST")
	})
	t.Run("subscriptions", func(t *testing.T) {
		t.Parallel()
		srv := priced(t)
		shown := newShapes(t, srv.URL)
		srv.URL = shown.URL
		p := newNewsstand(t, srv)
		p.subscribed(plusMonthly)
		if _, err := p.Portal(t.Context(), p.alice, "https://mana.how/account"); err != nil {
			t.Error(err)
		}
		if err := p.Cancel(t.Context(), p.alice); err != nil {
			t.Error(err)
		}
		if err := p.Reactivate(t.Context(), p.alice); err != nil {
			t.Error(err)
		}
		if err := p.CancelForUser(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
		shown.want(t, "GET", "POST", "DELETE")
	})
	t.Run("checkout of a plan", func(t *testing.T) {
		t.Parallel()
		srv := priced(t)
		shown := newShapes(t, srv.URL)
		srv.URL = shown.URL
		p := newNewsstand(t, srv)
		plans, err := p.Plans(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range plans {
			if plan.Name != "Plus" {
				continue
			}
			if _, err := p.Subscribe(t.Context(), p.alice, subscription.Order{
				PlanID: plan.ID, SuccessURL: "https://mana.how/yes", CancelURL: "https://mana.how/no",
			}); err != nil {
				t.Error(err)
			}
		}
		shown.want(t, "POST")
	})
}

// The mock is no rubber stamp.
func TestPublishedMockRefusesUnknownParameters(t *testing.T) {
	t.Parallel()
	mock, err := published()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/customers", strings.NewReader("email=a%40example.com&favourite=blue"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer sk_test_123")
	w := httptest.NewRecorder()
	if mock(w, r); w.Code != http.StatusBadRequest {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// want fails where a method was never used: nothing would have been checked.
func (s *shapes) want(t *testing.T, methods ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range methods {
		if s.seen[m] == 0 {
			t.Errorf("no %s was shown to the mock: %v", m, s.seen)
		}
	}
}
