package services_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// A back end that is away when somebody leaves is told when it is there again; one
// that deleted at once is not told twice.
func TestErasureGoesOn(t *testing.T) {
	edgetest.StopAtEnd(t)
	var chat, todo atomic.Int32
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Service-Key") != "the key" || !strings.Contains(r.URL.Path, "/api/v1/admin/user-data/") {
			t.Errorf("the back end was asked %s %s", r.Method, r.URL)
		}
		switch {
		case r.Method == http.MethodGet:
			fmt.Fprint(w, `{"entities":[],"totalCount":0}`)
		case strings.HasPrefix(r.URL.Path, "/chat"):
			chat.Add(1)
			fmt.Fprint(w, `{"totalDeleted":3}`)
		case todo.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(app.Close)
	db, address := pgtest.New(t), freeport.Address(t)
	config := edgetest.With(edgetest.With(edgetest.ExternalApp(db), "base_url", "http://"+address), "backends", []map[string]any{
		{"id": "chat", "url": app.URL + "/chat", "key": "the key"}, {"id": "todo", "url": app.URL + "/todo", "key": "the key"},
	})
	if err := edgetest.Load(t, edgetest.Whole(t, address, config)); err != nil {
		t.Fatal(err)
	}
	site := "http://" + address
	const body = `{"email":"ada@example.com","password":"` + edgetest.SignUpPassword + `"}`
	edgetest.Fetch(t, "POST", site+"/api/v1/auth/register", body)
	signed := edgetest.Fetch(t, "POST", site+"/api/v1/auth/login", body)
	var tokens struct{ AccessToken string }
	if err := json.NewDecoder(signed.Body).Decode(&tokens); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, site+"/api/v1/me/data", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK ||
		!strings.Contains(string(said), `{"projectId":"chat","projectName":"Chat","success":true,"deletedCount":3}`) ||
		!strings.Contains(string(said), `{"projectId":"todo","projectName":"Todo","success":false,"error":"Backend answered 503"}`) {
		t.Fatalf("%s: %s, %v", answer.Status, said, err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && todo.Load() < 2; time.Sleep(50 * time.Millisecond) {
	}
	if chat.Load() != 1 || todo.Load() != 2 {
		t.Errorf("chat was told %d times, todo %d times", chat.Load(), todo.Load())
	}
}
