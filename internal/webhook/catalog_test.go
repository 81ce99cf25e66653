package webhook_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/internal/webhook"
	"mana.how/edge/migrations/functions"
)

var write = flag.Bool("write", false, "write the list of events into docs/webhooks.md")

// causes are what makes each event, in this order, and how many of it. An empty type is
// what makes none.
var causes = []struct{ typ, sql string }{
	{"user.created", `INSERT INTO auth.users (id, name, email) VALUES ('u1', '', 'u1@example.test')`},
	{"user.verified", `UPDATE auth.users SET email_verified = true WHERE id = 'u1'`},
	{"", `UPDATE auth.users SET email_verified = true, name = 'Ada' WHERE id = 'u1'`},
	{"user.email_changed", `UPDATE auth.users SET email = 'ada@example.test' WHERE id = 'u1'`},
	{"user.role_changed", `UPDATE auth.users SET role = 'admin' WHERE id = 'u1'`},
	{"user.disabled", `UPDATE auth.users SET disabled_at = now() WHERE id = 'u1'`},
	{"user.enabled", `UPDATE auth.users SET disabled_at = NULL WHERE id = 'u1'`},
	{"", `INSERT INTO auth.sessions (id, token, user_id, expires_at) VALUES ('s1', 's1', 'u1', now())`},
	{"session.revoked", `UPDATE auth.sessions SET revoked_at = now() WHERE id = 's1'`},
	{"", `UPDATE auth.sessions SET revoked_at = now() + interval '1 second' WHERE id = 's1'`},
	{"", `INSERT INTO credits.balances (user_id) VALUES ('u1')`},
	{"", `INSERT INTO credits.transactions (id, user_id, sequence, type, amount, balance_before, balance_after, app_id, description)
		VALUES ('t1', 'u1', 1, 'purchase', 100000, 0, 100000, 'stripe', ''), ('t2', 'u1', 2, 'gift', 12500, 100000, 112500, 'admin', ''),
		('t3', 'u1', 3, 'usage', -1, 112500, 112499, 'chat', '')`},
	{"credits.purchased", `INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, reference, granted, remaining) VALUES ('l1', 't1', 'u1', 1, 'purchase', 'purchase:p1', 100000, 100000)`},
	{"credits.granted", `INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, granted, remaining, expires_at) VALUES ('l2', 't2', 'u1', 2, 'admin', 12500, 12500, '2030-01-31')`},
	{"", `INSERT INTO credits.lots (id, transaction_id, user_id, sequence, source, granted, remaining, parent) VALUES ('l3', 't2', 'u1', 2, 'admin', 1, 1, 'l2'), ('l4', 't2', 'u1', 2, 'refund', 1, 1, NULL)`},
	{"", `UPDATE credits.balances SET balance = 12000, total_earned = 12000, low_below = 10000`},
	{"credits.low", `UPDATE credits.balances SET balance = 9500, total_spent = 2500`},
	{"", `UPDATE credits.balances SET balance = 9000, total_spent = 3000`},
	{"credits.exhausted", `SELECT ` + functions.Schema + `.note_exhausted('u1', 20000)`},
	{"", `SELECT ` + functions.Schema + `.note_exhausted('u1', 20000)`},
	{"", `UPDATE credits.lots SET created_at = '1900-01-01' WHERE id = 'l2'`},
	{"credits.expiring", `SELECT ` + functions.Schema + `.warn_expiring(10, '100 years')`},
	{"", `SELECT ` + functions.Schema + `.warn_expiring(10, '100 years')`},
	{"", `INSERT INTO auth.api_keys (id, user_id, name, key_prefix, key_hash, budget_credits, budget_period) VALUES ('k1', 'u1', '', 'sk_live_', 'hash', 50000, 'day')`},
	{"budget.reached", `SELECT ` + functions.Schema + `.note_budget('u1', NULL, 'k1', 'key_insufficient', now())`},
	{"", `SELECT ` + functions.Schema + `.note_budget('u1', NULL, 'k1', 'key_insufficient', now())`},
	{"", `INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, status, completed_at) VALUES ('p1', 'u1', 100000, 100, 'completed', now())`},
	{"purchase.reversed", `UPDATE credits.purchases SET reversed_credits = 100000, clawed_back = 100000 WHERE id = 'p1'`},
	{"debt.created", `INSERT INTO credits.debts (user_id, reference, kind, amount) VALUES ('u1', 'purchase:p1', 'incurred', 40000)`},
	{"debt.reduced", `INSERT INTO credits.debts (user_id, reference, kind, amount, transaction_id) VALUES ('u1', 'purchase:p1', 'paid', -40000, 't1')`},
	{"", `INSERT INTO credits.packages (id, name, credits, price_euro_cents) VALUES ('large', 'Large', 100000, 999)`},
	{"", `INSERT INTO credits.top_up_settings (account_id, user_id, enabled, package_id, price_euro_cents, monthly_cap_cents, agreed_at, payment_method_id, card_saved_at)
		VALUES ('u1', 'u1', true, 'large', 999, 2000, now(), 'pm_1', now())`},
	{"", `INSERT INTO credits.purchases (id, user_id, credits, price_euro_cents, kind) VALUES ('p2', 'u1', 100000, 999, 'top_up')`},
	{"", `INSERT INTO credits.top_ups (id, account_id, user_id, price_euro_cents, ordered_at) VALUES ('p2', 'u1', 'u1', 999, now())`},
	{"top_up.failed", `UPDATE credits.top_ups SET tries = 1, reason = 'declined'`},
	{"", `UPDATE credits.top_ups SET faults = 1, reason = 'stripe'`},
	{"top_up.confirmation_required", `UPDATE credits.top_ups SET state = 'confirm', reason = NULL`},
	{"", `UPDATE credits.top_ups SET state = 'open'`},
	{"top_up.capped", `UPDATE credits.top_ups SET reason = 'cap'`},
	{"", `UPDATE credits.top_ups SET reason = 'cap'`},
	{"top_up.disabled", `UPDATE credits.top_ups SET state = 'ended', reason = 'declined', ended_at = now()`},
	{"", `INSERT INTO credits.top_ups (id, account_id, user_id) VALUES ('p3', 'u1', 'u1')`},
	{"", `UPDATE credits.top_ups SET state = 'ended', reason = 'unneeded', ended_at = now() WHERE id = 'p3'`},
	{"", `INSERT INTO gifts.gift_codes (id, code, creator_id, total_credits, credits_per_portion, reservation_transaction_id) VALUES ('g1', 'ABCDEF', 'u1', 5000, 5000, 't3')`},
	{"gift.redeemed", `INSERT INTO gifts.gift_redemptions (gift_code_id, redeemer_user_id, status, credits_received, portion_number) VALUES ('g1', 'u1', 'success', 5000, 1)`},
	{"", `INSERT INTO gifts.gift_redemptions (gift_code_id, redeemer_user_id, status) VALUES ('g1', 'u1', 'failed_depleted')`},
	{"", `INSERT INTO credits.coupons (id, name, code_hash, amount, starts_at) VALUES ('c1', 'Spring', sha256('code'), 12500, now())`},
	{"coupon.redeemed", `INSERT INTO credits.coupon_redemptions (id, coupon_id, user_id, person, amount, transaction_id) VALUES ('r2', 'c1', 'u1', sha256('u1'), 12500, 't2')`},
	{"", `INSERT INTO credits.trials (user_id, amount) VALUES ('u1', 12500)`},
	{"trial.granted", `UPDATE credits.trials SET state = 'given', person = sha256('u1'), transaction_id = 't2', decided_at = now()`},
	{"", `INSERT INTO credits.guest_promises (wallet, user_id, amount) VALUES (sha256('w1'), 'u1', 12500)`},
	{"", `INSERT INTO credits.guest_promises (wallet, state, amount) VALUES (sha256('w2'), 'void', 12500)`},
	{"guest.granted", `UPDATE credits.guest_promises SET state = 'given', person = sha256('u1'), transaction_id = 't2', decided_at = now() WHERE user_id = 'u1'`},
	{"", `UPDATE credits.guest_promises SET decided_at = now() WHERE user_id = 'u1'`},
	{"", `INSERT INTO credits.abuse_scores (user_id, score) VALUES ('u1', 60)`},
	{"", `UPDATE credits.abuse_scores SET score = 120`},
	{"gifting.held", `UPDATE credits.abuse_scores SET held_at = now(), held_by = 'edge', hold_reason = 'x'`},
	{"", `UPDATE credits.abuse_scores SET held_by = 'admin:a', hold_reason = 'y', score = 40`},
	{"gifting.released", `UPDATE credits.abuse_scores SET held_at = NULL, held_by = NULL, hold_reason = NULL`},
	{"", `DELETE FROM credits.abuse_scores`},
	{"gifting.held", `INSERT INTO credits.abuse_scores (user_id, held_at, held_by, hold_reason) VALUES ('u1', now(), 'admin:a', 'x')`},
	{"", `INSERT INTO subscriptions.plans (id, name) VALUES ('pro', 'Pro'), ('max', 'Max')`},
	{"", `INSERT INTO subscriptions.subscriptions (id, user_id, plan_id, stripe_subscription_id, status) VALUES ('s1', 'u1', 'pro', 'sub_1', 'incomplete')`},
	{"subscription.started", `UPDATE subscriptions.subscriptions SET status = 'active'`},
	{"", `UPDATE subscriptions.subscriptions SET status = 'active', revision = 2`},
	{"", `INSERT INTO subscriptions.invoices (id, user_id, subscription_id, stripe_subscription_id, stripe_invoice_id, status, amount_due_euro_cents) VALUES ('i1', 'u1', 's1', 'sub_1', 'in_1', 'open', 999)`},
	{"subscription.renewed", `UPDATE subscriptions.invoices SET status = 'paid', amount_paid_euro_cents = 999`},
	{"subscription.changed", `UPDATE subscriptions.subscriptions SET plan_id = 'max', cancel_at_period_end = true`},
	{"subscription.renewal_failed", `UPDATE subscriptions.subscriptions SET status = 'past_due'`},
	{"subscription.changed", `UPDATE subscriptions.subscriptions SET status = 'active'`},
	{"subscription.ended", `UPDATE subscriptions.subscriptions SET status = 'canceled'`},
	{"", `UPDATE subscriptions.subscriptions SET cancel_at_period_end = false`},
	{"", `INSERT INTO subscriptions.subscriptions (id, user_id, plan_id, stripe_subscription_id, status) VALUES ('s2', 'u1', 'pro', 'sub_2', 'incomplete_expired')`},
	{"user.deleted", `UPDATE auth.users SET deleted_at = now(), email_verified = false, email = 'deleted-u1@deleted.invalid', name = '' WHERE id = 'u1'`},
	{"", `UPDATE auth.users SET role = 'user' WHERE id = 'u1'`},
}

