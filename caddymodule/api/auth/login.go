package auth

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
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

// tokenResponse is what a sign-in, a refresh and an exchange answer.
type tokenResponse struct {
	User         tokenUser `json:"user"`
	AccessToken  string    `json:"accessToken"`
	RefreshToken string    `json:"refreshToken"`
	ExpiresIn    int64     `json:"expiresIn"`
	TokenType    string    `json:"tokenType"`
}

type tokenUser struct {
	ID    string         `json:"id"`
	Email string         `json:"email"`
	Name  string         `json:"name"`
	Role  principal.Role `json:"role"`
}

func tokensOf(t authcore.Tokens) tokenResponse {
	return tokenResponse{
		User:        tokenUser{ID: t.User.ID, Email: t.User.Email, Name: t.User.Name, Role: t.User.Role},
		AccessToken: t.AccessToken, RefreshToken: t.RefreshToken,
		ExpiresIn: int64(t.ExpiresIn.Seconds()), TokenType: "Bearer",
	}
}

func login(ctx context.Context, c *endpoint.Call, req loginRequest) (tokenResponse, error) {
	c.Client.DeviceID, c.Client.DeviceName = req.DeviceID, req.DeviceName
	tokens, err := c.Auth.SignIn(ctx, c.Client, req.Email, req.Password)
	if err != nil {
		return tokenResponse{}, err
	}
	return tokensOf(tokens), nil
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
