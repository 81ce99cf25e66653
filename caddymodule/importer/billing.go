package importer

import (
	"fmt"
	"time"
)

var packages = table{
	name: "credits.packages", key: "id", from: "credits.packages", fromKey: "id",
	columns: []string{"name", "description", "credits", "price_euro_cents", "stripe_price_id", "active", "sort_order", "metadata"},
	replaces: `
		DELETE FROM credits.packages AS p
		USING jsonb_populate_recordset(NULL::credits.packages, $1::jsonb) AS n
		WHERE lower(p.name) = lower(n.name) AND p.id <> n.id AND p.seeded
		  AND NOT EXISTS (SELECT FROM credits.purchases AS s WHERE s.package_id = p.id)
		RETURNING p.id`,
	watched: []string{"name", "description", "credits", "price_euro_cents", "stripe_price_id", "active", "sort_order"},
	make: func(_ *run, t *tally, in sourceRow) []row {
		out := in.row.only("id", "name", "description", "price_euro_cents", "stripe_price_id", "active", "sort_order", "metadata")
		out["credits"] = credits(t, in.id, "credits", in.row.text("credits"))
		return []row{out}
	},
}

var stripeCustomers = table{
	name: "credits.stripe_customers", key: "user_id", from: "credits.stripe_customers", fromKey: "user_id",
	columns: []string{"stripe_customer_id", "email"},
	watched: []string{"stripe_customer_id", "email", "livemode"},
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.here(t, in, "user_id") {
			return nil
		}
		return []row{in.row.only("user_id", "stripe_customer_id", "email")}
	},
}

// here is owned for what stays behind of who has left: money.
func (r *run) here(t *tally, in sourceRow, column string) bool {
	return r.closed[in.row.text(column)] || r.owned(t, in, column)
}

// purchases that somebody may still pay are those of the replaced service; whatever is
// paid later is found by its intent.
var purchases = table{
	name: "credits.purchases", key: "id", from: "credits.purchases", fromKey: "id",
	columns: []string{
		"user_id", "package_id", "credits", "price_euro_cents", "stripe_payment_intent_id", "stripe_customer_id", "status", "metadata",
		"created_at", "completed_at", "kind", "stripe_session_id", "expires_at",
	},
	watched: []string{"status", "stripe_payment_intent_id", "stripe_session_id", "completed_at", "reversed_euro_cents"},
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.here(t, in, "user_id") {
			return nil
		}
		out := in.row.only("id", "user_id", "package_id", "price_euro_cents", "stripe_payment_intent_id", "stripe_customer_id", "status", "metadata", "created_at", "completed_at")
		out["credits"] = credits(t, in.id, "credits", in.row.text("credits"))
		out["kind"] = "intent"
		if session := in.row.object("metadata").text("stripeSessionId"); session != "" {
			out["kind"], out["stripe_session_id"] = "checkout", session
			out["expires_at"] = in.row.time("created_at").Add(24 * time.Hour).Format(time.RFC3339Nano)
		}
		switch status := in.row.text("status"); {
		case status == "completed" && !in.row.has("completed_at"):
			t.mend(in.id, "completed_at: was missing, and became created_at")
			out["completed_at"] = in.row["created_at"]
		case status != "completed" && in.row.has("completed_at"):
			t.mend(in.id, "completed_at: is set on a purchase that is "+status+", and was emptied")
			out["completed_at"] = nil
		}
		return []row{out}
	},
}