// Each cause notes its event and no other, with the fields that the catalog shows, and no
// type of the catalog is without a cause.
func TestCatalogIsWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	e, _ := w.create(webhook.Endpoint{URL: "https://example.com/"})
	examples := map[string]string{}
	for _, d := range webhook.Catalog() {
		examples[d.Type] = d.Data
	}
	seen := map[string]bool{}
	check := func(cause, want string) {
		t.Helper()
		var list []struct {
			Type, Subject string
			Data          json.RawMessage
		}
		w.tx(func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `DELETE FROM mana.webhook_events RETURNING type, subject, data`)
			if err != nil {
				return err
			}
			list, err = pgx.CollectRows(rows, pgx.RowToStructByName[struct {
				Type, Subject string
				Data          json.RawMessage
			}])
			return err
		})
		if want == "" {
			if len(list) != 0 {
				t.Errorf("%s\nnotes %+v", cause, list)
			}
			return
		}
		if len(list) != 1 || list[0].Type != want || list[0].Subject != "u1" && list[0].Subject != e.ID {
			t.Fatalf("%s\nnotes %+v, want a %s", cause, list, want)
		}
		seen[want] = true
		if got, shown := shape(t, list[0].Data), shape(t, []byte(examples[want])); !maps.Equal(got, shown) {
			t.Errorf("%s has %v, the example %v", want, got, shown)
		}
	}
	for _, c := range causes {
		w.exec(c.sql)
		check(c.sql, c.typ)
	}
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.hooks.TestTx(ctx, tx, e.ID) })
	check("a test", webhook.TypeTest)
	seen[webhook.TypeDisabled] = true // see TestEndpointsThatFailForLong
	for _, typ := range webhook.Types() {
		if !seen[typ] {
			t.Errorf("nothing causes %s", typ)
		}
	}
}

