package api

import (
	"context"
	"mime"

	"mana.how/edge/creditcore/billing"
)

// webhookRoutes take Stripe's events, also under the path that guides to the
// replaced service name. There is no limit: Stripe sends bursts, and what is
// not signed costs next to nothing.
func webhookRoutes() []*route {
	var table []*route
	for _, prefix := range []string{"/api/v1", ""} {
		table = append(table, post(prefix+"/webhooks/stripe", handle(stripeWebhook), rule{
			summary: "Events of Stripe, signed", status: 200, access: anyone, body: raw, faults: webhookFaults,
			refusals: []*problem{errNoRawBody, errNoSignature},
			headers:  []headerParam{{name: "Stripe-Signature", text: "Stripe's signature of the body", required: true}}}))
	}
	return table
}

var webhookFaults = []fault{
	{billing.ErrSignature, &problem{status: 400, code: "INVALID_SIGNATURE", text: "Invalid webhook signature"}},
	{billing.ErrLivemode, &problem{status: 400, code: "WRONG_LIVEMODE", text: "Webhook event of the wrong mode"}},
}

var (
	errNoRawBody   = &problem{status: 400, code: "MISSING_BODY", text: "Missing raw body"}
	errNoSignature = &problem{status: 400, code: "MISSING_SIGNATURE", text: "Missing stripe-signature header"}
)

type webhookResponse struct {
	Received bool `json:"received"`
}

// stripeWebhook checks in the order of the contract: body, header, signature.
func stripeWebhook(ctx context.Context, c *call, _ none) (webhookResponse, error) {
	contentType, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if len(c.raw) == 0 || contentType != "application/json" {
		return webhookResponse{}, errNoRawBody
	}
	signatures := c.r.Header["Stripe-Signature"]
	if len(signatures) != 1 || signatures[0] == "" {
		return webhookResponse{}, errNoSignature
	}
	if err := c.credits.Billing.Webhook(ctx, c.raw, signatures[0]); err != nil {
		return webhookResponse{}, err
	}
	return webhookResponse{Received: true}, nil
}
