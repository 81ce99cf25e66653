package accountpage

import (
	"context"
	"encoding/json"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// passkeysPage lists the passkeys of the account.
func passkeysPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, passkeysPath); away != nil || err != nil {
		return away, err
	}
	return passkeysAnswer(ctx, c, 200, pages.Passkeys{Done: sso.DoneOf(c, "added", "renamed", "removed")})
}

func passkeysAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Passkeys) (endpoint.Answer, error) {
	list, err := c.Auth.Passkeys(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		shown := pages.Passkey{ID: p.ID, Name: p.Name, Created: p.CreatedAt, Synced: p.BackedUp}
		if p.LastUsedAt != nil {
			shown.LastUsed = *p.LastUsedAt
		}
		view.List = append(view.List, shown)
	}
	_, view.Available = c.Auth.PasskeyDomain()
	if view.Proof, err = proofOf(ctx, c); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type passkeysFormRequest struct {
	Action   string `json:"action" rule:"max=32,string"`
	ID       string `json:"id" rule:"optional,max=64,string"`
	Name     string `json:"name" rule:"optional,max=255,string"`
	Response string `json:"response" rule:"optional,max=65536,string"`
}

// passkeysForm keeps a passkey that the browser made, or renames or deletes one.
func passkeysForm(ctx context.Context, c *endpoint.Call, req passkeysFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, passkeysPath); away != nil || err != nil {
		return away, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	var err error
	var what string
	switch req.Action {
	case "add":
		what = "added"
		answer := sso.PasskeyAnswer(c, json.RawMessage(req.Response))
		_, err = c.Auth.AddPasskey(ctx, c.Caller, answer.State, answer.Response, req.Name)
	case "rename":
		what = "renamed"
		_, err = c.Auth.RenamePasskey(ctx, c.Caller, req.ID, req.Name)
	case "remove":
		what = "removed"
		err = c.Auth.RemovePasskey(ctx, c.Caller, req.ID)
	default:
		err = errUnknownAction
	}
	if err != nil {
		return sso.Refused(c, err, passkeysPath, func(status int, code string) (endpoint.Answer, error) {
			return passkeysAnswer(ctx, c, status, pages.Passkeys{Error: code})
		})
	}
	return sso.Done(passkeysPath, what), nil
}
