package auth

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
)

type changePasswordRequest struct {
	CurrentPassword string `json:"currentPassword" rule:"min=1,string"`
	NewPassword     string `json:"newPassword" rule:"max=128,min=8,string"`
}

func changePassword(ctx context.Context, c *endpoint.Call, req changePasswordRequest) (done, error) {
	if err := c.Auth.ChangePassword(ctx, c.Caller, req.CurrentPassword, req.NewPassword); err != nil {
		return done{}, newPassword("newPassword", err)
	}
	return done{true, "Password changed successfully"}, nil
}

type deleteAccountRequest struct {
	Password string `json:"password" rule:"min=1,string"`
	Reason   string `json:"reason" rule:"optional,max=1000,string"`
}

func deleteAccount(ctx context.Context, c *endpoint.Call, req deleteAccountRequest) (done, error) {
	if err := c.Auth.DeleteAccount(ctx, c.Caller, req.Password, req.Reason); err != nil {
		return done{}, err
	}
	return done{true, "Account has been deleted"}, nil
}
