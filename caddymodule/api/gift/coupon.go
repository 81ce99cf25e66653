package gift

import (
	"context"
	"errors"
	"net/http"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/coupon"
)

// couponRoute is that by which coupons are redeemed.
func (d Deps) couponRoute() endpoint.Route {
	return endpoint.Post("/api/v1/credits/coupons/redeem", endpoint.HandleWith(d.Coupons, redeemCoupon), endpoint.Rule{
		Summary: "Redeem a coupon: its credits are given once a person", Access: endpoint.User, Limit: endpoint.PerMinute(60), Mappings: couponMappings,
		Errors: couponErrors(),
	})
}

// couponMappings word what a redeemer may be told.
var couponMappings = []endpoint.Mapping{
	{Err: coupon.Unknown, Answer: refused(http.StatusNotFound, "COUPON_UNKNOWN", coupon.Unknown)},
	{Err: coupon.NotStarted, Answer: refused(http.StatusConflict, "COUPON_NOT_STARTED", coupon.NotStarted)},
	{Err: coupon.Ended, Answer: refused(http.StatusConflict, "COUPON_ENDED", coupon.Ended)},
	{Err: coupon.Used, Answer: refused(http.StatusConflict, "COUPON_USED", coupon.Used)},
	{Err: coupon.Depleted, Answer: refused(http.StatusConflict, "COUPON_LIMIT", coupon.Depleted)},
	{Err: coupon.DomainLimit, Answer: refused(http.StatusConflict, "COUPON_DOMAIN_LIMIT", coupon.DomainLimit)},
	{Err: coupon.OtherDomain, Answer: refused(http.StatusForbidden, "COUPON_OTHER_DOMAIN", coupon.OtherDomain)},
	{Err: coupon.NotNew, Answer: refused(http.StatusForbidden, "COUPON_NEW_ACCOUNTS", coupon.NotNew)},
	{Err: coupon.Unverified, Answer: refused(http.StatusForbidden, "COUPON_UNVERIFIED", coupon.Unverified)},
}

func refused(status int, code string, r coupon.Refusal) *endpoint.Error {
	return &endpoint.Error{Status: status, Code: code, Message: r.Error()}
}

// couponErrors are the answers to who redeems a coupon in vain.
func couponErrors() []*endpoint.Error {
	list := endpoint.AnswersTo(creditcore.ErrAccountNotFound, creditcore.ErrKeyReused)
	for _, m := range couponMappings {
		list = append(list, m.Answer)
	}
	return list
}

type redeemCouponRequest struct {
	Code           string  `json:"code" rule:"string,notempty,max=64" doc:"The code, in any case; hyphens and blanks in it do not matter."`
	IdempotencyKey *string `json:"idempotencyKey" rule:"optional,key"`
}

type redeemCouponResponse struct {
	CouponID      string            `json:"couponId"`
	Name          string            `json:"name" doc:"What the coupon is called."`
	Credits       creditcore.Amount `json:"credits"`
	NewBalance    creditcore.Amount `json:"newBalance"`
	TransactionID string            `json:"transactionId"`
	ExpiresAt     *endpoint.Time    `json:"expiresAt" doc:"When the credits end; null for never."`
}

func redeemCoupon(ctx context.Context, c *endpoint.Call, coupons *coupon.Service, req redeemCouponRequest) (redeemCouponResponse, error) {
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return redeemCouponResponse{}, err
	}
	r, err := couponFor(ctx, c, coupons, req.Code, key)
	if err != nil {
		return redeemCouponResponse{}, err
	}
	if r.Replayed {
		c.Replayed()
	}
	return redeemCouponResponse{
		CouponID: r.CouponID, Name: r.Name, Credits: r.Credits, NewBalance: r.Balance, TransactionID: r.TransactionID, ExpiresAt: endpoint.TimeOf(r.ExpiresAt),
	}, nil
}

// couponFor redeems a coupon for the caller, and records that among the events of
// their account. The code that does not exist counts as a guess, as that of a gift
// does.
func couponFor(ctx context.Context, c *endpoint.Call, coupons *coupon.Service, code, key string) (coupon.Redemption, error) {
	guesses := guessesOf(c, false)
	if err := guesses.allowed(ctx); err != nil {
		return coupon.Redemption{}, err
	}
	r, err := coupons.Redeem(ctx, coupon.Claim{UserID: c.UserID, Code: code, Key: key,
		Record: audit.Event{Type: "coupon_redeemed", UserID: c.UserID, Client: c.Client}.Recorder()})
	if !errors.Is(err, coupon.Unknown) {
		guesses.known(ctx)
	}
	return r, err
}
