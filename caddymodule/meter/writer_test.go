package meter_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/edgetest"
)

// A panic is the upstream's failure, and goes on.
func TestMeterPanic(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	for name, c := range map[string]struct {
		begun bool
		left  creditcore.Amount
	}{"before the headers": {false, 8000}, "after the headers": {true, 3000}} {
		user := p.user(name, 8000)
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // a panic's value is compared as net/http does
					t.Errorf("%s: panic %v", name, v)
				}
			}()
			edgetest.Send(t, p.meter(&meter.Meter{Credits: "5"}), by(user, edgetest.Ask("GET", "/")), func(w http.ResponseWriter, _ *http.Request) error {
				if c.begun {
					w.WriteHeader(200)
				}
				panic(http.ErrAbortHandler)
			})
		}()
		p.wantAvailable(user, c.left)
	}
}

// What handlers may ask of a ResponseWriter still works, and settles first.
func TestMeterWriter(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	m := p.meter(&meter.Meter{Credits: "5"})
	for name, begin := range map[string]func(http.ResponseWriter) error{
		"Write": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "x"); return err },
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
			return err
		},
		"Flush": func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"controller": func(w http.ResponseWriter) error {
			return errors.Join(http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)), http.NewResponseController(w).Flush())
		},
		"Hijack": func(w http.ResponseWriter) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nMana-Credits-Cost: "+w.Header().Get("Mana-Credits-Cost")+"\r\nMana-Credits-Remaining: "+w.Header().Get("Mana-Credits-Remaining")+"\r\nContent-Length: 0\r\n\r\n")
				conn.Close()
			}
			return err
		},
	} {
		user := p.user(name, 8000)
		served := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(served)
			r = caddyhttp.PrepareRequest(by(user, r), caddy.NewReplacer(), w, nil)
			err := m.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				if err := begin(w); err != nil {
					return err
				}
				edgetest.WantAvailable(t, p.Service, user, 3000)
				return nil
			}))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}))
		resp, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp.Body.Close()
		<-served
		server.Close()
		t.Log(name)
		wantBill(t, resp.Header, "5", "3")
	}
}

// Informational responses pass without being billed, and without what is the
// meter's.
func TestMeterEarlyHints(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", 8000)
	m := p.meter(&meter.Meter{Credits: "5", CostFrom: "X-Cost"})
	var codes []int
	w := statusSpy{httptest.NewRecorder(), func(status int, h http.Header) {
		codes = append(codes, status)
		if status == 103 && (h.Get("X-Cost") != "" || h.Get("Mana-Credits-Cost") != "" || h.Get("Link") == "") {
			t.Errorf("early hints say %v", h)
		}
	}}
	r := caddyhttp.PrepareRequest(by(ada, edgetest.Ask("GET", "/")), caddy.NewReplacer(), w, nil)
	err := m.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Set("X-Cost", "2")
		w.WriteHeader(103)
		w.WriteHeader(200)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{103, 200}, codes); diff != "" {
		t.Error(diff)
	}
	wantBill(t, w.Header(), "2", "6")
}

type statusSpy struct {
	http.ResponseWriter
	saw func(int, http.Header)
}

func (w statusSpy) WriteHeader(status int) { w.saw(status, w.Header()) }