// shape are the fields of an object, and what kind of value each has. One that is null in
// either may be anything in the other.
func shape(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	kinds := map[string]string{}
	for name, value := range object {
		kinds[name] = fmt.Sprintf("%T", value)
		if name == "reference" || name == "expiresAt" {
			kinds[name] = "perhaps"
		}
	}
	return kinds
}

const docsFile = "../../docs/webhooks.md"

var listed = regexp.MustCompile("(?s)(\n## Events\n.*?\n\\|---\\|---\\|---\\|\n)(.*?)\n(\n|$)")

// docs/webhooks.md lists the catalog, and nothing else.
func TestDocsListTheCatalog(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, d := range webhook.Catalog() {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | `%s` |", d.Type, d.Means, d.Data))
	}
	want := strings.Join(rows, "\n")
	found := listed.FindStringSubmatch(string(raw))
	if found == nil {
		t.Fatalf("%s has no table of events", docsFile)
	}
	if found[2] == want {
		return
	}
	if *write {
		text := strings.Replace(string(raw), found[1]+found[2], found[1]+want, 1)
		if err := os.WriteFile(docsFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, row := range rows {
		if !slices.Contains(strings.Split(found[2], "\n"), row) {
			t.Errorf("not listed: %s", row)
		}
	}
	t.Errorf("%s is not what the code has: run the test with -write", docsFile)
}
