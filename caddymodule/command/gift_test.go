package command_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

type giftJSON struct {
	ID, Code, URL                   string
	TotalCredits, CreditsPerPortion float64
	TotalPortions                   int
	ExpiresAt                       *time.Time
	Replayed                        bool
}

func TestGiftCreate(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	run := func(args ...string) (string, error) {
		t.Helper()
		return edgetest.Operate(t, "", append(args, "--json", "--config", file)...)
	}
	create := func(args ...string) giftJSON {
		t.Helper()
		out, err := run(append([]string{"gift", "create", "--user", "ada@example.com"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return edgetest.Decode[giftJSON](t, out)
	}
	if _, err := run("user", "create", "--email", "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := run("gift", "create", "--user", "ada@example.com", "--credits", "5"); err == nil || !strings.Contains(err.Error(), "has 0 credits, 5 are needed") {
		t.Errorf("without credits: %v", err)
	}
	if _, err := run("credits", "grant", "--user", "ada@example.com", "--amount", "200"); err != nil {
		t.Fatal(err)
	}
	one := create("--credits", "5", "--message", "Hello")
	if len(one.Code) != 6 || one.URL != "https://auth.example.com/g/"+one.Code || one.TotalCredits != 5 || one.TotalPortions != 1 || one.ExpiresAt == nil {
		t.Errorf("made %+v", one)
	}
	many := create("--credits", "101", "--portions", "5", "--expires", "30d", "--key", "k")
	if many.TotalCredits != 100 || many.CreditsPerPortion != 20 || time.Until(*many.ExpiresAt) > 30*24*time.Hour {
		t.Errorf("made %+v", many)
	}
	// A user who registers under the address has the gift at once.
	create("--credits", "7", "--for", "Bob@Example.com")
	if _, err := run("user", "create", "--email", "bob@example.com"); err != nil {
		t.Fatal(err)
	}
	got, err := run("credits", "grant", "--user", "bob@example.com", "--amount", "1")
	if grant := edgetest.Decode[grantJSON](t, got); err != nil || grant.Balance != 8 {
		t.Errorf("the new user has %+v, %v", grant, err)
	}
	out, err := run("credits", "audit")
	if audit := edgetest.Decode[auditJSON](t, out); err != nil || audit.Accounts != 2 || len(audit.Breaches) != 0 {
		t.Errorf("audit: %v, %+v", err, audit)
	}
	for name, args := range map[string][]string{
		"nobody":       {"--credits", "5", "--user", ""},
		"no credits":   {},
		"half":         {"--credits", "0.5"},
		"too many":     {"--credits", "10001"},
		"portions":     {"--credits", "5", "--portions", "101"},
		"thin":         {"--credits", "5", "--portions", "6"},
		"over":         {"--credits", "5", "--expires", "2020-01-01"},
		"address":      {"--credits", "5", "--for", "bob"},
		"unknown user": {"--credits", "5", "--user", "eve@example.com"},
	} {
		if out, err := run(append([]string{"gift", "create", "--user", "ada@example.com"}, args...)...); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
}
