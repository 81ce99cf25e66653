package auth

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/endpoint/validate"
	"mana.how/edge/caddymodule/api/sso"
)

type magicLinkRequest struct {
	Email       string  `json:"email" rule:"max=254,string"`
	CallbackURL *string `json:"callbackURL" rule:"optional,max=2048,string"`
	Altcha      string  `json:"altcha" rule:"optional,max=1024,string"`
}

// sendMagicLink mails a link and a code that sign in, and tells nothing of
// whether there is an account.
func sendMagicLink(ctx context.Context, c *endpoint.Call, req magicLinkRequest) (statusResponse, error) {
	if err := checkOrigin(c); err != nil {
		return statusResponse{}, err
	}
	if err := firstError(c); err != nil {
		return statusResponse{}, err
	}
	if !validate.IsEmail(req.Email) {
		return statusResponse{}, errEmailForm
	}
	var target string
	if req.CallbackURL != nil && *req.CallbackURL != "" {
		checked, ok := c.Origins().ReturnTarget(*req.CallbackURL)
		if !ok {
			return statusResponse{}, errCallback
		}
		target = checked
	}
	return statusResponse{true}, c.Auth.MailSignIn(ctx, c.Client, req.Email, target)
}

type loginCodeRequest struct {
	Email      string `json:"email" rule:"account"`
	Code       string `json:"code" rule:"max=64,string"`
	DeviceID   string `json:"deviceId" rule:"optional,max=255,string"`
	DeviceName string `json:"deviceName" rule:"optional,max=255,string"`
}

// loginCode signs an app in by the code of a mail.
func loginCode(ctx context.Context, c *endpoint.Call, req loginCodeRequest) (sso.TokenResponse, error) {
	c.Client.DeviceID, c.Client.DeviceName = req.DeviceID, req.DeviceName
	sso.Known(c)
	tokens, err := c.Auth.SignInByCode(ctx, c.Client, req.Email, req.Code)
	if err != nil {
		return sso.TokenResponse{}, sso.Asked(c, err)
	}
	return sso.TokensOf(tokens), nil
}

type changeEmailRequest struct {
	NewEmail    string `json:"newEmail" rule:"email"`
	CallbackURL string `json:"callbackURL" rule:"optional,max=2048,string"`
}

func changeEmail(ctx context.Context, c *endpoint.Call, req changeEmailRequest) (done, error) {
	if err := c.Auth.ChangeEmail(ctx, c.Caller, req.NewEmail, c.TrustedOrigin(req.CallbackURL)); err != nil {
		return done{}, err
	}
	return done{true, "Verification email sent to new address"}, nil
}
