package accountpage

import (
	"context"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// appsPage lists the clients of the OpenID provider that use the account.
func appsPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, appsPath); away != nil || err != nil {
		return away, err
	}
	return appsAnswer(ctx, c, 200, pages.Apps{Done: sso.DoneOf(c, "revoked")})
}

func appsAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Apps) (endpoint.Answer, error) {
	apps, err := c.Auth.ConnectedApps(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	for _, a := range apps {
		view.List = append(view.List, pages.App{
			ID: a.Client.ID, Name: a.Client.Name, Scopes: a.Scopes, ConnectedAt: a.ConnectedAt, UsedAt: a.LastUsedAt,
			Sessions: a.Sessions, Gone: a.Client.Disabled, Trusted: a.Client.Trusted,
		})
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type appsFormRequest struct {
	ID string `json:"id" rule:"max=128,min=1,string"`
}

// appsForm takes its access away from a client.
func appsForm(ctx context.Context, c *endpoint.Call, req appsFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, appsPath); away != nil || err != nil {
		return away, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	if err := c.Auth.DisconnectApp(ctx, c.Caller, req.ID); err != nil {
		return sso.Refused(c, err, appsPath, func(status int, code string) (endpoint.Answer, error) {
			return appsAnswer(ctx, c, status, pages.Apps{Error: code})
		})
	}
	return sso.Done(appsPath, "revoked"), nil
}
