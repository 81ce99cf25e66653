package desk

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/billing"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
	"mana.how/edge/internal/outbox"
	"mana.how/edge/internal/webhook"
)

// GrantFunc gives credits, and records in the same transaction who gave them.
type GrantFunc func(context.Context, principal.Operator, creditcore.Grant) (creditcore.Receipt, error)

// ForgiveFunc writes off what an account owes, and records in the same transaction
// who did it. It returns how much that was.
type ForgiveFunc func(context.Context, principal.Operator, creditcore.Forgiveness) (creditcore.Amount, error)

// PublishFunc publishes prices, and records in the same transaction who did it.
type PublishFunc func(context.Context, principal.Operator, creditcore.PriceDraft) (creditcore.PriceVersion, error)

// WithdrawFunc takes back a version of the prices, and records in the same transaction who did
// it.
type WithdrawFunc func(ctx context.Context, op principal.Operator, version int64) error

// Deps finds the live cores.
type Deps struct {
	// UserIDs are admins beside those who have the role.
	UserIDs []string
	// Data finds what is kept of a user.
	Data    kept.Deps
	Ledger  func(context.Context) (*creditcore.Service, error)
	Gifts   func(context.Context) (*gift.Service, error)
	Coupons func(context.Context) (*coupon.Service, error)
	Abuse   func(context.Context) (*abuse.Service, error)
	Billing func(context.Context) (*billing.Service, error)
	// Outbox is nil where there is none.
	Outbox func(context.Context) (*outbox.Box, error)
	Grant  func(context.Context) (GrantFunc, error)
	// Forgive is for debts what Grant is for credits.
	Forgive func(context.Context) (ForgiveFunc, error)
	// Publish and Withdraw are for prices what Grant is for credits.
	Publish  func(context.Context) (PublishFunc, error)
	Withdraw func(context.Context) (WithdrawFunc, error)
	// Pace is how fast this process was lately; nil where nobody measures.
	Pace func() Pace
	// Webhooks is nil where there are none.
	Webhooks func(context.Context) (*webhook.Service, error)
	// ReadPrices reads a table of prices as the block of a Caddyfile has it. PricesNamed are
	// the names of those that routes of this edge cost.
	ReadPrices  func(string) (creditcore.Prices, error)
	PricesNamed func() []string
	// Export is all that is kept of a user, as a file.
	Export func(context.Context, *endpoint.Call, authcore.AccountData) (endpoint.Download, error)
}

var (
	errNotAdmin      = &endpoint.Error{Status: http.StatusForbidden, Code: "ADMIN_REQUIRED", Message: "Admin access required"}
	errReadOnly      = &endpoint.Error{Status: http.StatusForbidden, Code: "READ_ONLY", Message: "The role support changes nothing"}
	errReason        = &endpoint.Error{Status: http.StatusBadRequest, Code: "REASON_REQUIRED", Message: "reason is required: 3 to 1000 characters"}
	errYourself      = &endpoint.Error{Status: http.StatusConflict, Code: "OWN_ACCOUNT", Message: "This is your own account"}
	errUnknownAction = &endpoint.Error{Status: http.StatusBadRequest, Code: "UNKNOWN_ACTION", Message: "Unknown action"}
	errConfirmation  = &endpoint.Error{Status: http.StatusBadRequest, Code: "DESK_NOT_CONFIRMED", Message: "The typed confirmation is not the address of the account"}
	errRole          = &endpoint.Error{Status: http.StatusBadRequest, Code: "UNKNOWN_ROLE", Message: "role must be user, support, admin or service"}
	errAmount        = &endpoint.Error{Status: http.StatusBadRequest, Code: "DESK_AMOUNT", Message: "amount must be a positive number with up to three decimals"}
	errExpires       = &endpoint.Error{Status: http.StatusBadRequest, Code: "DESK_EXPIRES", Message: "expires must be a day to come, such as 2027-01-31"}
	errNoMember      = &endpoint.Error{Status: http.StatusNotFound, Code: "ORGANIZATION_NOT_FOUND", Message: "Organization not found"}
	errNoKey         = &endpoint.Error{Status: http.StatusNotFound, Code: "API_KEY_NOT_FOUND", Message: "API key not found or revoked"}
	errNoSigningKey  = &endpoint.Error{Status: http.StatusNotFound, Code: "SIGNING_KEY_NOT_FOUND", Message: "Signing key not found"}
	errNoMail        = &endpoint.Error{Status: http.StatusNotFound, Code: "MESSAGE_NOT_FOUND", Message: "No such message that was given up"}
	errNoClient      = &endpoint.Error{Status: http.StatusNotFound, Code: "CLIENT_NOT_FOUND", Message: "Client not found"}
	errConfigured    = &endpoint.Error{Status: http.StatusConflict, Code: "CLIENT_CONFIGURED", Message: "The client stands in the configuration: change it there"}
	errNothingOwed   = &endpoint.Error{Status: http.StatusConflict, Code: "NOTHING_OWED", Message: "The account owes nothing"}
	errNoEndpoint    = &endpoint.Error{Status: http.StatusNotFound, Code: "WEBHOOK_NOT_FOUND", Message: "Webhook endpoint not found"}
	errNoDelivery    = &endpoint.Error{Status: http.StatusNotFound, Code: "DELIVERY_NOT_FOUND", Message: "No such delivery, or it waits already"}
	errEndpoint      = &endpoint.Error{Status: http.StatusBadRequest, Code: "WEBHOOK_INVALID", Message: "url must be one of https without a password, and types names of events"}
	errEndpointOff   = &endpoint.Error{Status: http.StatusConflict, Code: "WEBHOOK_DISABLED", Message: "The webhook endpoint is disabled"}
	errEndpoints     = &endpoint.Error{Status: http.StatusConflict, Code: "TOO_MANY_WEBHOOKS", Message: "There are 50 webhook endpoints already"}
	errNoCoupon      = &endpoint.Error{Status: http.StatusNotFound, Code: "COUPON_NOT_FOUND", Message: "Coupon not found"}
	errCouponEnded   = &endpoint.Error{Status: http.StatusConflict, Code: "COUPON_OVER", Message: "The coupon has ended already"}
	errCouponCode    = &endpoint.Error{Status: http.StatusConflict, Code: "COUPON_CODE_TAKEN", Message: "Another coupon has this code"}
	errHeldAlready   = &endpoint.Error{Status: http.StatusConflict, Code: "GIFTING_HELD_ALREADY", Message: "Gifting is held already"}
	errNotHeld       = &endpoint.Error{Status: http.StatusConflict, Code: "GIFTING_NOT_HELD", Message: "Gifting is not held"}
	errReplayed      = &endpoint.Error{Status: http.StatusConflict, Code: "GRANTED_BEFORE", Message: "This form has given the credits before"}
)

