package meter_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
)

// organization is one with that many credits, and ada a member of it who may spend
// so much a day; 0 is nothing.
func (p *purse) organization(id string, credits, allotted creditcore.Amount) {
	p.t.Helper()
	p.exec(`INSERT INTO auth.organizations (id, name) VALUES ($1, $1)`, id)
	p.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ($1 || '-ada', $1, 'ada', 'member')`, id)
	if allotted > 0 {
		p.exec(`INSERT INTO credits.allotments (organization_id, user_id, credits, period) VALUES ($1, 'ada', $2, 'day')`, id, int64(allotted))
	}
	edgetest.GrantTo(p.t, p.Service, creditcore.OrganizationAccount(id), credits)
}

func (p *purse) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := dbscope.Exec(p.t.Context(), p.db.Pool, dbscope.System(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

// acting is ada's request, in an organisation.
func acting(organization string, headers ...string) *http.Request {
	r := edgetest.Ask("POST", "/", headers...)
	return r.WithContext(meter.In(meter.WithCaller(r.Context(), "ada"), organization))
}

// refused is what a refusal says.
type refused struct {
	Code    string
	Details struct {
		RequiredCredits, AvailableCredits float64
		CreditType, Limit                 string
	}
}

func refusalOf(t *testing.T, x *edgetest.Exchange) (r refused) {
	t.Helper()
	if err := json.Unmarshal(x.Body.Bytes(), &r); err != nil {
		t.Errorf("%s: %v", x.Body, err)
	}
	return r
}

// Who pays by the option, by what the organisation has, and by what is allotted;
// at a fixed price, with one that the app tells, and under a key.
func TestPayers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		payer                   string
		acts                    string // the active organisation
		has, allotted, own      creditcore.Amount
		status                  int
		paidBy, refused, limits string
	}{
		"user by default":               {"", "acme", 10_000, 10_000, 10_000, 200, "user", "", ""},
		"user":                          {"user", "acme", 10_000, 10_000, 10_000, 200, "user", "", ""},
		"org":                           {"org", "acme", 10_000, 10_000, 0, 200, "org:acme", "", ""},
		"org without one":               {"org", "", 10_000, 10_000, 10_000, 403, "", "ORG_REQUIRED", ""},
		"org of others":                 {"org", "other", 10_000, 10_000, 10_000, 403, "", "ORG_REQUIRED", ""},
		"org that is gone":              {"org", "nothing", 10_000, 10_000, 10_000, 403, "", "ORG_REQUIRED", ""},
		"org without credits":           {"org", "acme", 1000, 10_000, 10_000, 402, "org:acme", "INSUFFICIENT_CREDITS", "organization 1"},
		"org without allotment":         {"org", "acme", 10_000, 0, 10_000, 402, "org:acme", "INSUFFICIENT_CREDITS", "organization 0 allotment"},
		"org of a small allotment":      {"org", "acme", 10_000, 1500, 10_000, 402, "org:acme", "INSUFFICIENT_CREDITS", "organization 1.5 allotment"},
		"org, then user":                {"org_then_user", "acme", 10_000, 10_000, 10_000, 200, "org:acme", "", ""},
		"user, for want of credits":     {"org_then_user", "acme", 1000, 10_000, 10_000, 200, "user", "", ""},
		"user, for want of allotment":   {"org_then_user", "acme", 10_000, 1000, 10_000, 200, "user", "", ""},
		"user, who acts in none":        {"org_then_user", "", 10_000, 10_000, 10_000, 200, "user", "", ""},
		"user, who has left":            {"org_then_user", "other", 10_000, 10_000, 10_000, 200, "user", "", ""},
		"neither":                       {"org_then_user", "acme", 1000, 10_000, 1000, 402, "user", "INSUFFICIENT_CREDITS", "user 1"},
		"user without credits, not org": {"user", "acme", 10_000, 10_000, 1000, 402, "user", "INSUFFICIENT_CREDITS", "user 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			p.user("ada", row.own+1) // something, for the ledger refuses nothing
			p.organization("acme", row.has, row.allotted)
			p.exec(`INSERT INTO auth.organizations (id, name) VALUES ('other', 'other')`)
			for kind, m := range map[string]*meter.Meter{
				"fixed": {Credits: "2", Payer: row.payer}, "cost": {Credits: "2", CostFrom: "X-Cost", Payer: row.payer},
				"key": {Credits: "2", Payer: row.payer},
			} {
				var headers []string
				if kind == "key" {
					headers = []string{"Idempotency-Key: " + kind}
				}
				x := edgetest.Send(t, p.meter(m), acting(row.acts, headers...), edgetest.Answers(200, "X-Cost", "2", "Mana-Credits-Payer", "liar"))
				if x.Code != row.status || x.Header().Get("Mana-Credits-Payer") != row.paidBy {
					t.Errorf("%s: %d, paid by %q: %s", kind, x.Code, x.Header().Get("Mana-Credits-Payer"), x.Body)
				}
				if row.refused == "" {
					continue
				}
				r := refusalOf(t, x)
				said := strings.TrimSpace(strings.Join([]string{r.Details.CreditType, "", r.Details.Limit}, ""))
				wantType, rest, _ := strings.Cut(row.limits, " ")
				_, wantLimit, _ := strings.Cut(rest, " ")
				if r.Code != row.refused || said != wantType+wantLimit || x.Reached > 0 {
					t.Errorf("%s: refused with %+v", kind, r)
				}
			}
			spent := creditcore.Amount(0)
			if row.status == 200 {
				spent = 6000
			}
			if row.paidBy == "user" {
				p.wantAvailable("ada", row.own+1-spent)
				p.wantAvailable("org:acme", row.has)
			} else {
				p.wantAvailable("ada", row.own+1)
				p.wantAvailable("org:acme", row.has-spent)
			}
		})
	}
}

// 64 parallel requests on an allotment of 10 are 10 that the organisation pays; with
// org_then_user the user pays the others.
func TestParallelRequestsOnAnAllotment(t *testing.T) {
	t.Parallel()
	for payer, want := range map[string]int64{"org": 10, "org_then_user": 64} {
		t.Run(payer, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			p.user("ada", creditcore.Credits(1000))
			p.organization("acme", creditcore.Credits(1000), creditcore.Credits(10))
			m := p.meter(&meter.Meter{Credits: "1", Payer: payer})
			var passed atomic.Int64
			var sending sync.WaitGroup
			for range 64 {
				sending.Go(func() {
					if x := edgetest.Send(t, m, acting("acme"), edgetest.Answers(200)); x.Code == 200 {
						passed.Add(1)
					} else if x.Code != 402 {
						t.Errorf("status %d: %s", x.Code, x.Body)
					}
				})
			}
			sending.Wait()
			if passed.Load() != want {
				t.Errorf("%d passed, want %d", passed.Load(), want)
			}
			p.wantAvailable("org:acme", creditcore.Credits(990))
			p.wantAvailable("ada", creditcore.Credits(1000-(want-10)))
		})
	}
}

// A retry is charged once, although another account would pay for it by then.
func TestRetriesStayWithTheirPayer(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	p.user("ada", creditcore.Credits(100))
	p.organization("acme", creditcore.Credits(1), creditcore.Credits(50))
	m := p.meter(&meter.Meter{Credits: "5", Payer: "org_then_user"})
	send := func() *edgetest.Exchange {
		return edgetest.Send(t, m, acting("acme", "Idempotency-Key: once"), edgetest.Answers(200))
	}
	if x := send(); x.Code != 200 || x.Header().Get("Mana-Credits-Payer") != "user" || x.Header().Get("Mana-Credits-Cost") != "5" {
		t.Fatalf("first: %d %v", x.Code, x.Header())
	}
	edgetest.GrantTo(t, p.Service, "org:acme", creditcore.Credits(100))
	if x := send(); x.Code != 200 || x.Header().Get("Mana-Credits-Payer") != "user" || x.Header().Get("Mana-Credits-Cost") != "0" {
		t.Errorf("again: %d %v", x.Code, x.Header())
	}
	p.wantAvailable("ada", creditcore.Credits(95))
	p.wantAvailable("org:acme", creditcore.Credits(101))
}

// A request that comes to nothing is given back to the organisation and to the
// allotment; who leaves while it runs still has it paid.
func TestOrganizationsGetBackWhatFails(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	p.user("ada", creditcore.Credits(1))
	p.organization("acme", creditcore.Credits(100), creditcore.Credits(10))
	for _, m := range []*meter.Meter{{Credits: "8", Payer: "org"}, {Credits: "8", Payer: "org", CostFrom: "X-Cost"}} {
		p.meter(m)
		for range 3 {
			if x := edgetest.Send(t, m, acting("acme"), edgetest.Answers(502)); x.Code != 502 {
				t.Fatalf("status %d: %s", x.Code, x.Body)
			}
		}
		x := edgetest.Send(t, m, acting("acme"), func(w http.ResponseWriter, r *http.Request) error {
			p.exec(`DELETE FROM auth.members WHERE user_id = 'ada'`)
			return edgetest.Answers(200, "X-Cost", "8")(w, r)
		})
		if x.Code != 200 || x.Header().Get("Mana-Credits-Cost") != "8" {
			t.Errorf("%d %v %s", x.Code, x.Header(), x.Body)
		}
		if x := edgetest.Send(t, m, acting("acme"), edgetest.Answers(200)); x.Code != 403 {
			t.Errorf("after leaving: %d", x.Code)
		}
		p.exec(`DELETE FROM credits.spending`)
		p.exec(`INSERT INTO auth.members (id, organization_id, user_id, role) VALUES ('acme-ada', 'acme', 'ada', 'member')`)
		p.exec(`INSERT INTO credits.allotments (organization_id, user_id, credits, period) VALUES ('acme', 'ada', 10000, 'day')`)
		p.exec(`INSERT INTO credits.spending (spender, account_id, day, amount)
			SELECT 'user:ada', 'org:acme', current_date - 1, coalesce(-sum(amount), 0) FROM credits.transactions WHERE user_id = 'org:acme' AND spent_by = 'ada'`)
	}
	p.wantAvailable("org:acme", creditcore.Credits(84))
	p.wantAvailable("ada", creditcore.Credits(1))
	shadow := p.meter(&meter.Meter{Credits: "80", Payer: "org", Shadow: true})
	x := edgetest.Send(t, shadow, acting("acme"), edgetest.Answers(200))
	if outcome, _, _ := strings.Cut(x.Placeholders(), " "); x.Code != 200 || outcome != "shadow_insufficient" {
		t.Errorf("in the shadow: %d, %q", x.Code, outcome)
	}
	x = edgetest.Send(t, shadow, acting(""), edgetest.Answers(200))
	if outcome, _, _ := strings.Cut(x.Placeholders(), " "); x.Code != 200 || outcome != "shadow_refused" {
		t.Errorf("in the shadow, acting for none: %d, %q", x.Code, outcome)
	}
}