var plans = table{
	name: "subscriptions.plans", key: "id", from: "subscriptions.plans", fromKey: "id",
	columns: planColumns,
	replaces: `
		DELETE FROM subscriptions.plans AS p
		USING jsonb_populate_recordset(NULL::subscriptions.plans, $1::jsonb) AS n
		WHERE lower(p.name) = lower(n.name) AND p.id <> n.id
		  AND NOT EXISTS (SELECT FROM mana.imported AS m WHERE m.kind = 'subscriptions.plans' AND m.id = p.id)
		  AND NOT EXISTS (SELECT FROM subscriptions.subscriptions AS s WHERE s.plan_id = p.id)
		  AND NOT EXISTS (SELECT FROM subscriptions.allotments AS a WHERE a.plan_id = p.id)
		RETURNING p.id`,
	watched: []string{"name", "monthly_credits", "price_monthly_euro_cents", "price_yearly_euro_cents", "stripe_price_id_monthly", "stripe_price_id_yearly", "active"},
	make: func(_ *run, t *tally, in sourceRow) []row {
		out := in.row.only(append([]string{"id"}, planColumns...)...)
		out["monthly_credits"] = credits(t, in.id, "monthly_credits", in.row.text("monthly_credits"))
		for _, column := range []string{"stripe_price_id_monthly", "stripe_price_id_yearly"} {
			if in.row.text(column) == "" {
				out[column] = nil
			}
		}
		for _, column := range []string{"is_default", "is_enterprise", "active"} {
			out[column] = in.row.is(column)
		}
		if !in.row.has("sort_order") {
			out["sort_order"] = 0
		}
		return []row{out}
	},
}

var planColumns = []string{
	"name", "description", "monthly_credits", "price_monthly_euro_cents", "price_yearly_euro_cents", "stripe_price_id_monthly", "stripe_price_id_yearly",
	"stripe_product_id", "features", "max_team_members", "max_organizations", "is_default", "is_enterprise", "active", "sort_order", "metadata",
}

// subscriptions of a user that live beside an older one are kept as surplus.
var subscriptions = table{
	name: "subscriptions.subscriptions", key: "id",
	query: `
		SELECT to_jsonb(t) || jsonb_build_object('surplus', t.status::text IN ('active', 'trialing', 'past_due', 'unpaid', 'paused')
			AND row_number() OVER (PARTITION BY t.user_id, t.status::text IN ('active', 'trialing', 'past_due', 'unpaid', 'paused')
				ORDER BY t.created_at, t.id) > 1)
		FROM subscriptions.subscriptions AS t ORDER BY t.id::text COLLATE "C"`,
	columns: subscriptionColumns,
	watched: []string{"plan_id", "status", "cancel_at_period_end", "current_period_end", "surplus", "revision"},
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.here(t, in, "user_id") {
			return nil
		}
		out := in.row.only(append([]string{"id"}, subscriptionColumns...)...)
		out["cancel_at_period_end"] = in.row.is("cancel_at_period_end")
		if in.row.is("surplus") {
			t.mend(in.id, fmt.Sprintf("status: %s beside an older subscription of user %s, and was marked as surplus", in.row.text("status"), in.row.text("user_id")))
		}
		return []row{out}
	},
}

var subscriptionColumns = []string{
	"user_id", "plan_id", "stripe_subscription_id", "stripe_customer_id", "stripe_price_id", "status", "billing_interval", "current_period_start",
	"current_period_end", "cancel_at_period_end", "canceled_at", "ended_at", "trial_start", "trial_end", "metadata", "created_at", "surplus",
}

var invoices = table{
	name: "subscriptions.invoices", key: "id", from: "subscriptions.invoices", fromKey: "id",
	columns: invoiceColumns,
	watched: []string{"status", "amount_paid_euro_cents", "paid_at", "reversed_euro_cents", "revision"},
	make: func(r *run, t *tally, in sourceRow) []row {
		if !r.here(t, in, "user_id") {
			return nil
		}
		out := in.row.only(append([]string{"id"}, invoiceColumns...)...)
		if in.row.text("currency") == "" {
			out["currency"] = "eur"
		}
		return []row{out}
	},
}

var invoiceColumns = []string{
	"user_id", "subscription_id", "stripe_invoice_id", "stripe_customer_id", "number", "status", "amount_due_euro_cents", "amount_paid_euro_cents",
	"currency", "hosted_invoice_url", "invoice_pdf_url", "period_start", "period_end", "due_date", "paid_at", "metadata", "created_at",
}