// mappings word what the cores refuse.
var mappings = []endpoint.Mapping{
	{Err: organization.ErrNotFound, Answer: errNoMember}, {Err: apikey.ErrNotFound, Answer: errNoKey},
	{Err: authcore.ErrKeyNotFound, Answer: errNoSigningKey}, {Err: outbox.ErrNotFound, Answer: errNoMail},
	{Err: webhook.ErrNotFound, Answer: errNoEndpoint}, {Err: webhook.ErrNoDelivery, Answer: errNoDelivery}, {Err: webhook.ErrInvalid, Answer: errEndpoint},
	{Err: webhook.ErrDisabled, Answer: errEndpointOff}, {Err: webhook.ErrTooMany, Answer: errEndpoints},
	{Err: creditcore.ErrPriceBookChanged, Answer: errPriceBook}, {Err: creditcore.ErrPricesPast, Answer: errEffective}, {Err: creditcore.ErrPriceVersionBound, Answer: errPriceBound},
	{Err: coupon.ErrNotFound, Answer: errNoCoupon}, {Err: coupon.ErrEnded, Answer: errCouponEnded}, {Err: coupon.ErrCodeTaken, Answer: errCouponCode},
	{Err: abuse.ErrHeld, Answer: errHeldAlready}, {Err: abuse.ErrNotHeld, Answer: errNotHeld},
	{Err: openid.ErrUnknownClient, Answer: errNoClient}, {Err: openid.ErrConfigured, Answer: errConfigured},
}

// Where the pages are.
const (
	overviewPath      = "/admin"
	usersPath         = "/admin/users"
	organizationsPath = "/admin/organizations"
	ledgerPath        = "/admin/ledger"
	giftsPath         = "/admin/gifts"
	couponsPath       = "/admin/coupons"
	abusePath         = "/admin/abuse"
	salesPath         = "/admin/sales"
	keysPath          = "/admin/api-keys"
	clientsPath       = "/admin/clients"
	alertsPath        = "/admin/alerts"
	eventsPath        = "/admin/events"
	outboxPath        = "/admin/outbox"
	webhooksPath      = "/admin/webhooks"
	signingPath       = "/admin/signing-keys"
	edgesPath         = "/admin/edges"
	searchPath        = "/admin/search"
)

// pageSize is how many rows a list has.
const pageSize = 25

