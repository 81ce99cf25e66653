package accountpage

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// emailPage shows the address of the account, and the one it is to have.
func emailPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, emailPath); away != nil || err != nil {
		return away, err
	}
	return emailAnswer(ctx, c, 200, pages.Email{Done: sso.DoneOf(c, "sent", "email-cancelled")})
}

func emailAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Email) (endpoint.Answer, error) {
	u, err := c.Auth.Profile(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view.Email, view.Verified = u.Email, u.EmailVerified
	if view.Pending, err = c.Auth.PendingEmail(ctx, c.Caller); err != nil {
		return nil, err
	}
	if view.Proof, err = proofOf(ctx, c); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type emailFormRequest struct {
	Email  string `json:"email" rule:"unless=cancel,max=254,email"`
	Cancel string `json:"cancel" rule:"optional,string"`
}

// emailForm mails a link to the address that the account is to have, or lets that be.
func emailForm(ctx context.Context, c *endpoint.Call, req emailFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, emailPath); away != nil || err != nil {
		return away, err
	}
	if req.Cancel != "" {
		if err := c.Auth.CancelEmailChange(ctx, c.Caller); err != nil {
			return nil, err
		}
		return sso.Done(emailPath, "email-cancelled"), nil
	}
	view := pages.Email{New: req.Email, Error: c.FieldText()}
	if view.Error != "" {
		return emailAnswer(ctx, c, 400, view)
	}
	if err := c.Auth.ChangeEmail(ctx, c.Caller, req.Email, ""); err != nil {
		return sso.Refused(c, err, emailPath, func(status int, code string) (endpoint.Answer, error) {
			view.Error = code
			return emailAnswer(ctx, c, status, view)
		})
	}
	return sso.Done(emailPath, "sent"), nil
}
