package develop

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

//go:embed panel.html
var panelText string

var panelPages = template.Must(template.New("panel").Funcs(template.FuncMap{
	"time": func(t time.Time) string { return t.Format(time.TimeOnly) },
	"day":  func(seconds int64) string { return time.Unix(seconds, 0).Format(time.DateTime) },
	"price": func(cents int64, currency string) string {
		return fmt.Sprintf("%d.%02d %s", cents/100, cents%100, strings.ToUpper(currency))
	},
}).Parse(panelText))

// policy lets the pages show themselves and the mail in its frame. No script runs.
// A form of Stripe's pages ends at the app that sent the buyer there.
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'self'"

// longestWait bounds how long a request for mails waits for one.
const longestWait = time.Minute

// panel is the site of the mailbox, beside the edge.
type panel struct {
	family  *family
	port    int
	servers []*http.Server
}

// servePanel begins to answer.
func servePanel(f *family) (*panel, error) {
	p := &panel{family: f, port: f.ports.panel}
	for _, host := range []string{"127.0.0.1", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p.port)))
		if err != nil && host == "127.0.0.1" {
			return nil, fmt.Errorf("mailbox: %w", err)
		}
		if err != nil {
			continue // a machine without IPv6
		}
		server := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second}
		p.servers = append(p.servers, server)
		go func() { _ = server.Serve(listener) }() // until close
	}
	return p, nil
}

func (p *panel) close() error {
	var errs []error
	for _, server := range p.servers {
		errs = append(errs, server.Close())
	}
	return errors.Join(errs...)
}

func (p *panel) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.overview)
	mux.HandleFunc("GET /mails", p.mails)
	mux.HandleFunc("DELETE /mails", p.remove)
	mux.HandleFunc("POST /mails/empty", p.remove)
	mux.HandleFunc("GET /mails/{number}", p.mail)
	mux.HandleFunc("GET /mails/{number}/html", p.html)
	mux.HandleFunc("POST /time", p.pass)
	p.stripeRoutes(mux)
	return p.own(http.NewCrossOriginProtection().Handler(mux))
}

// own refuses requests under other names, which a page of somebody else's site
// can have lead to this machine.
func (p *panel) own(next http.Handler) http.Handler {
	port := strconv.Itoa(p.port)
	hosts := []string{"localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(hosts, r.Host) {
			http.Error(w, "this is the mailbox of localhost", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// site is an app behind the gate, for people.
type site struct{ Address, Upstream string }

// user is a test user, for people.
type user struct{ Email, About string }

// overview shows what runs, and the mails.
func (p *panel) overview(w http.ResponseWriter, _ *http.Request) {
	f := p.family
	show(w, "overview", map[string]any{
		"Auth": local(f.ports.auth), "Sites": f.sites(), "Users": users(), "Password": password,
		"ServiceKey": serviceKey, "Mails": f.mails.find(filter{}), "Passed": passed,
	})
}

// mails lists mails as JSON: `to`, `kind` and `after` choose, and with `wait`, in
// seconds, the answer waits for one.
func (p *panel) mails(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	after, err1 := number(query.Get("after"))
	seconds, err2 := number(query.Get("wait"))
	if err := errors.Join(err1, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(seconds)*time.Second, longestWait))
	defer cancel()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p.family.mails.wait(ctx, filter{To: query.Get("to"), Kind: query.Get("kind"), After: after}))
}

// number reads one that is not negative; an empty text is 0.
func number(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err //nolint:gosec // 31 bits
}

func (p *panel) remove(w http.ResponseWriter, r *http.Request) {
	p.family.mails.empty()
	if r.Method == http.MethodDelete {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// passed are the durations that the page offers.
var passed = []struct{ By, Name string }{
	{"16m", "16 minutes: access tokens and codes are over"}, {"1h", "an hour"}, {"1d", "a day"}, {"7d", "a week"},
	{"31d", "a month: plans are renewed"}, {"400d", "400 days: sessions are over"},
}

// pass lets time pass for all that is stored: `by` says how much, such as 36h or 31d.
func (p *panel) pass(w http.ResponseWriter, r *http.Request) {
	by, err := caddy.ParseDuration(r.PostFormValue("by"))
	if err != nil {
		http.Error(w, "by: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.family.travel(r.Context(), by); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// named is the mail that the address names.
func (p *panel) named(r *http.Request) (received, bool) {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 {
		return received{}, false
	}
	for _, mail := range p.family.mails.find(filter{After: n - 1}) {
		if mail.Number == n {
			return mail, true
		}
	}
	return received{}, false
}

func (p *panel) mail(w http.ResponseWriter, r *http.Request) {
	mail, ok := p.named(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	show(w, "mail", mail)
}

// html is the mail as its readers see it. It is a page without rights.
func (p *panel) html(w http.ResponseWriter, r *http.Request) {
	mail, ok := p.named(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", policy+"; sandbox")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(mail.HTML))
}

func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = panelPages.ExecuteTemplate(w, name, data)
}
