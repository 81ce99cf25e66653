package auth

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/password"
	"mana.how/edge/caddymodule/api/endpoint"
)

type registerRequest struct {
	Email        string `json:"email" rule:"email"`
	Password     string `json:"password" rule:"max=128,min=8,string"`
	Name         string `json:"name" rule:"optional,line,max=255,string"`
	ReferralCode string `json:"referralCode" rule:"optional,max=255,string"`
	SourceAppURL string `json:"sourceAppUrl" rule:"optional,max=255,url"`
	SourceAppID  string `json:"sourceAppId" rule:"optional,max=255,string"`
	Invitation   string `json:"invitation" rule:"optional,max=128,string"`
	Altcha       string `json:"altcha" rule:"optional,max=1024,string"`
}

type registerResponse struct {
	User registeredUser `json:"user"`
}

type registeredUser struct {
	ID            string `json:"id"`
	Email         string `json:"email"`
	Name          string `json:"name"`
	EmailVerified bool   `json:"emailVerified"`
}

func register(ctx context.Context, c *endpoint.Call, req registerRequest) (registerResponse, error) {
	u, err := c.Auth.Register(ctx, c.Client, authcore.Registration{
		Email: req.Email, Password: req.Password, Name: req.Name,
		ReferralCode: req.ReferralCode, SourceAppURL: req.SourceAppURL, RedirectTo: c.TrustedOrigin(req.SourceAppURL), Invitation: req.Invitation,
	})
	if err != nil {
		return registerResponse{}, err
	}
	c.ForgetGuest()
	return registerResponse{registeredUser{ID: u.ID, Email: u.Email, Name: u.Name, EmailVerified: u.EmailVerified}}, nil
}

type signUpStatusResponse struct {
	Open   bool   `json:"open"`
	Reason string `json:"reason,omitempty"`
}

// signUpStatus says whether an account can be made, before somebody fills in a
// form.
func signUpStatus(cfg Config) func(context.Context, *endpoint.Call, endpoint.None) (signUpStatusResponse, error) {
	status := signUpStatusResponse{Open: true}
	switch {
	case cfg.RegistrationClosed:
		status = signUpStatusResponse{Reason: "registration closed"}
	case cfg.InvitationRequired:
		status = signUpStatusResponse{Reason: "invite"}
	}
	return func(context.Context, *endpoint.Call, endpoint.None) (signUpStatusResponse, error) { return status, nil }
}

// newPassword words the refusal of a password that came in the named field.
func newPassword(field string, err error) error {
	var refused *password.Error
	if errors.As(err, &refused) {
		return endpoint.PasswordRefused(field, refused)
	}
	return err
}
