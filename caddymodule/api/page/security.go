package page

import (
	"context"
	"errors"
	"net/url"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// securityPage shows the second factor of who is signed in. Who must set one up
// to go on is told so, and where it leads.
func securityPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	view := pages.Security{
		ReturnURL: returnTarget(c, c.Request.URL.Query().Get("returnUrl")),
	}
	if away, err := ownerOf(ctx, c, securityFor(view.ReturnURL)); away != nil || err != nil {
		return away, err
	}
	return securityAnswer(ctx, c, 200, view)
}

const securityPath = endpoint.EnrollmentPage

// securityFor is the page that leads on to a checked target.
func securityFor(target string) string {
	if target == "" {
		return securityPath
	}
	return endpoint.Enrollment(target)
}

// securityAnswer fills in what the account has.
func securityAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Security) (endpoint.Answer, error) {
	state, err := c.Auth.TwoFactor(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view.Enabled, view.CodesLeft, view.TrustedDevices, view.Missing = state.Enabled, state.BackupCodes, state.TrustedDevices, state.Missing
	switch err := c.Auth.RequireRecent(ctx, c.Caller); {
	case errors.As(err, new(*authcore.ReauthenticationError)):
		view.NeedsPassword = true
	case err != nil:
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view, FormTarget: endpoint.OriginOf(view.ReturnURL)}, nil
}

type securityFormRequest struct {
	Action    string `json:"action" rule:"string"`
	Password  string `json:"password" rule:"optional,max=1024,string"`
	Code      string `json:"code" rule:"optional,max=64,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// securityForm sets a second factor up, confirms it, takes it away or makes its
// backup codes anew. Who has no password, and has not authenticated recently, is
// asked for another proof first.
func securityForm(ctx context.Context, c *endpoint.Call, req securityFormRequest) (endpoint.Answer, error) {
	if err := ownForm(c); err != nil {
		return nil, err
	}
	target := returnTarget(c, req.ReturnURL)
	if away, err := ownerOf(ctx, c, securityFor(target)); away != nil || err != nil {
		return away, err
	}
	var view pages.Security
	var err error
	switch req.Action {
	case "enroll":
		view, err = enroll(ctx, c, req.Password)
	case "confirm":
		if err = c.Auth.ConfirmTwoFactor(ctx, c.Caller, req.Code); err == nil && target != "" {
			return onward(target), nil
		}
	case "disable":
		err = c.Auth.DisableTwoFactor(ctx, c.Caller, req.Password)
	case "codes":
		view.BackupCodes, err = c.Auth.RenewBackupCodes(ctx, c.Caller, req.Password)
	default:
		err = errUnknownAction
	}
	if errors.As(err, new(*authcore.ReauthenticationError)) {
		return endpoint.Redirect{To: "/reauthenticate?returnUrl=" + url.QueryEscape(securityFor(target))}, nil
	}
	if err != nil {
		p := c.Known(err)
		if p == nil {
			return nil, err
		}
		// The secret is shown once, but a code of it may be mistyped.
		view = pages.Security{ReturnURL: target, Error: p.Code, Confirming: errors.Is(err, authcore.ErrSecondFactorFailed)}
		return securityAnswer(ctx, c, p.Status, view)
	}
	view.ReturnURL = target
	return securityAnswer(ctx, c, 200, view)
}

// enroll shows once what an authenticator needs, and the backup codes.
func enroll(ctx context.Context, c *endpoint.Call, password string) (pages.Security, error) {
	e, err := c.Auth.EnrollTwoFactor(ctx, c.Caller, password)
	if err != nil {
		return pages.Security{}, err
	}
	setup, err := pages.NewSetup(e.URI)
	return pages.Security{BackupCodes: e.BackupCodes, Setup: setup}, err
}
