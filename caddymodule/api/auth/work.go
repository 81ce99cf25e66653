package auth

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/internal/proofofwork"
)

type workChallengeResponse proofofwork.Challenge

// workChallenge is asked for by the widget of ALTCHA.
func workChallenge(_ context.Context, c *endpoint.Call, _ endpoint.None) (workChallengeResponse, error) {
	challenge, err := c.Auth.WorkChallenge()
	return workChallengeResponse(challenge), err
}
