package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

// giftRoutes are those of gift codes. Their limits by address are wide, since
// a bot asks for all its users; guesses have a narrow one of their own.
func giftRoutes() []*route {
	const v1 = "/api/v1/gifts"
	return []*route{
		post(v1, handle(createGift), rule{summary: "Make a gift code out of the caller's credits",
			status: http.StatusCreated, access: user, charges: true, limit: perMinute(600), faults: giftFaults}),
		get(v1+"/me/created", handle(createdGifts), rule{summary: "The caller's gifts, newest first", access: user}),
		get(v1+"/me/received", handle(receivedGifts), rule{summary: "What the caller redeemed, newest first", access: user}),
		get(v1+"/{gift}", handle(giftInfo), rule{summary: "What a gift code holds",
			access: anyone, limit: perMinute(600), faults: giftFaults}),
		post(v1+"/{gift}/redeem", handle(redeemGift), rule{summary: "Redeem a gift code; a refusal is an answer, too",
			access: user, limit: perMinute(600), faults: giftFaults}),
		del(v1+"/{gift}", handle(cancelGift), rule{summary: "Cancel a gift and take back what nobody has claimed",
			access: user, faults: giftFaults}),
		get("/g/{gift}", handle(giftPage), rule{summary: "Where the link of a gift leads",
			access: cookie, shape: page, limit: perMinute(600), faults: giftFaults[:1]}),
	}
}

// giftFaults word what gifts refuse.
var giftFaults = []fault{
	{gift.ErrNotFound, &problem{status: 404, code: "GIFT_NOT_FOUND", text: "Gift code not found"}},
	{gift.ErrNotActive, &problem{status: 400, code: "GIFT_NOT_ACTIVE", text: "Gift code cannot be cancelled in current status"}},
	{gift.ErrExpiry, &problem{status: 400, code: "GIFT_EXPIRY", text: "Expiration date must be in the future"}},
	{gift.ErrPortion, &problem{status: 400, code: "GIFT_PORTION", text: "Each portion must have at least 1 credit"}},
	{gift.ErrRiddle, &problem{status: 400, code: "GIFT_RIDDLE", text: "Riddle type requires both question and answer"}},
	{gift.ErrBusy, &problem{status: 503, code: "BUSY", text: "The server is busy, please retry", retry: hashRetry}},
}

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
	ExpiresAt         *instant          `json:"expiresAt"`
}

func createGift(ctx context.Context, c *call, req createGiftRequest) (createGiftResponse, error) {
	key, err := c.idempotencyKey(req.IdempotencyKey)
	if err != nil {
		return createGiftResponse{}, err
	}
	order := gift.Order{
		Credits: req.Credits, Type: gift.Type(textOf(req.Type)),
		TargetEmail: textOf(req.TargetEmail), TargetMatrixID: textOf(req.TargetMatrixID),
		RiddleQuestion: textOf(req.RiddleQuestion), RiddleAnswer: textOf(req.RiddleAnswer),
		Message: textOf(req.Message), SourceApp: textOf(req.SourceAppID), Key: key,
	}
	if req.Portions != nil {
		order.Portions = *req.Portions
	}
	if req.ExpiresAt != nil {
		at, ok := parseDate(*req.ExpiresAt)
		if !ok {
			return createGiftResponse{}, invalid([]bodyFault{{text: "expiresAt must be a valid ISO 8601 date string"}})
		}
		order.ExpiresAt = &at
	}
	made, err := c.credits.Gifts.Create(ctx, c.payer(), order)
	var short *creditcore.InsufficientError
	if errors.As(err, &short) {
		return createGiftResponse{}, insufficient(
			fmt.Sprintf("Insufficient credits. Required: %s, Available: %s", short.Required, short.Available), short)
	}
	if err != nil {
		return createGiftResponse{}, err
	}
	if made.Replayed {
		c.replayed()
	}
	return createGiftResponse{
		ID: made.ID, Code: made.Code, URL: made.URL, TotalCredits: made.TotalCredits, CreditsPerPortion: made.CreditsPerPortion,
		TotalPortions: made.TotalPortions, Type: made.Type, ExpiresAt: instantOf(made.ExpiresAt),
	}, nil
}

type cancelGiftRequest struct {
	ID string `path:"gift" rule:"string" doc:"The id of the gift, not its code."`
}

type cancelGiftResponse struct {
	RefundedCredits creditcore.Amount `json:"refundedCredits"`
}

func cancelGift(ctx context.Context, c *call, req cancelGiftRequest) (cancelGiftResponse, error) {
	refunded, err := c.credits.Gifts.Cancel(ctx, c.payer(), req.ID)
	return cancelGiftResponse{refunded}, err
}
