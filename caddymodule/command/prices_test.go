package command_test

import (
	"strings"
	"testing"

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
