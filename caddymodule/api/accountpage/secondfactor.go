package accountpage

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// factorPage shows the second factor of who is signed in. Who must set one up to
// go on is told so, and where it leads.
func factorPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	target := returnTarget(c, c.Request.URL.Query().Get("returnUrl"))
	if away, err := sso.SignedIn(ctx, c, factorFor(target)); away != nil || err != nil {
		return away, err
	}
	return factorAnswer(ctx, c, 200, pages.Security{ReturnURL: target})
}

// returnTarget is the checked URL of a trusted place, or empty.
func returnTarget(c *endpoint.Call, raw string) string {
	target, ok := c.Origins().ReturnTarget(raw)
	if !ok {
		return ""
	}
	return target
}

// factorFor is the page that leads on to a checked target.
func factorFor(target string) string {
	if target == "" {
		return factorPath
	}
	return endpoint.Enrollment(target)
}

// factorAnswer fills in what the account has.
func factorAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.Security) (endpoint.Answer, error) {
	state, err := c.Auth.TwoFactor(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	view.Enabled, view.CodesLeft, view.TrustedDevices, view.Missing = state.Enabled, state.BackupCodes, state.TrustedDevices, state.Missing
	if view.Proof, err = proofOf(ctx, c); err != nil {
		return nil, err
	}
	return endpoint.HTML{Status: status, View: view, FormTarget: sso.FormTarget(c, view.ReturnURL)}, nil
}

type factorFormRequest struct {
	Action    string `json:"action" rule:"string"`
	Password  string `json:"password" rule:"optional,max=1024,string"`
	Code      string `json:"code" rule:"optional,max=64,string"`
	ReturnURL string `json:"returnUrl" rule:"optional,string"`
}

// factorForm sets a second factor up, confirms it, takes it away or makes its
// backup codes anew. Who has no password, and has not authenticated recently, is
// asked for another proof first.
func factorForm(ctx context.Context, c *endpoint.Call, req factorFormRequest) (endpoint.Answer, error) {
	target := returnTarget(c, req.ReturnURL)
	if away, err := sso.OwnForm(ctx, c, factorFor(target)); away != nil || err != nil {
		return away, err
	}
	var view pages.Security
	var err error
	switch req.Action {
	case "enroll":
		view, err = enroll(ctx, c, req.Password)
	case "confirm":
		if err = c.Auth.ConfirmTwoFactor(ctx, c.Caller, req.Code); err == nil && target != "" {
			return endpoint.Redirect{To: target}, nil
		}
	case "disable":
		err = c.Auth.DisableTwoFactor(ctx, c.Caller, req.Password)
	case "codes":
		view.BackupCodes, err = c.Auth.RenewBackupCodes(ctx, c.Caller, req.Password)
	default:
		err = errUnknownAction
	}
	if err != nil {
		return sso.Refused(c, err, factorFor(target), func(status int, code string) (endpoint.Answer, error) {
			// The secret is shown once, but a code of it may be mistyped.
			return factorAnswer(ctx, c, status, pages.Security{ReturnURL: target, Error: code, Confirming: errors.Is(err, authcore.ErrSecondFactorFailed)})
		})
	}
	view.ReturnURL = target
	return factorAnswer(ctx, c, 200, view)
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
