package billing

import (
	"context"
	"mime"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore/billing"
)

// webhookRoutes take Stripe's events, also under the path that guides to the
// replaced service name. There is no limit: Stripe sends bursts, and what is
// not signed costs next to nothing.
func webhookRoutes(core func(context.Context) (*billing.Service, error)) []endpoint.Route {
	var table []endpoint.Route
	for _, prefix := range []string{"/api/v1", ""} {
		table = append(table, endpoint.Post(prefix+"/webhooks/stripe", endpoint.HandleWith(core, stripeWebhook), endpoint.Rule{
			Summary: "Events of Stripe, signed", Status: 200, Access: endpoint.Anyone, Body: endpoint.Raw, Mappings: webhookMappings,
			Errors:  []*endpoint.Error{errNoRawBody, errNoSignature},
			Headers: []endpoint.HeaderParam{{Name: "Stripe-Signature", Text: "Stripe's signature of the body", Required: true}}}))
	}
	return table
}

var webhookMappings = []endpoint.Mapping{
	{Err: billing.ErrSignature, Answer: &endpoint.Error{Status: 400, Code: "INVALID_SIGNATURE", Message: "Invalid webhook signature"}},
	{Err: billing.ErrLivemode, Answer: &endpoint.Error{Status: 400, Code: "WRONG_LIVEMODE", Message: "Webhook event of the wrong mode"}},
}

var (
	errNoRawBody   = &endpoint.Error{Status: 400, Code: "MISSING_BODY", Message: "Missing raw body"}
	errNoSignature = &endpoint.Error{Status: 400, Code: "MISSING_SIGNATURE", Message: "Missing stripe-signature header"}
)

type webhookResponse struct {
	Received bool `json:"received"`
}

// stripeWebhook checks the body first, then the header, then the signature.
func stripeWebhook(ctx context.Context, c *endpoint.Call, payments *billing.Service, _ endpoint.None) (webhookResponse, error) {
	contentType, _, _ := mime.ParseMediaType(c.Request.Header.Get("Content-Type"))
	if len(c.Raw) == 0 || contentType != "application/json" {
		return webhookResponse{}, errNoRawBody
	}
	signatures := c.Request.Header["Stripe-Signature"]
	if len(signatures) != 1 || signatures[0] == "" {
		return webhookResponse{}, errNoSignature
	}
	if err := payments.Webhook(ctx, c.Raw, signatures[0]); err != nil {
		return webhookResponse{}, err
	}
	return webhookResponse{Received: true}, nil
}
