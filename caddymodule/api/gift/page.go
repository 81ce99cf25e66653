package gift

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/creditcore/gift"
)

// giftPage shows a gift to people; an unknown code is a page of status 404.
func giftPage(registrationClosed bool) func(context.Context, *endpoint.Call, *gift.Service, giftInfoRequest) (endpoint.Answer, error) {
	return func(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req giftInfoRequest) (endpoint.Answer, error) {
		if _, err := sso.Caller(ctx, c); err != nil && !errors.Is(err, authcore.ErrNoSession) {
			return nil, err
		}
		g, err := lookup(ctx, c, gifts, req.Code, false)
		if errors.Is(err, gift.ErrNotFound) {
			return endpoint.HTML{Status: 404, View: pages.Gift{}}, nil
		}
		if err != nil {
			return nil, err
		}
		view := pages.Gift{
			Closed: registrationClosed,
			Code:   string(g.Code), Status: string(g.Status), Credits: g.CreditsPerPortion.String(),
			Portions: g.TotalPortions, Left: g.TotalPortions - g.ClaimedPortions,
			Creator: g.CreatorName, Message: endpoint.TextOf(g.Message), Personalized: g.Personalized,
		}
		if g.HasRiddle {
			view.Riddle = endpoint.TextOf(g.RiddleQuestion)
		}
		if g.ExpiresAt != nil {
			view.Expires = *g.ExpiresAt
		}
		return endpoint.HTML{Status: 200, View: view}, nil
	}
}
