package command_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/freeport"
	"mana.how/edge/internal/pgtest"
)

// A browser, an app and a bot of the replaced service go on at the edge with what they
// have, over HTTP.
func TestClientsStaySignedInAcrossTheMove(t *testing.T) {
	const oldSecret = "the secret of the replaced service"
	t.Setenv("BETTER_AUTH_SECRET", oldSecret)
	sql := func(name string) string {
		t.Helper()
		text, err := os.ReadFile("../importer/testdata/" + name + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	from, key := edgetest.OldDatabase(t, sql("schema"), sql("people"), oldSecret, 50)
	to := pgtest.New(t)
	conn, err := pgx.Connect(t.Context(), from.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	text := func(sql string) (result string) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), sql).Scan(&result); err != nil {
			t.Fatal(err)
		}
		return result
	}
	app := edgetest.With(edgetest.ExternalApp(to), "service_key", "the key of the bots, which is long enough")
	file := edgetest.ConfigFile(t, app)
	edgetest.MustOperate(t, "import", "--config", file, "--from", from.DSN)
	address := freeport.Address(t)
	edgetest.StopAtEnd(t)
	if err := edgetest.Load(t, edgetest.Whole(t, address, app)); err != nil {
		t.Fatal(err)
	}

	ask := func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(answer)
	}
	user := text(`SELECT md5('user14')`)
	cookie := "Cookie: " + edgetest.OldCookie(oldSecret, text(`SELECT md5('cookie14')`))
	old, err := token.Sign(key, token.Claims{
		Subject: text(`SELECT md5('user2')`), Email: "person2@example.com", Role: principal.RoleUser, Issuer: "https://auth.example.com", Audience: "manacore",
		Expires: time.Now().Add(15 * time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		want               string
	}{
		"the browser's session":            {"GET", "/api/auth/get-session", "", []string{cookie}, 200, user},
		"its exchange for an app's tokens": {"POST", "/api/v1/auth/session-to-token", "", []string{cookie, "Sec-Fetch-Site: same-origin"}, 200, `"refreshToken"`},
		"the app's refresh token":          {"POST", "/api/v1/auth/refresh", `{"refreshToken":"` + text(`SELECT md5('refresh14') || md5('token14')`) + `"}`, nil, 200, user},
		"a back end's validation":          {"POST", "/api/v1/auth/validate", `{"token":"` + old + `"}`, nil, 200, `"valid":true`},
		"an app behind the gate":           {"GET", "/", "", []string{"Authorization: Bearer " + old}, 200, "in"},
		"the balance":                      {"GET", "/api/v1/credits/balance", "", []string{"Authorization: Bearer " + old}, 200, `"balance":13`},
		"the bot's session": {"GET", "/api/v1/api/v1/auth/matrix-session/" + url.PathEscape("@person7:matrix.example.com"), "",
			[]string{"X-Service-Key: the key of the bots, which is long enough"}, 200, `"token"`},
		"the API key":  {"POST", "/api/v1/api-keys/validate", `{"apiKey":"sk_live_` + text(`SELECT md5('secret1')`) + `"}`, nil, 200, `"valid":true`},
		"the password": {"POST", "/api/v1/auth/login", `{"email":"person3@example.com","password":"Passw0rd!"}`, nil, 200, `"accessToken"`},
		"the key set":  {"GET", "/api/v1/auth/jwks", "", nil, 200, key.ID},
	} {
		if status, body := ask(tt.method, tt.path, tt.body, tt.headers...); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d, %s", name, status, body)
		}
	}
}