// Routes are those of the desk.
func Routes(d Deps) []endpoint.Route {
	gone := endpoint.AnswerTo(authcore.ErrUserNotFound)
	show := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(300),
			Mappings: mappings, Errors: []*endpoint.Error{errNotAdmin, gone, errNoMember, errNoEndpoint}}
	}
	form := func(summary string, errs ...*endpoint.Error) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Mappings: mappings, Errors: append(errs, errNotAdmin, errReadOnly, errReason, errUnknownAction)}
	}
	user := form("Change an account, give it credits, take its data along or erase it",
		append(endpoint.AnswersTo(twofactor.ErrNotEnabled, authcore.ErrInvalidInput, creditcore.ErrInvalid, creditcore.ErrAmount),
			gone, errYourself, errConfirmation, errRole, errAmount, errExpires, errReplayed)...)
	user.Media = "application/json"
	return slices.Concat([]endpoint.Route{
		endpoint.Get(overviewPath, shownList(d, d.overview), show("The desk: how things stand")),
		endpoint.Get(usersPath, shownList(d, d.users), show("Accounts, by the beginnings of words")),
		endpoint.Get(usersPath+"/{id}", shownItem(d, d.user), show("An account")),
		endpoint.Post(usersPath+"/{id}", d.changes(d.user, d.changeUser), user),
		endpoint.Get(organizationsPath, shownList(d, d.organizations), show("Organizations")),
		endpoint.Get(organizationsPath+"/{id}", shownItem(d, d.organization), show("An organization with its members and invitations")),
		endpoint.Post(organizationsPath+"/{id}", d.changes(d.organization, d.changeOrganization), form("Delete an organization", errNoMember)),
		endpoint.Get(ledgerPath, shownList(d, d.ledgers), show("Accounts of the ledger that owe")),
		endpoint.Get(ledgerPath+"/{id}", shownItem(d, d.account), show("An account of the ledger, and its audit")),
		endpoint.Post(ledgerPath+"/{id}", d.changes(d.account, d.changeLedger), form("Write off what an account owes",
			append(endpoint.AnswersTo(authcore.ErrUserNotFound, creditcore.ErrInvalid), errAmount, errNothingOwed)...)),
		endpoint.Get(giftsPath, shownList(d, d.gifts), show("Gifts")),
		endpoint.Get(couponsPath, shownList(d, d.coupons), show("Coupons, and how often they were redeemed")),
		endpoint.Post(couponsPath, d.listChanges(d.coupons, d.changeCoupon), form("Make a coupon, or end one", errNoCoupon, errCouponEnded, errCouponCode)),
		endpoint.Get(abusePath, shownList(d, d.abuse), show("Accounts by their score of abuse, and whose gifting is held")),
		endpoint.Get(abusePath+"/{id}", shownItem(d, d.abuseOf), show("What the score of an account rests on")),
		endpoint.Post(abusePath+"/{id}", d.changes(d.abuseOf, d.changeGifting), form("Hold the gifting of an account, or release it", gone, errHeldAlready, errNotHeld)),
		endpoint.Get(salesPath, shownList(d, d.sales), show("Packages, plans, purchases and subscriptions")),
		endpoint.Get(keysPath, shownList(d, d.keys), show("API keys")),
		endpoint.Post(keysPath, d.listChanges(d.keys, d.changeKey), form("Revoke an API key", errNoKey)),
		endpoint.Get(clientsPath, shownList(d, d.clients), show("OpenID clients")),
		endpoint.Post(clientsPath, d.listChanges(d.clients, d.changeClient), form("Delete an OpenID client", errNoClient, errConfigured)),
		endpoint.Get(alertsPath, shownList(d, d.alerts), show("What the owners of accounts were told")),
		endpoint.Get(eventsPath, shownList(d, d.events), show("Security events")),
		endpoint.Get(outboxPath, shownList(d, d.outbox), show("What waits to be sent, and what was given up")),
		endpoint.Post(outboxPath, d.listChanges(d.outbox, d.changeOutbox), form("Try a message again", errNoMail)),
		endpoint.Get(webhooksPath, shownList(d, d.webhooks), show("Endpoints of webhooks")),
		endpoint.Post(webhooksPath, d.listChanges(d.webhooks, d.createWebhook), form("Make an endpoint of webhooks", errEndpoint, errEndpoints)),
		endpoint.Get(webhooksPath+"/{id}", shownItem(d, d.webhook), show("An endpoint of webhooks, and what it was told")),
		endpoint.Post(webhooksPath+"/{id}", d.changes(d.webhook, d.changeWebhook),
			form("Change an endpoint of webhooks, or tell it something again", errNoEndpoint, errNoDelivery, errEndpointOff)),
		endpoint.Get(signingPath, shownList(d, d.signingKeys), show("Signing keys")),
		endpoint.Post(signingPath, d.listChanges(d.signingKeys, d.changeSigningKey), form("Rotate or revoke signing keys", errNoSigningKey)),
		endpoint.Get(edgesPath, shownList(d, d.edges), show("Revocations and their lag, and the edges")),
		endpoint.Get(searchPath, shownList(d, d.search), show("What has an id, an address or a code")),
	}, d.bookRoutes(show), d.priceRoutes(show, form))
}

// mayChange and maySee say what a caller is to the desk.
func (d Deps) mayChange(c *endpoint.Call) bool {
	return c.Role == principal.RoleAdmin || slices.Contains(d.UserIDs, c.UserID)
}

func (d Deps) maySee(c *endpoint.Call) bool {
	return d.mayChange(c) || c.Role == principal.RoleSupport
}

// operator is who sits at the desk.
func operator(c *endpoint.Call, reason string) principal.Operator {
	return principal.Operator{Name: string(principal.RoleAdmin) + ":" + c.UserID, Reason: reason, UserID: c.UserID, Client: c.Client}
}

// isRecent reports whether the caller has shown lately who they are.
func isRecent(ctx context.Context, c *endpoint.Call) (bool, error) {
	err := c.Auth.RequireRecent(ctx, c.Caller)
	if errors.As(err, new(*authcore.ReauthenticationError)) {
		return false, nil
	}
	return err == nil, err
}
