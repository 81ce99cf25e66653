package gift

import (
	"context"
	"errors"
	"time"

	"mana.how/edge/authcore/matrix"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/creditcore"
	"mana.how/edge/creditcore/gift"
)

// hashRetry is when to try again where too many answers are being hashed.
const hashRetry = 2 * time.Second

// matrixHeader names the Matrix user a bot speaks for. It is a claim: it
// counts together with the service key only.
const matrixHeader = "X-Matrix-User-Id"

type redeemRequest struct {
	Code           string  `path:"gift" rule:"string" doc:"The code of the gift."`
	Answer         *string `json:"answer" rule:"optional,max=100,string"`
	SourceAppID    *string `json:"sourceAppId" rule:"optional,max=255,string"`
	IdempotencyKey *string `json:"idempotencyKey" rule:"optional,key"`
}

// redeemResponse is a success with what came of it, or a refusal with why.
type redeemResponse struct {
	Success    bool               `json:"success"`
	Credits    *creditcore.Amount `json:"credits,omitempty"`
	NewBalance *creditcore.Amount `json:"newBalance,omitempty"`
	Message    *string            `json:"message,omitempty"`
	Error      string             `json:"error,omitempty"`
	Code       string             `json:"code,omitempty"`
}

// redeemGift answers 200 whatever becomes of the claim: clients read success.
func redeemGift(ctx context.Context, c *endpoint.Call, gifts *gift.Service, req redeemRequest) (redeemResponse, error) {
	key, err := c.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return redeemResponse{}, err
	}
	claim := gift.Claim{Code: req.Code, Answer: endpoint.TextOf(req.Answer), SourceApp: endpoint.TextOf(req.SourceAppID), Key: key}
	if c.Service {
		err := speakFor(ctx, c, &claim)
		if errors.Is(err, matrix.ErrNotLinked) {
			return redeemResponse{Error: "No account is linked to this Matrix user", Code: "MATRIX_NOT_LINKED"}, nil
		}
		if err != nil {
			return redeemResponse{}, err
		}
	}
	r, err := redeem(ctx, c, gifts, claim, c.Service)
	var refused gift.Refusal
	switch isRefused := errors.As(err, &refused); {
	case refused == gift.Unverified:
		return redeemResponse{Error: refused.Error(), Code: "EMAIL_NOT_VERIFIED"}, nil
	case isRefused:
		return redeemResponse{Error: refused.Error()}, nil
	case err != nil:
		return redeemResponse{}, err
	}
	if r.Replayed {
		c.Replayed()
	}
	return redeemResponse{Success: true, Credits: &r.Credits, NewBalance: &r.Balance, Message: r.Message}, nil
}

// redeem claims a portion for the caller. The code that does not exist counts as a
// guess. It fails with a [gift.Refusal], or as [gift.Service.Redeem] does.
func redeem(ctx context.Context, c *endpoint.Call, gifts *gift.Service, claim gift.Claim, byService bool) (gift.Received, error) {
	guesses := guessesOf(c, byService)
	if err := guesses.allowed(ctx); err != nil {
		return gift.Received{}, err
	}
	r, err := gifts.Redeem(ctx, c.Payer(), claim)
	var refused gift.Refusal
	if errors.As(err, &refused); refused != gift.Unknown {
		guesses.known(ctx)
	}
	return r, err
}

// speakFor names the caller for whom a back end redeems: the user whose token it
// brings beside its key, else whose account is linked to the Matrix id. It fails with
// [matrix.ErrNotLinked].
func speakFor(ctx context.Context, c *endpoint.Call, claim *gift.Claim) error {
	if claim.SourceApp != "" {
		if err := c.ActFor(claim.SourceApp); err != nil {
			return err
		}
	}
	if ids := c.Request.Header[matrixHeader]; len(ids) == 1 {
		claim.MatrixID = ids[0]
	}
	if named, err := c.UserBesideKey(); named || err != nil {
		return err
	}
	if claim.MatrixID == "" {
		return request.ErrNoToken
	}
	u, err := c.Auth.MatrixUser(ctx, claim.MatrixID)
	c.UserID, c.Email, c.Role = u.ID, u.Email, u.Role
	return err
}
