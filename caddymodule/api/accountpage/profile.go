package accountpage

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// profilePage shows who is signed in.
func (d Deps) profilePage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, profilePath); away != nil || err != nil {
		return away, err
	}
	return d.profileAnswer(ctx, c, 200, pages.Account{Done: sso.DoneOf(c, "name", "picture", "no-picture")})
}

// profileAnswer fills in what the account has. A name that was refused stays.
func (d Deps) profileAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Account) (endpoint.Answer, error) {
	u, err := c.Auth.Profile(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view.Name, view.Email, view.Uploads = u.Name, u.Email, d.Pictures.Available(ctx)
	if view.NewName == "" {
		view.NewName = u.Name
	}
	if image := endpoint.TextOf(u.Image); image != "" {
		view.HasPicture, view.Picture = true, d.Pictures.Path(ctx, c, image)
	}
	return endpoint.HTML{Status: status, View: view}, nil
}

type profileFormRequest struct {
	Action string `json:"action" rule:"max=32,string"`
	Name   string `json:"name" rule:"optional,line,max=100,min=2,string"`
}

// profileForm signs out, or changes the name or the picture.
func (d Deps) profileForm(ctx context.Context, c *endpoint.Call, req profileFormRequest) (endpoint.Answer, error) {
	if err := c.OwnForm(); err != nil {
		return nil, err
	}
	if req.Action == "sign-out" {
		if err := sso.End(ctx, c); err != nil {
			return nil, err
		}
		return endpoint.Redirect{To: "/login"}, nil
	}
	if away, err := sso.SignedIn(ctx, c, profilePath); away != nil || err != nil {
		return away, err
	}
	switch req.Action {
	case "name":
		return d.changeName(ctx, c, req.Name)
	case "remove-picture":
		return d.setPicture(ctx, c, "", "no-picture")
	}
	return nil, errUnknownAction
}

func (d Deps) changeName(ctx context.Context, c *endpoint.Call, name string) (endpoint.Answer, error) {
	view := pages.Account{NewName: name, Error: c.FieldText()}
	if view.Error == "" && name == "" {
		view.Error = "FIELD_name_min"
	}
	if view.Error != "" {
		return d.profileAnswer(ctx, c, 400, view)
	}
	if _, err := c.Auth.UpdateProfile(ctx, c.Caller, authcore.ProfileChange{Name: &name}); err != nil {
		return sso.Refused(c, err, profilePath, func(status int, code string) (endpoint.Answer, error) {
			view.Error = code
			return d.profileAnswer(ctx, c, status, view)
		})
	}
	return sso.Done(profilePath, "name"), nil
}

// pictureForm takes a picture.
func (d Deps) pictureForm(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, profilePath); away != nil || err != nil {
		return away, err
	}
	url, err := d.Pictures.Take(ctx, c)
	if err != nil {
		return sso.Refused(c, err, profilePath, func(status int, code string) (endpoint.Answer, error) {
			return d.profileAnswer(ctx, c, status, pages.Account{Error: code})
		})
	}
	return d.setPicture(ctx, c, url, "picture")
}

// setPicture gives the account another picture, or none. The one before, where it
// is ours, is nobody's any more.
func (d Deps) setPicture(ctx context.Context, c *endpoint.Call, url, what string) (endpoint.Answer, error) {
	before, err := c.Auth.Profile(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	if _, err := c.Auth.UpdateProfile(ctx, c.Caller, authcore.ProfileChange{Image: &url}); err != nil {
		return nil, err
	}
	if old := endpoint.TextOf(before.Image); old != "" && old != url {
		if err := d.Pictures.Forget(ctx, c, old); err != nil {
			c.Logger().WarnContext(ctx, "remove the picture that a user had", "user", c.UserID, "error", err)
		}
	}
	return sso.Done(profilePath, what), nil
}
