package gift

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

type giftInfoRequest struct {
	Code string `path:"gift" rule:"string" doc:"The code of the gift."`
}

// giftInfoResponse leaves out what there is none of, and who sent a gift for a
// specific person and what they wrote, for anybody but these two.
type giftInfoResponse struct {
	Code              gift.Code         `json:"code"`
	Type              gift.Type         `json:"type"`
	Status            gift.Status       `json:"status"`
	CreditsPerPortion creditcore.Amount `json:"creditsPerPortion"`
	TotalPortions     int               `json:"totalPortions"`
	ClaimedPortions   int               `json:"claimedPortions"`
	RemainingPortions int               `json:"remainingPortions"`
	Message           *string           `json:"message,omitempty"`
	RiddleQuestion    *string           `json:"riddleQuestion,omitempty"`
	HasRiddle         bool              `json:"hasRiddle"`
	IsPersonalized    bool              `json:"isPersonalized"`
	ExpiresAt         *endpoint.Time    `json:"expiresAt,omitempty"`
	CreatorName       string            `json:"creatorName,omitempty"`
}

// giftInfo needs no token; with one it also shows what is meant for the caller.
func giftInfo(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req giftInfoRequest) (giftInfoResponse, error) {
	if _, ok := request.Bearer(c.Request.Header); ok {
		if err := c.Authenticate(); errors.Is(err, authcore.ErrUnavailable) {
			return giftInfoResponse{}, err
		}
	}
	byService, err := c.ByService(servicekey.RedeemGifts)
	if err != nil {
		return giftInfoResponse{}, err
	}
	g, err := lookup(ctx, c, gifts, req.Code, byService)
	if err != nil {
		return giftInfoResponse{}, err
	}
	return giftInfoResponse{
		Code: g.Code, Type: g.Type, Status: g.Status, CreditsPerPortion: g.CreditsPerPortion,
		TotalPortions: g.TotalPortions, ClaimedPortions: g.ClaimedPortions, RemainingPortions: g.TotalPortions - g.ClaimedPortions,
		Message: g.Message, RiddleQuestion: g.RiddleQuestion, HasRiddle: g.HasRiddle, IsPersonalized: g.Personalized,
		ExpiresAt: endpoint.TimeOf(g.ExpiresAt), CreatorName: g.CreatorName,
	}, nil
}

// lookup finds a gift. The code that does not exist counts as a guess.
func lookup(ctx context.Context, c *endpoint.Call, gifts *gift.Service, code string, byService bool) (gift.Info, error) {
	guesses := guessesOf(c, byService)
	if err := guesses.allowed(ctx); err != nil {
		return gift.Info{}, err
	}
	g, err := gifts.Lookup(ctx, c.Payer(), code)
	if !errors.Is(err, gift.ErrNotFound) {
		guesses.known(ctx)
	}
	return g, err
}
