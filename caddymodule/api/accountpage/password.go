package accountpage

import (
	"context"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// passwordPage shows the form for another password.
func passwordPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, passwordPath); away != nil || err != nil {
		return away, err
	}
	return passwordAnswer(ctx, c, 200, pages.Password{Done: sso.DoneOf(c, "password")})
}

func passwordAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Password) (endpoint.Answer, error) {
	methods, err := c.Auth.ProofMethods(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view.Email, view.HasPassword = c.Email, slices.Contains(methods, authcore.FactorPassword)
	return endpoint.HTML{Status: status, View: view}, nil
}

type passwordFormRequest struct {
	Current  string `json:"current" rule:"max=1024,min=1,string"`
	Password string `json:"password" rule:"max=128,min=8,string"`
}

// passwordForm gives the account another password. Other devices are signed out.
func passwordForm(ctx context.Context, c *endpoint.Call, req passwordFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, passwordPath); away != nil || err != nil {
		return away, err
	}
	if code := c.FieldText(); code != "" {
		return passwordAnswer(ctx, c, 400, pages.Password{Error: code})
	}
	if err := c.Auth.ChangePassword(ctx, c.Caller, req.Current, req.Password); err != nil {
		return sso.Refused(c, err, passwordPath, func(status int, code string) (endpoint.Answer, error) {
			return passwordAnswer(ctx, c, status, pages.Password{Error: code})
		})
	}
	return sso.Done(passwordPath, "password"), nil
}
