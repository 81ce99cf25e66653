package auth

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/request"
)

type loginRequest struct {
	Email      string `json:"email" rule:"account"`
	Password   string `json:"password" rule:"string"`
	DeviceID   string `json:"deviceId" rule:"optional,max=255,string"`
	DeviceName string `json:"deviceName" rule:"optional,max=255,string"`
}

func login(ctx context.Context, c *endpoint.Call, req loginRequest) (sso.TokenResponse, error) {
	c.Client.DeviceID, c.Client.DeviceName = req.DeviceID, req.DeviceName
	sso.Known(c)
	tokens, err := c.Auth.SignIn(ctx, c.Client, req.Email, req.Password)
	if err != nil {
		return sso.TokenResponse{}, sso.Asked(c, err)
	}
	return sso.TokensOf(tokens), nil
}

type logoutRequest struct {
	RefreshToken string `json:"refreshToken" rule:"optional,string"`
	// Scope "app" ends the app's own session and leaves the browser signed in.
	Scope string `json:"scope" rule:"optional,string"`
}

type done struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
}

// logout ends whatever the client can name: the session of its access token,
// the family of its refresh token and, unless another site sent the request,
// the sessions of its cookies. Unknown input is a success.
func logout(ctx context.Context, c *endpoint.Call, req logoutRequest) (done, error) {
	out := authcore.SignOut{RefreshToken: req.RefreshToken, AppOnly: req.Scope == "app"}
	if token, ok := request.Bearer(c.Request.Header); ok {
		if claims, err := c.Auth.Verify(ctx, token); err == nil {
			out.SessionID = claims.SessionID
		}
	}
	if tokens := sso.Tokens(c); len(tokens) > 0 && !out.AppOnly && c.SameSite() == nil {
		out.CookieTokens = tokens
		sso.Clear(c)
	}
	if err := c.Auth.SignOut(ctx, c.Client, out); err != nil {
		return done{}, err
	}
	return done{true, "Signed out successfully"}, nil
}
