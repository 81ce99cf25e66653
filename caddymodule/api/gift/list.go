package gift

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

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
	ExpiresAt         *endpoint.Time    `json:"expiresAt,omitempty"`
	CreatedAt         endpoint.Time     `json:"createdAt"`
}

func createdGifts(ctx context.Context, c *endpoint.Call, gifts *gift.Service, _ endpoint.None) ([]createdGift, error) {
	found, err := gifts.Created(ctx, c.Payer())
	if err != nil {
		return nil, err
	}
	list := make([]createdGift, len(found))
	for i, g := range found {
		list[i] = createdGift{
			ID: g.ID, Code: g.Code, URL: gifts.URL(g.Code), Type: g.Type, Status: g.Status,
			TotalCredits: g.TotalCredits, CreditsPerPortion: g.CreditsPerPortion, TotalPortions: g.TotalPortions,
			ClaimedPortions: g.ClaimedPortions, Message: g.Message, ExpiresAt: endpoint.TimeOf(g.ExpiresAt), CreatedAt: endpoint.Time(g.CreatedAt),
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
	RedeemedAt  endpoint.Time     `json:"redeemedAt"`
}

func receivedGifts(ctx context.Context, c *endpoint.Call, gifts *gift.Service, _ endpoint.None) ([]receivedGift, error) {
	found, err := gifts.Received(ctx, c.Payer())
	if err != nil {
		return nil, err
	}
	list := make([]receivedGift, len(found))
	for i, p := range found {
		list[i] = receivedGift{
			ID: p.ID, Code: p.Code, Credits: p.Credits, Message: p.Message, CreatorName: p.CreatorName, RedeemedAt: endpoint.Time(p.RedeemedAt),
		}
	}
	return list, nil
}
