package appdata_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/appdata"
)

// backends are the back ends of apps, some of which misbehave.
func backends(t *testing.T) appdata.Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chat/api/v1/admin/user-data/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Service-Key") != "the key" || r.PathValue("id") != "a b/c" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"entities":[{"entity":"messages","count":7,"label":"Messages"}],"totalCount":7,"lastActivityAt":"2026-01-02T03:04:05.000Z"}`)
	})
	mux.HandleFunc("DELETE /chat/api/v1/admin/user-data/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"totalDeleted":7}`) })
	mux.HandleFunc("/gone/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	mux.HandleFunc("/broken/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/html/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<html>secret</html>`) })
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/thief/", http.StatusFound) })
	mux.HandleFunc("/thief/", func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the key went to another place: %q", r.Header.Get("X-Service-Key"))
	})
	mux.HandleFunc("/slow/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	c := appdata.Client{Backends: []appdata.Backend{{ID: "off", URL: "http://" + closed.Addr().String()}}}
	for _, id := range []string{"chat", "gone", "broken", "html", "away", "slow"} {
		c.Backends = append(c.Backends, appdata.Backend{ID: id, URL: server.URL + "/" + id, Key: "the key"})
	}
	return c
}

func TestKept(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"off": "Backend offline", "chat": "", "gone": "Backend answered 404", "broken": "Backend answered 500",
		"html": "Backend answered what cannot be read", "away": "Backend answered 302", "slow": "Backend timed out",
	}
	began := time.Now()
	for _, k := range backends(t).Kept(t.Context(), "a b/c") {
		if k.Error != want[k.Backend.ID] {
			t.Errorf("%s: %q, want %q", k.Backend.ID, k.Error, want[k.Backend.ID])
		}
		if k.Backend.ID == "chat" && (k.TotalCount != 7 || len(k.Entities) != 1 || k.Entities[0].Label != "Messages" || k.LastActivityAt == nil) {
			t.Errorf("chat keeps %+v", k)
		}
		if k.Entities == nil {
			t.Errorf("%s: no list", k.Backend.ID)
		}
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	want := map[string]string{"off": "Backend offline", "chat": "", "gone": "", "broken": "Backend answered 500", "html": "", "away": "Backend answered 302", "slow": "Backend timed out"}
	for _, d := range backends(t).Delete(t.Context(), "u") {
		text := ""
		if d.Err != nil {
			text = d.Err.Error()
		}
		if text != want[d.Backend.ID] || d.Backend.ID == "chat" && d.Count != 7 {
			t.Errorf("%s: %q %d, want %q", d.Backend.ID, text, d.Count, want[d.Backend.ID])
		}
	}
}

func TestBackendsPrintWithoutTheirKey(t *testing.T) {
	t.Parallel()
	b := appdata.Backend{ID: "chat", URL: "http://x", Key: "the key"}
	for _, text := range []string{fmt.Sprint(b), fmt.Sprintf("%+v", b), fmt.Sprintf("%#v", b), fmt.Sprint([]appdata.Backend{b})} {
		if strings.Contains(text, "the key") {
			t.Errorf("it prints %s", text)
		}
	}
}
