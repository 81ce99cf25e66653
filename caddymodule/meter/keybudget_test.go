package meter_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mana.how/edge/caddymodule/meter"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/edgetest"
)

// apiKey makes a key of the user with a budget for a day.
func (p *purse) apiKey(user, id string, budget creditcore.Amount) string {
	p.t.Helper()
	if _, err := dbscope.Exec(p.t.Context(), p.db.Pool, dbscope.System(),
		`INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash, budget_credits, budget_period) VALUES ($1, $2, 'key', 'sk_live_', $1, $3, 'day')`,
		id, user, int64(budget)); err != nil {
		p.t.Fatal(err)
	}
	return id
}

// 64 parallel requests on a budget of 10 are 10 that pass, at a fixed price and
// with a price that the app tells; the others are told that it is the key.
func TestParallelRequestsOnTheBudgetOfAKey(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*meter.Meter{
		"fixed price": {Credits: "1"}, "price of the app": {Credits: "1", CostFrom: "X-Cost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPurse(t)
			ada := p.user("ada", creditcore.Credits(1000))
			key := p.apiKey(ada, "key", creditcore.Credits(10))
			m := p.meter(m)
			var passed, refused atomic.Int64
			var sending sync.WaitGroup
			for range 64 {
				sending.Go(func() {
					r := edgetest.Ask("POST", "/")
					x := edgetest.Send(t, m, r.WithContext(meter.WithKey(r.Context(), ada, key)), edgetest.Answers(200, "X-Cost", "1"))
					var body struct {
						Code    string
						Details struct {
							RequiredCredits, AvailableCredits float64
							CreditType                        string
						}
					}
					switch x.Code {
					case http.StatusOK:
						passed.Add(1)
					case http.StatusPaymentRequired:
						refused.Add(1)
						if err := json.Unmarshal(x.Body.Bytes(), &body); err != nil || body.Code != "INSUFFICIENT_CREDITS" ||
							body.Details.CreditType != "key" || body.Details.RequiredCredits != 1 || body.Details.AvailableCredits != 0 {
							t.Errorf("refused with %s, %v", x.Body, err)
						}
					default:
						t.Errorf("status %d: %s", x.Code, x.Body)
					}
				})
			}
			sending.Wait()
			if passed.Load() != 10 || refused.Load() != 54 {
				t.Errorf("passed %d, refused %d", passed.Load(), refused.Load())
			}
			// A settlement that the database was too busy for is tried again behind the answer.
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				if b, err := p.Service.Balance(t.Context(), creditcore.Caller{UserID: ada}); err == nil && b.Held == 0 {
					break
				}
			}
			p.wantAvailable(ada, creditcore.Credits(990))
		})
	}
}

// A request that comes to nothing is of no weight to the budget, and in the
// shadow a budget is told, not held to.
func TestFailedRequestsLeaveTheBudget(t *testing.T) {
	t.Parallel()
	p := newPurse(t)
	ada := p.user("ada", creditcore.Credits(100))
	key := p.apiKey(ada, "key", creditcore.Credits(10))
	send := func(m *meter.Meter, status int, headers ...string) *edgetest.Exchange {
		r := edgetest.Ask("POST", "/", headers...)
		return edgetest.Send(t, m, r.WithContext(meter.WithKey(r.Context(), ada, key)), edgetest.Answers(status))
	}
	fixed := p.meter(&meter.Meter{Credits: "8"})
	for range 3 {
		if x := send(fixed, 502); x.Code != 502 {
			t.Fatalf("status %d: %s", x.Code, x.Body)
		}
	}
	if x := send(fixed, 200, "Idempotency-Key: once"); x.Code != 200 {
		t.Fatalf("status %d: %s", x.Code, x.Body)
	}
	if x := send(fixed, 200, "Idempotency-Key: once"); x.Code != 200 { // it is charged already
		t.Errorf("the retry: %d, %s", x.Code, x.Body)
	}
	if x := send(fixed, 200, "Idempotency-Key: twice"); x.Code != http.StatusPaymentRequired {
		t.Errorf("past the budget, with an Idempotency-Key: %d", x.Code)
	}
	x := send(p.meter(&meter.Meter{Credits: "8", Shadow: true}), 200)
	if outcome, _, _ := strings.Cut(x.Placeholders(), " "); x.Code != 200 || outcome != "shadow_insufficient" {
		t.Errorf("in the shadow: %d, %q", x.Code, outcome)
	}
	p.wantAvailable(ada, creditcore.Credits(92))
}
