// Package billing has the routes of what is paid for with money: packages of
// credits, subscriptions, invoices, and the events by which Stripe reports what
// became of a payment.
//
// It is larger than others because each of these has routes for apps and pages for people,
// which refuse alike and lead to the same pages of Stripe.
package billing

import (
	"context"
	"net/http"
	"slices"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/billing"
	subscribing "mana.how/edge/creditcore/billing/subscription"
)

// Routes are those of packages and purchases, of Stripe's events, of plans,
// subscriptions and invoices, of the automatic top-up, and of the pages for them. Both find a live core.
func Routes(core func(context.Context) (*billing.Service, error), ledger func(context.Context) (*creditcore.Service, error)) []endpoint.Route {
	return slices.Concat(purchaseRoutes(core), webhookRoutes(core), subscriptionRoutes(core), topUpRoutes(core), pageRoutes(core, ledger), topUpPageRoutes(core))
}

// roles are what those are told who ask for an organisation.
var roles = []*endpoint.Error{endpoint.ErrOrganizationNotFound, endpoint.ErrOrganizationRole}

func purchaseRoutes(core func(context.Context) (*billing.Service, error)) []endpoint.Route {
	const v1 = "/api/v1/credits"
	return []endpoint.Route{
		endpoint.Get(v1+"/packages", endpoint.HandleWith(core, packages), endpoint.Rule{Summary: "What is for sale", Access: endpoint.Anyone}),
		endpoint.Get(v1+"/purchases", endpoint.HandleWith(core, purchases), endpoint.Rule{Summary: "The purchases of the caller or an organization, newest first", Access: endpoint.User, Errors: roles}),
		endpoint.Get(v1+"/purchase/{purchaseId}", endpoint.HandleWith(core, purchase), endpoint.Rule{Summary: "One of the caller's purchases",
			Access: endpoint.User, Mappings: purchaseMappings}),
		endpoint.Post(v1+"/purchase", endpoint.HandleWith(core, buy), endpoint.Rule{Summary: "Begin a purchase that the client pays for",
			Status: http.StatusCreated, Access: endpoint.User, Limit: endpoint.PerMinute(600), Mappings: purchaseMappings,
			Errors: append([]*endpoint.Error{tooManyOpen(time.Hour)}, roles...)}),
		endpoint.Post(v1+"/payment-link", endpoint.HandleWith(core, paymentLink), endpoint.Rule{Summary: "Begin a purchase on a page of Stripe",
			Status: http.StatusCreated, Access: endpoint.User, Limit: endpoint.PerMinute(600), Mappings: purchaseMappings,
			Errors: append([]*endpoint.Error{tooManyOpen(time.Hour)}, roles...)}),
	}
}

func subscriptionRoutes(core func(context.Context) (*billing.Service, error)) []endpoint.Route {
	const v1 = "/api/v1/subscriptions"
	stripe := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Status: http.StatusCreated, Access: endpoint.User, Limit: endpoint.PerMinute(600), Mappings: subscriptionMappings, Errors: roles}
	}
	seats := func(summary string) endpoint.Rule {
		rule := stripe(summary)
		rule.Errors = append([]*endpoint.Error{seatsTaken((&subscribing.SeatsTakenError{Members: 5}).Error())}, roles...)
		return rule
	}
	return []endpoint.Route{
		endpoint.Get(v1+"/plans", endpoint.HandleWith(core, plans), endpoint.Rule{Summary: "What can be subscribed to", Access: endpoint.Anyone}),
		endpoint.Get(v1+"/plans/{planId}", endpoint.HandleWith(core, planByID), endpoint.Rule{Summary: "One plan", Access: endpoint.Anyone, Mappings: subscriptionMappings}),
		endpoint.Get(v1+"/current", endpoint.HandleWith(core, currentSubscription), endpoint.Rule{Summary: "The plan and subscription of the caller or an organization", Access: endpoint.User, Errors: roles}),
		endpoint.Get(v1+"/invoices", endpoint.HandleWith(core, invoices), endpoint.Rule{Summary: "The invoices of the caller or an organization, newest first", Access: endpoint.User, Errors: roles}),
		endpoint.Post(v1+"/checkout", endpoint.HandleWith(core, checkout), seats("Begin a subscription on a page of Stripe")),
		endpoint.Post(v1+"/seats", endpoint.HandleWith(core, changeSeats), seats("Change how many seats an organization pays for")),
		endpoint.Post(v1+"/portal", endpoint.HandleWith(core, portal), stripe("Open Stripe's billing portal")),
		endpoint.Post(v1+"/cancel", endpoint.HandleWith(core, cancelSubscription), stripe("End the subscription with its period")),
		endpoint.Post(v1+"/reactivate", endpoint.HandleWith(core, reactivateSubscription), stripe("Take back a cancellation")),
	}
}
