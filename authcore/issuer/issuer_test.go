package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/token"
)

// server answers with a key set that can be changed.
type server struct {
	*httptest.Server
	body  atomic.Value
	asked atomic.Int64
}

func newServer(t *testing.T, body string) *server {
	t.Helper()
	s := new(server)
	s.body.Store(body)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		switch body := s.body.Load().(string); body {
		case "redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "broken":
			http.Error(w, "broken", http.StatusInternalServerError)
		case "slow":
			<-r.Context().Done()
		default:
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

const (
	keyX = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" // of RFC 8037, appendix A.2
	keyY = "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"
)

func jwk(kid, x, more string) string {
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q%s}`, kid, x, more)
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func peer(s *server, now func() time.Time) *issuer.Peer {
	return issuer.New(issuer.Config{Issuer: "https://old.example.com", JWKS: s.URL}, now, nil)
}

// Of a set those keys are taken that may sign access tokens, and a set that cannot be
// trusted changes nothing.
func TestSets(t *testing.T) {
	t.Parallel()
	const good = `,"alg":"EdDSA","use":"sig"`
	for name, tt := range map[string]struct {
		body string
		want string // kids that are taken
		bad  string // what is wrong
	}{
		"as the replaced service writes it": {setOf(jwk("a", keyX, `,"alg":"EdDSA"`)), "a", ""},
		"several":                           {setOf(jwk("a", keyX, good), jwk("b", keyY, "")), "ab", ""},
		"of other kinds":                    {setOf(jwk("a", keyX, ""), `{"kty":"oct","kid":"b","k":"AAAA"}`, `{"kty":"new"}`, `7`), "a", ""},
		"for other uses":                    {setOf(jwk("a", keyX, ""), jwk("b", keyY, `,"use":"enc"`)), "a", ""},
		"for another algorithm":             {setOf(jwk("a", keyX, ""), jwk("b", keyY, `,"alg":"HS256"`)), "a", ""},
		"a private one":                     {setOf(jwk("a", keyX, ""), jwk("b", keyX, `,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`)), "a", ""},
		"one without an id":                 {setOf(jwk("a", keyX, ""), jwk("", keyY, "")), "a", ""},
		"two of one id":                     {setOf(jwk("a", keyX, ""), jwk("a", keyY, "")), "", "two keys"},
		"none":                              {setOf(), "", "no Ed25519 key"},
		"no set":                            {"<html>", "", "invalid character"},
		"too many":                          {setOf(strings.Repeat("7,", 100) + "7"), "", "more than 100"},
		"too large":                         {setOf(jwk("a", keyX, `,"x5c":["`+strings.Repeat("A", 300<<10)+`"]`)), "", "larger"},
		"elsewhere":                         {"redirect", "", "redirect"},
		"an error":                          {"broken", "", "status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.body)
			p := peer(s, time.Now)
			defer p.Close()
			err := p.Fetch(t.Context())
			if (err == nil) != (tt.bad == "") || err != nil && !strings.Contains(err.Error(), tt.bad) {
				t.Fatalf("error %v, want %q", err, tt.bad)
			}
			var kids string
			for _, k := range p.Keys().All() {
				kids += k.ID
				if k.Private != nil || k.Algorithm != token.EdDSA {
					t.Errorf("key %s is more than a public one", k.ID)
				}
			}
			if kids != tt.want {
				t.Errorf("keys %q, want %q", kids, tt.want)
			}
		})
	}
}

// However many ask, few requests are sent, and what is known stays known.
func TestFetchesAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, setOf(jwk("a", keyX, "")))
	p := peer(s, time.Now)
	defer p.Close()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := p.Fetch(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.asked.Load(); n < 1 || n > 3 {
		t.Errorf("%d requests", n)
	}
	s.body.Store("broken")
	for range 5 {
		_ = p.Fetch(t.Context())
	}
	if n := s.asked.Load(); n > 4 {
		t.Errorf("%d requests", n)
	}
	if p.Keys().Empty() {
		t.Error("an outage took the keys away")
	}
}

// Who cannot wait does not.
func TestSlowPeer(t *testing.T) {
	t.Parallel()
	s := newServer(t, "slow")
	p := peer(s, time.Now)
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := p.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if err := p.Fetch(t.Context()); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// A set that is old is due once, until it was read again.
func TestDue(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	s := newServer(t, setOf(jwk("a", keyX, "")))
	p := peer(s, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	defer p.Close()
	if p.Due() {
		t.Error("due before the first use")
	}
	if err := p.Fetch(t.Context()); err != nil || p.Due() {
		t.Errorf("due at once, %v", err)
	}
	ahead.Store(int64(11 * time.Minute))
	if !p.Due() || p.Due() {
		t.Error("not due once")
	}
	s.body.Store(setOf(jwk("b", keyX, "")))
	if err := p.Fetch(t.Context()); err != nil || p.Due() || p.Keys().ByID("a").ID != "" || p.Keys().ByID("b").ID == "" {
		t.Errorf("read again: %v", err)
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://old.example.com/jwks": false, "http://localhost:3001/jwks": false, "http://127.0.0.1/jwks": false, "http://[::1]:3001/": false,
		"http://auth:3001/api/v1/auth/jwks": true, "http://192.0.2.1/": true,
	} {
		if got := (issuer.Config{Issuer: "x", JWKS: address}).Exposed(); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}
