package doctor

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	stripeapi "github.com/stripe/stripe-go/v85"

	"mana.how/edge/caddymodule/config"
	"mana.how/edge/creditcore/billing"
)

// webhookPath is where Stripe's events go.
const webhookPath = "/api/v1/webhooks/stripe"

// payments examines the account at Stripe and its webhook endpoint.
func (d *doctor) payments(s config.Settings) {
	if !s.Stripe.SecretKey.IsSet() {
		d.ok("stripe", "not configured: credits cannot be bought")
		return
	}
	endpoints, err := d.webhookEndpoints(s.Stripe)
	var refused *stripeapi.Error
	switch {
	case err == nil:
		mode := "test"
		if s.Stripe.Live() {
			mode = "live"
		}
		d.ok("stripe", "answers; the key is one of %s mode", mode)
	case errors.As(err, &refused) && refused.HTTPStatusCode == http.StatusUnauthorized:
		d.fail("stripe", "refuses secret_key; copy it again from the dashboard")
		return
	case errors.As(err, &refused) && refused.HTTPStatusCode == http.StatusForbidden:
		d.warn("stripe", "secret_key is a restricted one that may not read webhook endpoints, so they are not checked")
	default:
		d.fail("stripe", "does not answer: %s", stripeFault(err))
		return
	}
	if len(s.Stripe.WebhookSecrets) == 0 {
		d.fail("stripe webhook", "webhook_secret is missing: no payment is ever credited")
		return
	}
	if err == nil {
		d.webhook(s, endpoints)
	}
}

// stripeFault is an error of Stripe's without the request it was an answer to.
func stripeFault(err error) string {
	var refused *stripeapi.Error
	if errors.As(err, &refused) {
		return refused.Msg
	}
	return err.Error()
}

func (d *doctor) webhookEndpoints(s config.Stripe) ([]*stripeapi.WebhookEndpoint, error) {
	ctx, cancel := context.WithTimeout(d.Ctx, examineLimit)
	defer cancel()
	config := &stripeapi.BackendConfig{
		EnableTelemetry: stripeapi.Bool(false), MaxNetworkRetries: stripeapi.Int64(1),
		HTTPClient:    &http.Client{Timeout: networkWait},
		LeveledLogger: &stripeapi.LeveledLogger{Level: stripeapi.LevelNull},
	}
	if s.APIURL != "" {
		config.URL = stripeapi.String(s.APIURL)
	}
	client := stripeapi.NewClient(s.SecretKey.Reveal(), stripeapi.WithBackends(stripeapi.NewBackendsWithConfig(config)))
	var found []*stripeapi.WebhookEndpoint
	for endpoint, err := range client.V1WebhookEndpoints.List(ctx, &stripeapi.WebhookEndpointListParams{}).All(ctx) {
		if err != nil {
			return nil, err
		}
		found = append(found, endpoint)
	}
	return found, nil
}

// webhook looks for the endpoint that leads here and what it is told of.
func (d *doctor) webhook(s config.Settings, endpoints []*stripeapi.WebhookEndpoint) {
	const check = "stripe webhook"
	here := s.BaseURL.String() + webhookPath
	i := slices.IndexFunc(endpoints, func(e *stripeapi.WebhookEndpoint) bool {
		return strings.TrimSuffix(e.URL, "/") == here
	})
	if i < 0 {
		d.warn(check, "no endpoint at Stripe leads to %s; add one, or see that its events get here another way", here)
		return
	}
	endpoint := endpoints[i]
	if endpoint.Status != "enabled" {
		d.fail(check, "the endpoint at Stripe is %s; enable it in the dashboard", endpoint.Status)
		return
	}
	var missing []string
	for _, event := range billing.EventTypes() {
		if !slices.Contains(endpoint.EnabledEvents, event) && !slices.Contains(endpoint.EnabledEvents, "*") {
			missing = append(missing, event)
		}
	}
	if len(missing) > 0 {
		d.warn(check, "the endpoint is not told of %s; add them in the dashboard", strings.Join(missing, ", "))
		return
	}
	d.ok(check, "events go to %s", here)
}
