package gate_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/verifier"
	"mana.how/edge/caddymodule/gate"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// newTicket makes a ticket of a person's session.
func newTicket(t *testing.T, s *authcore.Service, p edgetest.Person, origin string) string {
	t.Helper()
	ticket, err := s.NewTicket(t.Context(), principal.Caller{UserID: p.User.ID, Role: p.User.Role, SessionID: p.Tokens.SessionID}, origin)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestGateTicket(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})

	ticket := newTicket(t, s, ada, edgetest.GateApp+":443")
	ask := "/events?a=1&ticket=" + ticket + "&b=%202&ticket=app"
	_, up := edgetest.Serve(t, g, edgetest.Ask("GET", ask, "X-Mana-User-Id: 666"))
	wantSealed(t, up, ada, ada.Tokens.SessionID)
	if up.URL.RawQuery != "a=1&b=%202&ticket=app" || up.RequestURI != "/events?"+up.URL.RawQuery {
		t.Errorf("the app sees %q, %q", up.URL.RawQuery, up.RequestURI)
	}
	if original := request.Original(up); strings.Contains(original.URL.String()+original.RequestURI, verifier.TicketPrefix) {
		t.Errorf("the app sees %q, %q in what was asked first", original.URL, original.RequestURI)
	}
	if claims, err := s.Verify(t.Context(), strings.TrimPrefix(up.Header.Get("Authorization"), "Bearer ")); err != nil || claims.Subject != ada.User.ID {
		t.Errorf("the upstream's bearer: %v", err)
	}
	if request.AuthOf(up.Context()).ByCookie {
		t.Error("a ticket is taken for what browsers send by themselves")
	}
	w, up := edgetest.Serve(t, g, edgetest.Ask("GET", ask))
	edgetest.WantRefusal(t, w, up, 401, "Invalid token")
	w, up = edgetest.Serve(t, g, edgetest.Ask("GET", ask, "Cookie: "+ada.Cookie, "Sec-Fetch-Mode: navigate"))
	edgetest.WantRefusal(t, w, up, 401, "Invalid token")

	for name, r := range map[string]*http.Request{
		"another site": edgetest.Ask("GET", "https://other.example.test/?ticket="+newTicket(t, s, ada, edgetest.GateApp)),
		"plain HTTP":   edgetest.Ask("GET", "http://chat.example.test/?ticket="+newTicket(t, s, ada, edgetest.GateApp)),
		"made up":      edgetest.Ask("GET", "/?ticket=mt_"+strings.Repeat("A", 43)),
		"too long":     edgetest.Ask("GET", "/?ticket=mt_"+strings.Repeat("A", 5000)),
	} {
		t.Log(name)
		w, up := edgetest.Serve(t, g, r)
		edgetest.WantRefusal(t, w, up, 401, "Invalid token")
	}
	w, up = edgetest.Serve(t, g, edgetest.Ask("GET", "/?ticket=of-the-app"))
	edgetest.WantRefusal(t, w, up, 401, "No token provided")
	w, up = edgetest.Serve(t, g, edgetest.Ask("POST", "/?ticket="+newTicket(t, s, ada, edgetest.GateApp), "Origin: "+edgetest.GateApp))
	edgetest.WantRefusal(t, w, up, 401, "No token provided")

	// A Bearer decides alone, and no ticket reaches an app, of whatever gate.
	for name, at := range map[string]*gate.Gate{"required": g, "off": edgetest.Gate(s, &gate.Gate{Off: true}), "optional": edgetest.Gate(s, &gate.Gate{Optional: true})} {
		_, up := edgetest.Serve(t, at, edgetest.Ask("POST", "/?ticket="+newTicket(t, s, ada, edgetest.GateApp), "Authorization: Bearer "+ada.Tokens.AccessToken))
		if up == nil || up.URL.RawQuery != "" {
			t.Errorf("%s: %v", name, up)
		}
	}
	_, up = edgetest.Serve(t, edgetest.Gate(s, &gate.Gate{Optional: true}), edgetest.Ask("GET", "/?ticket="+newTicket(t, s, ada, edgetest.GateApp)))
	wantSealed(t, up, ada, ada.Tokens.SessionID)
}

// A ticket dies with its session, and counts once however many show it at once.
func TestGateTicketCountsOnce(t *testing.T) {
	t.Parallel()
	s := edgetest.GateService(t, pgtest.New(t))
	ada := edgetest.NewPerson(t, s, "ada@example.test", "user")
	g := edgetest.Gate(s, &gate.Gate{})
	ticket := newTicket(t, s, ada, edgetest.GateApp)
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if w, _ := edgetest.Serve(t, g, edgetest.Ask("GET", "/?ticket="+ticket)); w.Code == 200 {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d of 8 passed", passed.Load())
	}
	late := newTicket(t, s, ada, edgetest.GateApp)
	if err := s.SignOut(t.Context(), edgetest.GateClient, authcore.SignOut{SessionID: ada.Tokens.SessionID}); err != nil {
		t.Fatal(err)
	}
	w, up := edgetest.Serve(t, g, edgetest.Ask("GET", "/?ticket="+late))
	edgetest.WantRefusal(t, w, up, 401, "Invalid token")
}

// A ticket opens a WebSocket and a stream of events, and both end with the session.
func TestLiveTicketOpensStreams(t *testing.T) {
	l := edgetest.StartLive(t, "", "mana_auth")
	ada := edgetest.NewPerson(t, l.Auth, "ada@mana.localhost", "user")
	ticket := func() string { return newTicket(t, l.Auth, ada, "http://"+l.Host) }
	resp := l.Do(t, l.Request(t, "GET", "/?ticket="+ticket()))
	if resp.StatusCode != 200 {
		t.Fatalf("a request: %d", resp.StatusCode)
	}
	socket := l.OpenSocketAt(t, "/socket?ticket="+ticket(), "X-None: x")
	events := l.OpenEventsAt(t, "/events?ticket="+ticket(), "X-None: x")
	if err := l.Auth.SignOut(t.Context(), edgetest.GateClient, authcore.SignOut{SessionID: ada.Tokens.SessionID}); err != nil {
		t.Fatal(err)
	}
	socket.WantEnd(t, "socket")
	events.WantEnd(t, "events")
}
