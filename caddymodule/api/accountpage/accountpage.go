// Package accountpage has the hosted pages of the account of whoever is signed in,
// one a section: each a GET that shows it and a POST of its form, and none needs a
// script but to make a passkey.
//
// # Threat model
//
// Another site may make a browser send what it likes with the user's cookie: forms
// come from the base URL ([endpoint.Call.OwnForm]), and a GET changes nothing. Who
// sits down at a browser that was left alone finds a session: what would take the
// account away from its owner wants a proof of the last 15 minutes. Names, agents
// and addresses were written by anybody, and are escaped by the templates.
package accountpage

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/preference"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// OwnData is what is kept of a user, here and by the apps.
type OwnData interface {
	Export(ctx context.Context, c *endpoint.Call) (endpoint.Download, error)
	Erase(ctx context.Context, c *endpoint.Call, password string) (waiting []string, err error)
}

// Pictures are those that users show of themselves.
type Pictures interface {
	Available(ctx context.Context) bool
	Take(ctx context.Context, c *endpoint.Call) (url string, err error)
	Path(ctx context.Context, c *endpoint.Call, url string) string
	Forget(ctx context.Context, c *endpoint.Call, url string) error
}

// Deps is what the pages share with the JSON API.
type Deps struct {
	OwnData  OwnData
	Pictures Pictures
	// PictureMappings and PictureRefusals are the answers to who brings a picture.
	PictureMappings []endpoint.Mapping
	PictureRefusals []*endpoint.Error
}

// The sections.
const (
	profilePath     = "/account"
	picturePath     = "/account/picture"
	emailPath       = "/account/email"
	passwordPath    = "/account/password" // #nosec G101 -- a path
	factorPath      = endpoint.EnrollmentPage
	passkeysPath    = "/account/passkeys"
	devicesPath     = "/account/devices"
	appsPath        = "/account/apps"
	eventsPath      = "/account/events"
	preferencesPath = "/account/preferences"
	dataPath        = "/account/data"
	exportPath      = "/account/data/export"
)

var (
	errUnknownAction = &endpoint.Error{Status: 400, Code: "UNKNOWN_ACTION", Message: "Unknown action"}
	errConfirmation  = &endpoint.Error{Status: 400, Code: "NOT_CONFIRMED", Message: "The typed confirmation is not the address of the account"}
)

// Routes are those of the account.
func Routes(d Deps) []endpoint.Route {
	gone := endpoint.AnswerTo(authcore.ErrUserNotFound)
	show := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: []*endpoint.Error{gone}}
	}
	form := func(summary string, perMinute int64, errs ...*endpoint.Error) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(perMinute),
			Errors: append(errs, gone, errUnknownAction)}
	}
	picture := form("Another picture", 20, d.PictureRefusals...)
	picture.Body, picture.Mappings = endpoint.Stream, d.PictureMappings
	export := form("Download what is kept of the account", 10)
	export.Media = "application/json"
	proof := endpoint.AnswersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword, password.ErrBusy)
	routes := []endpoint.Route{
		endpoint.Get(profilePath, endpoint.Handle(d.profilePage), show("The account: name and picture")),
		endpoint.Post(profilePath, endpoint.Handle(d.profileForm), form("Sign out, or another name", 100)),
		endpoint.Post(picturePath, endpoint.Handle(d.pictureForm), picture),
		endpoint.Get(emailPath, endpoint.Handle(emailPage), show("The e-mail address")),
		endpoint.Post(emailPath, endpoint.Handle(emailForm), form("Another e-mail address", 10, endpoint.AnswersTo(authcore.ErrSameEmail, authcore.ErrInvalidInput)...)),
		endpoint.Get(passwordPath, endpoint.Handle(passwordPage), show("The password")),
		endpoint.Post(passwordPath, endpoint.Handle(passwordForm), form("Another password", 10, proof...)),
		endpoint.Get(factorPath, endpoint.Handle(factorPage), show("The second factor")),
		endpoint.Post(factorPath, endpoint.Handle(factorForm), form("Set up or take away the second factor", 10,
			append(endpoint.AnswersTo(authcore.ErrSecondFactorFailed, twofactor.ErrEnabled, twofactor.ErrNotEnabled), proof...)...)),
		endpoint.Get(passkeysPath, endpoint.Handle(passkeysPage), show("The passkeys")),
		endpoint.Post(passkeysPath, endpoint.Handle(passkeysForm), form("Add, rename or delete a passkey", 30,
			endpoint.AnswersTo(passkey.ErrFailed, passkey.ErrExists, passkey.ErrTooMany, passkey.ErrNotFound, passkey.ErrInvalidInput,
				authcore.ErrLastCredential, authcore.ErrNoPasskeys)...)),
		endpoint.Get(devicesPath, endpoint.Handle(devicesPage), show("The devices that are signed in")),
		endpoint.Post(devicesPath, endpoint.Handle(devicesForm), form("End one, all other or all sessions", 100)),
		endpoint.Get(appsPath, endpoint.Handle(appsPage), show("The apps that use the account")),
		endpoint.Post(appsPath, endpoint.Handle(appsForm), form("Take its access away from an app", 100)),
		endpoint.Get(eventsPath, endpoint.Handle(eventsPage), show("What happened to the account")),
		endpoint.Get(preferencesPath, endpoint.Handle(preferencesPage), show("Language and mails")),
		endpoint.Post(preferencesPath, endpoint.Handle(preferencesForm), endpoint.Rule{Summary: "Another language, or fewer mails",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Mappings: []endpoint.Mapping{{Err: preference.ErrTooLarge, Answer: &endpoint.Error{Status: 413, Code: "SETTINGS_TOO_LARGE", Message: "The settings are too large"}}},
			Errors:   []*endpoint.Error{gone, errUnknownAction}}),
		endpoint.Get(dataPath, endpoint.Handle(dataPage), show("Own data, and the end of the account")),
		endpoint.Post(exportPath, endpoint.Handle(d.exportForm), export),
		endpoint.Post(dataPath, endpoint.Handle(d.dataForm), form("Delete the account", 5, append(proof, errConfirmation)...)),
	}
	for i := range routes {
		// The first page leads whoever must set a second factor up there; the others
		// help them to, or to leave.
		routes[i].Enrolling = routes[i].Path != profilePath || routes[i].Method != http.MethodGet
	}
	return routes
}

// proofOf says what the account still has to show before something grave.
func proofOf(ctx context.Context, c *endpoint.Call) (pages.Proof, error) {
	err := c.Auth.RequireRecent(ctx, c.Caller)
	var needed *authcore.ReauthenticationError
	switch {
	case err == nil:
		return pages.Proof{Recent: true}, nil
	case errors.As(err, &needed):
		return pages.Proof{Password: slices.Contains(needed.Methods, authcore.FactorPassword)}, nil
	}
	return pages.Proof{}, err
}
