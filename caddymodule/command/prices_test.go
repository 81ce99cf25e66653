package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

// An admin rehearses the prices of a copy of the config, and sees who would pay
// what.
func TestPricesAreRehearsed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	app := edgetest.With(edgetest.ExternalApp(db), "prices", []map[string]any{{"name": "chat", "credits": "3"}, {"name": "chat.token", "credits": "0.002", "per": "1000", "unit": "tokens"}})
	file := edgetest.ConfigFile(t, app)
	edgetest.MustOperate(t, "user", "create", "--email", "ada@example.com", "--config", file)
	edgetest.MustOperate(t, "credits", "grant", "--user", "ada@example.com", "--amount", "10", "--config", file)
	db.Tamper(t, `INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description, metadata)
		SELECT 't', id, 2, 'usage', -5000, 10000, 5000, 'chat', 'A question', '{"price":"chat","quantity":1}' FROM auth.users`)

	type line struct {
		Key                     string
		Charges, Fixed          int
		Paid, Would, Difference float64
	}
	got := edgetest.Decode[struct {
		Lines []line
		Sum   line
	}](t, edgetest.MustOperate(t, "prices", "rehearse", "--by", "user", "--since", "1d", "--config", file, "--json"))
	want := line{"ada@example.com", 1, 0, 5, 3, -2}
	if len(got.Lines) != 1 || got.Lines[0] != want || got.Sum.Difference != -2 || got.Sum.Key != "all" {
		t.Errorf("%+v", got)
	}
	table := edgetest.MustOperate(t, "prices", "rehearse", "--config", file)
	if !strings.Contains(table, "WOULD PAY") || !strings.Contains(table, "chat") || !strings.Contains(table, "-2") {
		t.Error(table)
	}
	if _, err := edgetest.Operate(t, "", "prices", "rehearse", "--by", "moon", "--config", file); err == nil || !strings.Contains(err.Error(), "by price, user, app or plan") {
		t.Error(err)
	}
	prices := edgetest.Decode[[]struct {
		Name, Unit   string
		Credits, Per float64
	}](t, edgetest.MustOperate(t, "prices", "list", "--config", file, "--json"))
	if len(prices) != 2 || prices[1].Name != "chat.token" || prices[1].Credits != 0.002 || prices[1].Per != 1000 || prices[1].Unit != "tokens" {
		t.Errorf("%+v", prices)
	}
	bad := edgetest.ConfigFile(t, edgetest.With(app, "prices", []map[string]any{{"name": "chat", "credits": "many"}}))
	if _, err := edgetest.Operate(t, "", "prices", "list", "--config", bad); err == nil || !strings.Contains(err.Error(), `"many" is not a number of credits`) {
		t.Error(err)
	}
}

// An admin publishes the prices of the config and of a file, sees what is in force and what
// is to come, and withdraws it.
func TestPricesArePublished(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	app := edgetest.With(edgetest.ExternalApp(db), "prices", []map[string]any{{"name": "chat", "credits": "3"}, {"name": "song", "credits": "1"}})
	file := edgetest.ConfigFile(t, app)
	type version struct {
		Version            int
		State, Reason      string
		WithdrawalReason   *string
		Prices             []struct{ Name string }
		EffectiveAt        time.Time
		PublishedBy, Error string
	}
	first := edgetest.Decode[version](t, edgetest.MustOperate(t, "prices", "publish", "--config", file, "--reason", "the first", "--json"))
	if first.Version != 1 || first.State != "in_force" || len(first.Prices) != 2 || !strings.HasPrefix(first.PublishedBy, "cli:") {
		t.Errorf("%+v", first)
	}
	lines := filepath.Join(t.TempDir(), "prices")
	if err := os.WriteFile(lines, []byte("# next year\nchat 4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	day := time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)
	if told := edgetest.MustOperate(t, "prices", "publish", "--config", file, "--file", lines, "--effective", day, "--reason", "dearer"); !strings.Contains(told, day) {
		t.Error(told)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no reason":        {[]string{"publish"}, "--reason takes"},
		"a long one":       {[]string{"publish", "--reason", strings.Repeat("a", 1001)}, "--reason takes"},
		"no time":          {[]string{"publish", "--reason", "x", "--effective", "soon"}, "neither an instant"},
		"one that is over": {[]string{"publish", "--reason", "x", "--effective", "2020-01-01"}, "time to come"},
		"no file":          {[]string{"publish", "--reason", "x", "--file", lines + "x"}, "no such file"},
		"no number":        {[]string{"withdraw", "x", "--reason", "x"}, "not the number"},
		"no such version":  {[]string{"withdraw", "9", "--reason", "x"}, "still to come"},
		"in force":         {[]string{"withdraw", "1", "--reason", "x"}, "still to come"},
		"no limit":         {[]string{"history", "--limit", "0"}, "--limit"},
	} {
		if _, err := edgetest.Operate(t, "", append(append([]string{"prices"}, c.args...), "--config", file)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A version without a price that a route of the config names is not published.
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	routed := filepath.Join(t.TempDir(), "routed.json")
	routes := `{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"subroute","routes":[{"handle":[
		{"handler":"mana_credits","credits":"5","cost_tokens":{"price":"song","input":"film"}},{"handler":"mana_credits","price":"chat"}]}]}]}]}}},`
	if err := os.WriteFile(routed, []byte(strings.Replace(string(raw), `{"apps":{`, routes, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := edgetest.Operate(t, "", "prices", "publish", "--config", routed, "--file", lines, "--reason", "x"); err == nil || !strings.HasSuffix(err.Error(), ": film") {
		t.Errorf("without a price of a route: %v", err)
	}
	edgetest.MustOperate(t, "prices", "withdraw", "2", "--config", file, "--reason", "a mistake")
	history := edgetest.Decode[[]version](t, edgetest.MustOperate(t, "prices", "history", "--config", file, "--json"))
	if len(history) != 2 || history[0].State != "withdrawn" || history[0].WithdrawalReason == nil || history[1].State != "in_force" || history[1].Reason != "the first" {
		t.Errorf("%+v", history)
	}
	if told := edgetest.MustOperate(t, "prices", "history", "--config", file); !strings.Contains(told, "in_force") || !strings.Contains(told, "dearer") {
		t.Error(told)
	}
	if told := edgetest.MustOperate(t, "prices", "list", "--config", file); !strings.Contains(told, "VERSION") || !strings.Contains(told, "chat") {
		t.Error(told)
	}
	if told := edgetest.MustOperate(t, "audit", "log", "--config", file); !strings.Contains(told, "prices_published") || !strings.Contains(told, "prices_withdrawn") {
		t.Error(told)
	}
}
