package stripetest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"mana.how/edge/internal/stripetest"
)

func TestPayloadConstructsAnEvent(t *testing.T) {
	t.Parallel()
	a := open(t)
	for _, made := range a.Pay(a.session(500)) {
		body, signature := a.Payload(made)
		got := must(webhook.ConstructEvent(body, signature, a.WebhookSecret))(t)
		same(t, "event", []any{made.ID, made.Type, made.Created.Unix(), stripe.APIVersion, false},
			[]any{got.ID, string(got.Type), got.Created, got.APIVersion, got.Livemode})
		kind, _ := got.Data.Object["object"].(string)
		same(t, "object", any(stripetest.Events{made}.Object(kind)), got.Data.Object["id"])
	}
}

func TestSignedAt(t *testing.T) {
	t.Parallel()
	a := open(t)
	event := a.Events()[0]
	check := func(at time.Time, secrets ...string) error {
		body, signature := a.SignedAt(event, at, secrets...)
		_, err := webhook.ConstructEvent(body, signature, "whsec_new")
		return err
	}
	now := a.Now()
	for _, test := range []struct {
		name string
		got  error
		want error
	}{
		{"right", check(now, "whsec_new"), nil},
		{"rotated", check(now, "whsec_old", "whsec_new"), nil},
		{"wrong", check(now, "whsec_old"), webhook.ErrNoValidSignature},
		{"none", check(now), webhook.ErrNoValidSignature},
		{"old", check(now.Add(-10*time.Minute), "whsec_new"), webhook.ErrTooOld},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
}

func TestEventsKeepTheirSnapshot(t *testing.T) {
	t.Parallel()
	a := open(t)
	intent := a.intent(500)
	events := append(a.Pay(intent), a.Refund(intent, 200)...)
	charged := events.Of("charge.succeeded")[0]
	var delivered []string
	fault := errors.New("down")
	events[0].Livemode = true
	slices.Reverse(events)
	err := a.Deliver(func(body []byte, signature string) error {
		event := must(webhook.ConstructEvent(body, signature, a.WebhookSecret))(t)
		delivered = append(delivered, string(event.Type))
		if event.ID == charged.ID {
			same(t, "refunded in the snapshot", any(float64(0)), event.Data.Object["amount_refunded"])
			same(t, "livemode", true, event.Livemode)
			return fault
		}
		return nil
	}, events...)
	if !errors.Is(err, fault) {
		t.Errorf("Deliver: %v", err)
	}
	same(t, "order", []string{"charge.refunded", "refund.created", "payment_intent.succeeded", "charge.succeeded"}, delivered)
	same(t, "types", []string{"charge.succeeded", "payment_intent.succeeded"}, a.Events().Of("charge.succeeded", "payment_intent.succeeded").Types())
}

func TestEventsAreListed(t *testing.T) {
	t.Parallel()
	a := open(t)
	intent := a.intent(500)
	a.Advance(time.Hour)
	a.Pay(intent)
	e := a.Emit("mandate.updated", intent)
	got := must(a.client.V1Events.Retrieve(a.ctx, e.ID, nil))(t)
	same(t, "emitted", []any{stripe.EventType("mandate.updated"), any(intent)}, []any{got.Type, got.Data.Object["id"]})
	list := func(params *stripe.EventListParams) []string {
		var types []string
		for _, event := range all(t, a.client.V1Events.List(a.ctx, params).All(a.ctx)) {
			types = append(types, string(event.Type))
		}
		return types
	}
	same(t, "all", []string{"mandate.updated", "payment_intent.succeeded", "charge.succeeded", "payment_intent.created", "customer.created"},
		list(&stripe.EventListParams{}))
	same(t, "of a group", []string{"payment_intent.succeeded", "payment_intent.created"}, list(&stripe.EventListParams{Type: stripe.String("payment_intent.*")}))
	same(t, "of types", []string{"charge.succeeded", "customer.created"},
		list(&stripe.EventListParams{Types: stripe.StringSlice([]string{"charge.succeeded", "customer.created"})}))
	same(t, "of the last hour", []string{"mandate.updated", "payment_intent.succeeded", "charge.succeeded"},
		list(&stripe.EventListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: a.Now().Unix()}}))
	made := must(a.client.V1Events.Retrieve(a.ctx, a.Events()[0].ID, nil))(t)
	if made.Request == nil || made.Request.ID == "" || made.Request.IdempotencyKey == "" {
		t.Errorf("request of an event that a call caused: %+v", made.Request)
	}
}
