package api

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

type giftInfoRequest struct {
	Code string `path:"gift" rule:"string" doc:"The code of the gift."`
}

// giftInfoResponse leaves out what there is none of, and who sent a gift for a
// specific person and what he wrote, for anybody but these two.
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
	ExpiresAt         *instant          `json:"expiresAt,omitempty"`
	CreatorName       string            `json:"creatorName,omitempty"`
}

// giftInfo needs no token; with one it tells the caller what is for him.
func giftInfo(ctx context.Context, c *call, req giftInfoRequest) (giftInfoResponse, error) {
	if _, ok := request.Bearer(c.r.Header); ok {
		if err := c.authenticate(); errors.Is(err, authcore.ErrUnavailable) {
			return giftInfoResponse{}, err
		}
	}
	trusted, err := c.trusted()
	if err != nil {
		return giftInfoResponse{}, err
	}
	g, err := c.lookup(ctx, req.Code, trusted)
	if err != nil {
		return giftInfoResponse{}, err
	}
	return giftInfoResponse{
		Code: g.Code, Type: g.Type, Status: g.Status, CreditsPerPortion: g.CreditsPerPortion,
		TotalPortions: g.TotalPortions, ClaimedPortions: g.ClaimedPortions, RemainingPortions: g.TotalPortions - g.ClaimedPortions,
		Message: g.Message, RiddleQuestion: g.RiddleQuestion, HasRiddle: g.HasRiddle, IsPersonalized: g.Personalized,
		ExpiresAt: instantOf(g.ExpiresAt), CreatorName: g.CreatorName,
	}, nil
}

// lookup finds a gift. The code that does not exist counts as a guess.
func (c *call) lookup(ctx context.Context, code string, trusted bool) (gift.Info, error) {
	guesses := c.guesses(trusted)
	if err := guesses.allowed(ctx); err != nil {
		return gift.Info{}, err
	}
	g, err := c.credits.Gifts.Lookup(ctx, c.payer(), code)
	if !errors.Is(err, gift.ErrNotFound) {
		guesses.known(ctx)
	}
	return g, err
}

// giftPage shows a gift to people; an unknown code is a page of status 404.
func giftPage(ctx context.Context, c *call, req giftInfoRequest) (answerer, error) {
	if _, err := c.pageCaller(ctx); err != nil && !errors.Is(err, authcore.ErrNoSession) {
		return nil, err
	}
	g, err := c.lookup(ctx, req.Code, false)
	if errors.Is(err, gift.ErrNotFound) {
		return html{status: 404, view: pages.Gift{}}, nil
	}
	if err != nil {
		return nil, err
	}
	view := pages.Gift{
		Closed: c.api.RegistrationClosed,
		Code:   string(g.Code), Status: string(g.Status), Credits: g.CreditsPerPortion.String(),
		Portions: g.TotalPortions, Left: g.TotalPortions - g.ClaimedPortions,
		Creator: g.CreatorName, Message: textOf(g.Message), Personalized: g.Personalized,
	}
	if g.HasRiddle {
		view.Riddle = textOf(g.RiddleQuestion)
	}
	if g.ExpiresAt != nil {
		view.Expires = *g.ExpiresAt
	}
	return html{status: 200, view: view}, nil
}

// createdGift is a gift in its creator's list.
type createdGift struct {
	ID                string            `json:"id"`
	Code              gift.Code         `json:"code"`
	URL               string            `json:"url"`
	Type              gift.Type         `json:"type"`
	Status            gift.Status       `json:"status"`
	TotalCredits      creditcore.Amount `json:"totalCredits"`
	CreditsPerPortion creditcore.Amount `json:"creditsPerPortion"`
	TotalPortions     int               `json:"totalPortions"`
	ClaimedPortions   int               `json:"claimedPortions"`
	Message           *string           `json:"message,omitempty"`
	ExpiresAt         *instant          `json:"expiresAt,omitempty"`
	CreatedAt         instant           `json:"createdAt"`
}

func createdGifts(ctx context.Context, c *call, _ none) ([]createdGift, error) {
	found, err := c.credits.Gifts.Created(ctx, c.payer())
	if err != nil {
		return nil, err
	}
	list := make([]createdGift, len(found))
	for i, g := range found {
		list[i] = createdGift{
			ID: g.ID, Code: g.Code, URL: c.credits.Gifts.URL(g.Code), Type: g.Type, Status: g.Status,
			TotalCredits: g.TotalCredits, CreditsPerPortion: g.CreditsPerPortion, TotalPortions: g.TotalPortions,
			ClaimedPortions: g.ClaimedPortions, Message: g.Message, ExpiresAt: instantOf(g.ExpiresAt), CreatedAt: instant(g.CreatedAt),
		}
	}
	return list, nil
}

// receivedGift is a redemption in its redeemer's list.
type receivedGift struct {
	ID          string            `json:"id"`
	Code        gift.Code         `json:"code"`
	Credits     creditcore.Amount `json:"credits"`
	Message     *string           `json:"message,omitempty"`
	CreatorName string            `json:"creatorName,omitempty"`
	RedeemedAt  instant           `json:"redeemedAt"`
}

func receivedGifts(ctx context.Context, c *call, _ none) ([]receivedGift, error) {
	found, err := c.credits.Gifts.Received(ctx, c.payer())
	if err != nil {
		return nil, err
	}
	list := make([]receivedGift, len(found))
	for i, p := range found {
		list[i] = receivedGift{
			ID: p.ID, Code: p.Code, Credits: p.Credits, Message: p.Message, CreatorName: p.CreatorName, RedeemedAt: instant(p.RedeemedAt),
		}
	}
	return list, nil
}
