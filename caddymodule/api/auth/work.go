package auth

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/internal/proofofwork"
)

// workHeader is what routes read that may ask for a proof of work.
var workHeader = []endpoint.HeaderParam{{Name: endpoint.WorkHeader, Text: "The solution of a challenge, in base64, where one is asked for"}}

type workChallengeResponse proofofwork.Challenge

// workChallenge is asked for by the widget of ALTCHA.
func workChallenge(_ context.Context, c *endpoint.Call, _ endpoint.None) (workChallengeResponse, error) {
	challenge, err := c.Auth.WorkChallenge()
	return workChallengeResponse(challenge), err
}
