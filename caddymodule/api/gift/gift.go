// Package gift has the routes of codes that carry credits. Of gifts: what their
// creators, their redeemers and those who ask about them may do, the page that a
// gift's link leads to, and that of the gifts of an account. Of coupons: how they
// are redeemed, by a route and on that page.
package gift

import (
	"context"
	"net/http"
	"slices"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/abuse"
	"mana.how/edge/creditcore/coupon"
	"mana.how/edge/creditcore/gift"
)

// Deps is what the routes work with.
type Deps struct {
	// Gifts finds the live core.
	Gifts func(context.Context) (*gift.Service, error)
	// Coupons finds the live core of coupons.
	Coupons func(context.Context) (*coupon.Service, error)
	// Abuse finds who holds gifting.
	Abuse func(context.Context) (*abuse.Service, error)
	// RegistrationClosed says that nobody can make an account, which the page
	// of a gift says.
	RegistrationClosed bool
	// Ledger finds the live ledger, which says what a giver has.
	Ledger func(context.Context) (*creditcore.Service, error)
}

// Routes are those of gift codes. Their limits by address are wide, since
// a bot asks for all its users; guesses have a narrow one of their own.
func Routes(deps Deps) []endpoint.Route {
	const v1 = "/api/v1/gifts"
	return []endpoint.Route{
		deps.couponRoute(),
		endpoint.Post(v1, endpoint.HandleWith(deps.Gifts, createGift), endpoint.Rule{Summary: "Make a gift code out of the caller's credits",
			Status: http.StatusCreated, Access: endpoint.User, Charges: true, Limit: endpoint.PerMinute(600), Mappings: mappings}),
		endpoint.Get(v1+"/me/created", endpoint.HandleWith(deps.Gifts, createdGifts), endpoint.Rule{Summary: "The caller's gifts, newest first", Access: endpoint.User}),
		endpoint.Get(v1+"/me/received", endpoint.HandleWith(deps.Gifts, receivedGifts), endpoint.Rule{Summary: "What the caller redeemed, newest first", Access: endpoint.User}),
		endpoint.Get(v1+"/{gift}", endpoint.HandleWith(deps.Gifts, giftInfo), endpoint.Rule{Summary: "What a gift code holds",
			Access: endpoint.Anyone, Limit: endpoint.PerMinute(600), Mappings: mappings}),
		endpoint.Post(v1+"/{gift}/redeem", endpoint.HandleWith(deps.Gifts, redeemGift), endpoint.Rule{Summary: "Redeem a gift code; a refusal is an answer, too",
			Access: endpoint.UserOrService, ServiceScope: servicekey.RedeemGifts, Limit: endpoint.PerMinute(600), Mappings: mappings,
			Headers: []endpoint.HeaderParam{{Name: matrixHeader, Text: "The Matrix user for whom a back end redeems"}},
			Errors:  []*endpoint.Error{endpoint.ErrServiceApp}}),
		endpoint.Delete(v1+"/{gift}", endpoint.HandleWith(deps.Gifts, cancelGift), endpoint.Rule{Summary: "Cancel a gift and take back what nobody has claimed",
			Access: endpoint.User, Mappings: mappings}),
		endpoint.Post("/api/v1/internal/gifts/redeem-pending", endpoint.HandleWith(deps.Gifts, redeemPending), endpoint.Rule{
			Summary: "Redeem for a user what waits for their address", Access: endpoint.Service, ServiceScope: servicekey.RedeemGifts}),
		endpoint.Get("/g/{gift}", endpoint.HandleWith(deps.Gifts, deps.giftPage), endpoint.Rule{Summary: "Where the link of a gift leads",
			Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.PerMinute(600), Mappings: mappings[:1]}),
		endpoint.Post("/g/{gift}", endpoint.HandleWith(deps.Gifts, deps.giftForm), endpoint.Rule{Summary: "Redeem a gift by its page",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(60), Mappings: mappings, Errors: append(refusalErrors(), endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrKeyReused)...)}),
		endpoint.Get(accountPath, endpoint.HandleWith(deps.Gifts, deps.accountPage), endpoint.Rule{Summary: "The signed-in user's gifts",
			Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: endpoint.AnswersTo(creditcore.ErrAccountNotFound)}),
		endpoint.Post(accountPath, endpoint.HandleWith(deps.Gifts, deps.accountForm), endpoint.Rule{Summary: "Make, redeem or cancel a gift, or redeem a coupon",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Charges: true, Limit: endpoint.PerMinute(60), Mappings: slices.Concat(mappings, couponMappings), Errors: slices.Concat(refusalErrors(), couponErrors(), []*endpoint.Error{errUnknownAction})}),
	}
}

// mappings word what gifts refuse.
var mappings = []endpoint.Mapping{
	{Err: gift.ErrNotFound, Answer: &endpoint.Error{Status: 404, Code: "GIFT_NOT_FOUND", Message: "Gift code not found"}},
	{Err: gift.ErrNotActive, Answer: &endpoint.Error{Status: 400, Code: "GIFT_NOT_ACTIVE", Message: "Gift code cannot be cancelled in current status"}},
	{Err: gift.ErrExpiry, Answer: &endpoint.Error{Status: 400, Code: "GIFT_EXPIRY", Message: "Expiration date must be in the future"}},
	{Err: gift.ErrPortion, Answer: &endpoint.Error{Status: 400, Code: "GIFT_PORTION", Message: "Each portion must have at least 1 credit"}},
	{Err: gift.ErrRiddle, Answer: &endpoint.Error{Status: 400, Code: "GIFT_RIDDLE", Message: "Riddle type requires both question and answer"}},
	{Err: gift.ErrHeld, Answer: &endpoint.Error{Status: 403, Code: "GIFTING_HELD", Message: "Gifting is paused for this account. Please contact support"}},
	{Err: gift.ErrBusy, Answer: &endpoint.Error{Status: 503, Code: "BUSY", Message: "The server is busy, please retry", RetryAfter: hashRetry}},
}
