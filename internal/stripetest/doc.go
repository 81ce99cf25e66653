// Package stripetest is a Stripe for tests and for `mana-edge dev`: an HTTP server in this process
// that keeps customers, payments, subscriptions and invoices, answers
// stripe-go's own client as Stripe does, and makes the events Stripe would
// send. It is internal because it fits no one else: the mock that Stripe
// publishes checks the shape of a request and forgets it, so a test against
// it can neither pay nor be told of it, and this one knows only the calls that
// the credits of this module make.
//
// It speaks the API version of the stripe-go module in go.mod. What it does
// not know it refuses loudly: an unknown path is 404, an unknown parameter 400
// "parameter_unknown", a field that cannot be expanded 400.
//
//	srv := stripetest.New(t)
//	service := billing.New(billing.Config{SecretKey: srv.Key, APIURL: srv.URL,
//		WebhookSecrets: []string{srv.WebhookSecret}}, billing.Deps{Now: srv.Now})
//	events := srv.Pay(sessionID)            // what the customer did
//	err := srv.Deliver(func(body []byte, signature string) error {
//		return service.Webhook(ctx, body, signature)
//	}, events...)                           // what Stripe then sends
//
// # The API
//
//	POST GET    /v1/customers            GET POST DELETE /v1/customers/{id}
//	POST GET    /v1/payment_intents      GET POST /v1/payment_intents/{id}   POST …/confirm   POST …/cancel
//	GET         /v1/payment_methods/{id} POST …/detach                       GET /v1/setup_intents/{id}
//	POST GET    /v1/checkout/sessions    GET /v1/checkout/sessions/{id}      POST …/expire   GET …/line_items
//	GET         /v1/charges              GET /v1/charges/{id}
//	POST GET    /v1/refunds              GET /v1/refunds/{id}
//	GET         /v1/disputes             GET /v1/disputes/{id}
//	POST GET    /v1/products, /v1/prices GET POST …/{id}
//	GET         /v1/subscriptions        GET POST DELETE /v1/subscriptions/{id}
//	GET         /v1/invoices             GET /v1/invoices/{id}               GET …/lines
//	GET         /v1/invoice_payments     GET /v1/invoice_payments/{id}
//	POST        /v1/billing_portal/sessions
//	GET         /v1/events               GET /v1/events/{id}
//
// Objects refer to each other by id and are filled in on expand[]. Lists take
// limit, starting_after, ending_before, created and the filters of their kind.
// An Idempotency-Key replays its first answer for 24 hours of the server's
// clock; with other parameters, or at another endpoint, it is 400
// idempotency_error. Refusals of status 400 and 404 leave no key behind. Calls
// are carried out one after the other: two at once under one key give one
// answer twice, where Stripe may also refuse the second with 409.
//
// # The verbs
//
// A verb does what happens at Stripe without a call of ours, and returns the
// events it caused, oldest first. An id may name any object that leads to the
// payment: Pay takes a payment intent, a checkout session or an invoice;
// Refund and Dispute a charge, a payment intent, a session or an invoice. An
// amount of 0 means all of it. A verb that Stripe could not carry out, such as
// paying twice, fails the test.
//
//	Pay FailCard PayAsync AsyncSucceed AsyncFail ExpireSession
//	CardIs Challenge Authenticate FailAuthentication
//	Refund FailRefund Dispute Inquire AnswerDispute WinDispute LoseDispute CloseInquiry
//	AddPrice Subscribe RenewSubscription FailRenewal ChangePlan EndSubscription SetSubscriptionStatus
//	DraftInvoice AddInvoiceItem FinalizeInvoice VoidInvoice
//	Set SetAmountReceived SetCurrency Decline Emit
//
// No event is delivered by itself. [Server.Payload] and [Server.SignedAt] sign
// one, so that a test delivers it late, twice, in another order or never.
//
// The clock stands still at the second the server was made and moves with
// [Server.Advance] and with the verbs that wait for a period to end. Ids are
// counted, so that a run gives the same ones again. [Server.Live] lets the clock
// go, and [Server.Age] lets time pass for what there is.
//
// It is larger than others because its objects, customers to disputes, point at
// each other under one lock and one clock.
package stripetest
