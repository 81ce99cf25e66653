package accountpage

import (
	"context"

	"mana.how/edge/authcore/preference"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// preferencesPage shows the language that the user has chosen, and the mails that
// they can do without.
func preferencesPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, preferencesPath); away != nil || err != nil {
		return away, err
	}
	set, err := c.Auth.Settings(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: 200, View: pages.Preferences{
		Language: set.Locale(), NewDevice: set.TellsNewDevice(), Credits: set.TellsCredits(), Done: sso.DoneOf(c, "saved"),
	}}, nil
}

type preferencesFormRequest struct {
	Language  string `json:"language" rule:"optional,max=35,string"`
	NewDevice string `json:"newDevice" rule:"optional,max=8,string"`
	Credits   string `json:"credits" rule:"optional,max=8,string"`
}

// preferencesForm stores both. An empty language is the browser's.
func preferencesForm(ctx context.Context, c *endpoint.Call, req preferencesFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, preferencesPath); away != nil || err != nil {
		return away, err
	}
	if len(c.FieldErrors) > 0 {
		return nil, errUnknownAction
	}
	_, err := c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) {
		if req.Language == "" || pages.Writes(req.Language) { // else the one that an app has set stays
			s.SetLocale(req.Language)
		}
		s.TellNewDevice(req.NewDevice != "")
		s.TellCredits(req.Credits != "")
	})
	if err != nil {
		return nil, err
	}
	c.SpeakLanguage(req.Language)
	return sso.Done(preferencesPath, "saved"), nil
}
