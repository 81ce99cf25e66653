package command_test

import (
	"strings"
	"testing"
	"time"

	"mana.how/edge/internal/edgetest"
	"mana.how/edge/internal/pgtest"
)

func TestCouponCommands(t *testing.T) {
	t.Parallel()
	file := edgetest.ConfigFile(t, edgetest.ExternalApp(pgtest.New(t)))
	type view struct {
		ID, Name, Code, CreditsLife, NewWithin string
		Credits                                float64
		StartsAt                               time.Time
		EndsAt, EndedAt                        *time.Time
		MaxRedemptions, DomainLimit, Redeemed  int
		Domains                                []string
	}
	run := func(args ...string) (string, error) {
		return edgetest.Operate(t, "", append(append([]string{"coupon"}, args...), "--json", "--config", file)...)
	}
	one := func(args ...string) view {
		t.Helper()
		output, err := run(args...)
		if err != nil {
			t.Fatalf("%v: %s, %v", args, output, err)
		}
		return edgetest.Decode[view](t, output)
	}
	plain := one("create", "--name", "Spring", "--credits", "2.5")
	if len(plain.Code) != 14 || plain.Credits != 2.5 || plain.EndsAt != nil || plain.Domains == nil || time.Since(plain.StartsAt) > time.Hour {
		t.Errorf("made %+v", plain)
	}
	all := one("create", "--name", "Summer", "--credits", "10", "--code", "summer-27", "--starts", "1h", "--ends", "30d", "--credits-last", "14d",
		"--max", "5", "--domain-limit", "2", "--domains", "Example.com,example.org", "--new-within", "7d")
	if all.Code != "SUMMER-27" || all.CreditsLife != "336h0m0s" || all.NewWithin != "168h0m0s" || all.MaxRedemptions != 5 || all.DomainLimit != 2 ||
		strings.Join(all.Domains, " ") != "example.com example.org" || time.Until(all.StartsAt) < 50*time.Minute || time.Until(*all.EndsAt) > 30*24*time.Hour {
		t.Errorf("made %+v", all)
	}
	output, err := run("list")
	if list := edgetest.Decode[[]view](t, output); err != nil || len(list) != 2 || list[0].ID != all.ID || strings.Contains(output, "SUMMER") {
		t.Errorf("%s, %v", output, err)
	}
	if ended := one("end", plain.ID); ended.EndedAt == nil {
		t.Errorf("ended %+v", ended)
	}
	for want, args := range map[string][]string{
		"ended already":           {"end", plain.ID},
		"not found":               {"end", "none"},
		"another coupon":          {"create", "--name", "Again", "--credits", "1", "--code", "SUMMER27"},
		"--name":                  {"create", "--credits", "1"},
		"--credits":               {"create", "--name", "x", "--credits", "many"},
		"--credits must be above": {"create", "--name", "x", "--credits", "0"},
		"--code":                  {"create", "--name", "x", "--credits", "1", "--code", "short"},
		"--ends":                  {"create", "--name", "x", "--credits", "1", "--ends", "soon"},
		"--ends must":             {"create", "--name", "x", "--credits", "1", "--ends", "2020-01-01"},
		"--credits-last":          {"create", "--name", "x", "--credits", "1", "--credits-last", "long"},
		"--credits-expire":        {"create", "--name", "x", "--credits", "1", "--credits-expire", "2020-01-01"},
		"--domains":               {"create", "--name", "x", "--credits", "1", "--domains", "com"},
		"--max":                   {"create", "--name", "x", "--credits", "1", "--max", "-1"},
	} {
		if output, err := run(args...); err == nil || !strings.Contains(strings.ToLower(output+err.Error()), want) {
			t.Errorf("%v: %s, %v", args, output, err)
		}
	}
}
