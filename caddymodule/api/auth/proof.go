package auth

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
)

type forgotPasswordRequest struct {
	Email      string `json:"email" rule:"email"`
	RedirectTo string `json:"redirectTo" rule:"optional,max=2048,string"`
	Altcha     string `json:"altcha" rule:"optional,max=1024,string"`
}

// forgotPassword mails the link to another password, and tells nothing of
// whether there is an account.
func forgotPassword(ctx context.Context, c *endpoint.Call, req forgotPasswordRequest) (done, error) {
	if err := c.Auth.ForgotPassword(ctx, c.Client, req.Email, c.TrustedOrigin(req.RedirectTo), ""); err != nil {
		return done{}, err
	}
	return done{true, "If an account with that email exists, a password reset link has been sent"}, nil
}

type resetPasswordRequest struct {
	Token       string `json:"token" rule:"max=128,string"`
	NewPassword string `json:"newPassword" rule:"max=128,min=8,string"`
}

func resetPassword(ctx context.Context, c *endpoint.Call, req resetPasswordRequest) (done, error) {
	if _, err := c.Auth.ResetPassword(ctx, c.Client, req.Token, req.NewPassword); err != nil {
		return done{}, newPassword("newPassword", err)
	}
	return done{true, "Password has been reset successfully"}, nil
}

type resendVerificationRequest struct {
	Email        string `json:"email" rule:"email"`
	SourceAppURL string `json:"sourceAppUrl" rule:"optional,max=2048,string"`
	Altcha       string `json:"altcha" rule:"optional,max=1024,string"`
}

// resendVerification mails the link that confirms an address again, and tells
// nothing of whether there is one to confirm.
func resendVerification(ctx context.Context, c *endpoint.Call, req resendVerificationRequest) (done, error) {
	if err := c.Auth.ResendVerification(ctx, c.Client, req.Email, c.TrustedOrigin(req.SourceAppURL)); err != nil {
		return done{}, err
	}
	return done{true, "If an account with that email exists, a verification email has been sent"}, nil
}
