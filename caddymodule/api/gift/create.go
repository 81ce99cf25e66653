package gift

import (
	"context"
	"errors"
	"fmt"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

type createGiftRequest struct {
	Credits        creditcore.Amount `json:"credits" rule:"maxcredits=10000,mincredits=1,number"`
	Type           *string           `json:"type" rule:"optional,oneof=simple|personalized|split|first_come|riddle"`
	Portions       *int              `json:"portions" rule:"optional,most=100,least=1"`
	TargetEmail    *string           `json:"targetEmail" rule:"optional,email"`
	TargetMatrixID *string           `json:"targetMatrixId" rule:"optional,max=255,string"`
	RiddleQuestion *string           `json:"riddleQuestion" rule:"optional,line,max=200,string"`
	RiddleAnswer   *string           `json:"riddleAnswer" rule:"optional,max=100,string"`
	Message        *string           `json:"message" rule:"optional,message,max=500,string"`
	ExpiresAt      *string           `json:"expiresAt" rule:"optional,date"`
	SourceAppID    *string           `json:"sourceAppId" rule:"optional,max=255,string"`
	IdempotencyKey *string           `json:"idempotencyKey" rule:"optional,key"`
}

type createGiftResponse struct {
	ID                string            `json:"id"`
	Code              gift.Code         `json:"code"`
	URL               string            `json:"url"`
	TotalCredits      creditcore.Amount `json:"totalCredits"`
	CreditsPerPortion creditcore.Amount `json:"creditsPerPortion"`
	TotalPortions     int               `json:"totalPortions"`
	Type              gift.Type         `json:"type"`
	ExpiresAt         *endpoint.Time    `json:"expiresAt"`
}

func createGift(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req createGiftRequest) (createGiftResponse, error) {
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return createGiftResponse{}, err
	}
	order := gift.Order{
		Credits: req.Credits, Type: gift.Type(endpoint.TextOf(req.Type)),
		TargetEmail: endpoint.TextOf(req.TargetEmail), TargetMatrixID: endpoint.TextOf(req.TargetMatrixID),
		RiddleQuestion: endpoint.TextOf(req.RiddleQuestion), RiddleAnswer: endpoint.TextOf(req.RiddleAnswer),
		Message: endpoint.TextOf(req.Message), SourceApp: endpoint.TextOf(req.SourceAppID), Key: key,
	}
	if req.Portions != nil {
		order.Portions = *req.Portions
	}
	if req.ExpiresAt != nil {
		at, ok := parseDate(*req.ExpiresAt)
		if !ok {
			return createGiftResponse{}, endpoint.Invalid("expiresAt must be a valid ISO 8601 date string")
		}
		order.ExpiresAt = &at
	}
	made, err := gifts.Create(ctx, c.Payer(), order)
	var short *creditcore.InsufficientError
	if errors.As(err, &short) {
		return createGiftResponse{}, endpoint.Insufficient(
			fmt.Sprintf("Insufficient credits. Required: %s, Available: %s", short.Required, short.Available), short)
	}
	if err != nil {
		return createGiftResponse{}, err
	}
	if made.Replayed {
		c.Replayed()
	}
	return createGiftResponse{
		ID: made.ID, Code: made.Code, URL: made.URL, TotalCredits: made.TotalCredits, CreditsPerPortion: made.CreditsPerPortion,
		TotalPortions: made.TotalPortions, Type: made.Type, ExpiresAt: endpoint.TimeOf(made.ExpiresAt),
	}, nil
}

type cancelGiftRequest struct {
	ID string `path:"gift" rule:"string" doc:"The id of the gift, not its code."`
}

type cancelGiftResponse struct {
	RefundedCredits creditcore.Amount `json:"refundedCredits"`
}

func cancelGift(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req cancelGiftRequest) (cancelGiftResponse, error) {
	refunded, err := gifts.Cancel(ctx, c.Payer(), req.ID)
	return cancelGiftResponse{refunded}, err
}
