package command_test

import (
	"strings"
	"testing"

	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestClientCommands(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(db))
	type view struct {
		ID, Name, Secret            string
		Public, Trusted, Configured bool
		RedirectURIs, Scopes        []string
		IDTokenSignedResponseAlg    string `json:"idTokenSignedResponseAlg"`
	}
	run := func(args ...string) (string, error) {
		return edgetest.Operate(t, "", append(append([]string{"client"}, args...), "--json", "--config", file)...)
	}
	output, err := run("create", "--id", "grafana", "--name", "Grafana", "--redirect-uri", "https://grafana.example.com/login", "--redirect-uri", "https://other.example.com/login", "--trusted", "--id-token-signed-response-alg", "RS256")
	made := edgetest.Decode[view](t, output)
	if err != nil || made.ID != "grafana" || len(made.Secret) != 32 || !made.Trusted || made.Configured || len(made.RedirectURIs) != 2 || made.IDTokenSignedResponseAlg != "RS256" || len(made.Scopes) != 4 {
		t.Fatalf("%s, %v", output, err)
	}
	stored, err := dbscope.Rows[struct{ ClientSecret string }](t.Context(), db.Pool, dbscope.System(), `SELECT client_secret FROM auth.oauth_applications`)
	if err != nil || len(stored) != 1 || strings.Contains(stored[0].ClientSecret, made.Secret) || !strings.HasPrefix(stored[0].ClientSecret, "sha256:") {
		t.Errorf("stored %v, %v", stored, err)
	}
	output, err = run("create", "--public", "--redirect-uri", "http://127.0.0.1/callback")
	phone := edgetest.Decode[view](t, output)
	if err != nil || phone.ID == "" || phone.Secret != "" || !phone.Public {
		t.Errorf("%s, %v", output, err)
	}
	output, err = run("list")
	if all := edgetest.Decode[[]view](t, output); err != nil || len(all) != 2 || strings.Contains(output, made.Secret) || strings.Contains(output, "sha256:") {
		t.Errorf("%s, %v", output, err)
	}
	output, err = run("rotate", "grafana")
	if rotated := edgetest.Decode[view](t, output); err != nil || len(rotated.Secret) != 32 || rotated.Secret == made.Secret {
		t.Errorf("%s, %v", output, err)
	}
	for name, args := range map[string][]string{
		"there is a client of that id already": {"create", "--id", "grafana", "--redirect-uri", "https://grafana.example.com/login"},
		"redirect_uri: missing":                {"create", "--id", "other"},
		"has a fragment":                       {"create", "--redirect-uri", "https://grafana.example.com/#x"},
		"scopes":                               {"create", "--redirect-uri", "https://grafana.example.com/", "--scopes", "a b"},
		"unknown client":                       {"rotate", phone.ID},
		"nobody: unknown client":               {"delete", "nobody"},
	} {
		if _, err := run(args...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v, want %q", args, err, name)
		}
	}
	if _, err := run("delete", "grafana"); err != nil {
		t.Fatal(err)
	}
	output, err = run("list")
	if all := edgetest.Decode[[]view](t, output); err != nil || len(all) != 1 {
		t.Errorf("%s, %v", output, err)
	}
	events, err := dbscope.Rows[struct{ EventType string }](t.Context(), db.Pool, dbscope.System(), `SELECT event_type FROM auth.security_events WHERE event_type LIKE 'client_%'`)
	if err != nil || len(events) != 4 {
		t.Errorf("recorded %v, %v", events, err)
	}
}
