package manaid_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	manaid "mana.how/edge/clients/go"
)

func TestFromRequest(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	if who, ok := manaid.FromRequest(r); ok || !reflect.DeepEqual(who, manaid.Identity{}) {
		t.Errorf("a guest is %+v", who)
	}
	for name, value := range map[string]string{
		"User-Id": "u1", "Email": "j%C3%B6rg@example.test", "Email-Verified": "true", "Role": "user", "Session-Id": "s1", "Org-Id": "o1", "Org-Role": "owner",
		"Auth-Time": "1700000000", "Amr": "pwd,otp", "Name": "J%C3%B6rg%20100%25+1", "Picture": "https://p.example.test/a%2520b.png",
	} {
		r.Header.Set("X-Mana-"+name, value)
	}
	want := manaid.Identity{
		UserID: "u1", Email: "jörg@example.test", EmailVerified: true, Role: "user", SessionID: "s1", OrgID: "o1", OrgRole: "owner",
		AuthTime: time.Unix(1700000000, 0), Methods: []string{"pwd", "otp"}, Name: "Jörg 100%+1", Picture: "https://p.example.test/a%20b.png",
	}
	if who, ok := manaid.FromRequest(r); !ok || !reflect.DeepEqual(who, want) {
		t.Errorf("got %+v", who)
	}
	var seen manaid.Identity
	app := manaid.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen, _ = manaid.FromContext(r.Context()) }))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	if w.Code != 200 || seen.UserID != "u1" {
		t.Errorf("%d, %+v", w.Code, seen)
	}
	w = httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("a guest gets %d", w.Code)
	}
}
