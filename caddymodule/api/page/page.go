// Package page has the hosted pages that lead to a session: sign-in, registration
// and what is mailed, each a GET that shows it and a POST of its form.
package page

import (
	"mana.how/edge/authcore"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Config is what an admin decides of the pages.
type Config struct {
	// RegistrationClosed refuses everybody an account, and InvitationRequired
	// whoever has no invitation.
	RegistrationClosed, InvitationRequired bool
}

// errInviteOnly is the refusal of registration in the words of pages.
var errInviteOnly = &endpoint.Error{Status: 403, Code: "INVITATION_REQUIRED", Message: "Registration is closed, or by invitation only"}

// errLinkOver refuses a mailed link that is no good any more.
var errLinkOver = &endpoint.Error{Status: 401, Code: "LINK_OVER", Message: "This link is not valid any more"}

// Routes are those of the pages.
func Routes(cfg Config) []endpoint.Route {
	var closed *endpoint.Error
	if cfg.RegistrationClosed {
		closed = endpoint.ErrRegistrationClosed
	}
	sign := signIn{cfg}
	routes := []endpoint.Route{
		endpoint.Get("/", endpoint.Handle(rootPage), endpoint.Rule{Summary: "To the account or to sign-in", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Get("/favicon.ico", endpoint.Handle(icon), endpoint.Rule{Summary: "The icon of the pages", Format: endpoint.Page, Limit: endpoint.BackEndLimit, Media: "image/svg+xml"}),
		endpoint.Get("/favicon.svg", endpoint.Handle(icon), endpoint.Rule{Summary: "The icon of the pages", Format: endpoint.Page, Limit: endpoint.BackEndLimit, Media: "image/svg+xml"}),
		endpoint.Get("/brand/{file}", endpoint.Handle(brandPicture), endpoint.Rule{Summary: "The logo of the pages", Format: endpoint.Page, Limit: endpoint.BackEndLimit, Media: "image/*", Errors: []*endpoint.Error{errNoPicture}}),
		endpoint.Get("/login", endpoint.Handle(sign.loginPage), endpoint.Rule{Summary: "Sign-in page", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Errors: []*endpoint.Error{{Status: 409, Code: "LOOP", Message: "The browser was sent here again and again"}}}),
		endpoint.Post("/login", endpoint.Handle(sign.loginForm), endpoint.Rule{Summary: "Sign-in form", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: endpoint.AnswersTo(authcore.ErrPasswordsOff, authcore.ErrInvalidCredentials, authcore.ErrEmailNotVerified, authcore.ErrNoPasskeys, passkey.ErrFailed, password.ErrBusy)}),
		endpoint.Get("/login/link", endpoint.Handle(linkPage), endpoint.Rule{Summary: "Page to have a link mailed that signs in", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/login/link", endpoint.Handle(linkForm), endpoint.Rule{Summary: "Mail a link that signs in", ProofOfWork: true, Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(3)}),
		endpoint.Get("/api/auth/magic-link/verify", endpoint.Handle(confirmPage("sign-in")), endpoint.Rule{Summary: "The button that signs in", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/api/auth/magic-link/verify", endpoint.Handle(signInByLink), endpoint.Rule{Summary: "Sign in by a mailed link", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: append(endpoint.AnswersTo(authcore.ErrPasswordsOff), errLinkOver)}),
		endpoint.Get("/two-factor", endpoint.Handle(twoFactorPage), endpoint.Rule{Summary: "Page for the second factor", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/two-factor", endpoint.Handle(twoFactorForm), endpoint.Rule{Summary: "Complete a sign-in with the second factor", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: endpoint.AnswersTo(authcore.ErrSecondFactorFailed, authcore.ErrSecondFactorExpired, authcore.ErrInvalidInput, authcore.ErrNoPasskeys, passkey.ErrFailed, twofactor.ErrNotEnabled)}),
		endpoint.Get("/reauthenticate", endpoint.Handle(reauthenticatePage), endpoint.Rule{Summary: "Page to show once more who one is", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}),
		endpoint.Post("/reauthenticate", endpoint.Handle(reauthenticateForm), endpoint.Rule{Summary: "Show once more who one is", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: append([]*endpoint.Error{endpoint.ErrProviderFailed, endpoint.ErrProviderUnavailable}, endpoint.AnswersTo(authcore.ErrUnknownProvider, authcore.ErrWrongPassword, authcore.ErrNoPassword, authcore.ErrSecondFactorFailed, authcore.ErrSessionNotFound, authcore.ErrInvalidInput, authcore.ErrUserNotFound, authcore.ErrNoPasskeys, passkey.ErrFailed, twofactor.ErrNotEnabled, password.ErrBusy)...)}),
		endpoint.Get("/api/auth/change-email/verify", endpoint.Handle(confirmPage("change-email")), endpoint.Rule{Summary: "The button that gives an account another address", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/api/auth/change-email/verify", endpoint.Handle(changeEmailForm), endpoint.Rule{Summary: "Give an account another address", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: append(endpoint.AnswersTo(authcore.ErrEmailTaken), errLinkOver)}),
		endpoint.Get("/api/auth/change-email/undo", endpoint.Handle(confirmPage("undo-email")), endpoint.Rule{Summary: "The button that undoes a change of address", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/api/auth/change-email/undo", endpoint.Handle(undoEmailForm), endpoint.Rule{Summary: "Undo a change of address", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: append(endpoint.AnswersTo(authcore.ErrEmailTaken), errLinkOver)}),
		endpoint.Get("/register", endpoint.Handle(registerPage), endpoint.Rule{Summary: "Registration page", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit, Closed: closed,
			Errors: append(endpoint.AnswersTo(authcore.ErrInvitation), errInviteOnly)}),
		endpoint.Post("/register", endpoint.Handle(registerForm), endpoint.Rule{Summary: "Registration form", ProofOfWork: true, Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(5), Closed: closed, Errors: append(endpoint.AnswersTo(authcore.ErrPasswordsOff, authcore.ErrEmailTaken, authcore.ErrInvitation, password.ErrBusy), errInviteOnly)}),
		endpoint.Get("/api/auth/verify-email", endpoint.Handle(verifyPage), endpoint.Rule{Summary: "The button that confirms an address", Found: true, Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/api/auth/verify-email", endpoint.Handle(verifyForm), endpoint.Rule{Summary: "Confirm an address", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10)}),
		endpoint.Get("/verification-failed", endpoint.Handle(verificationFailed), endpoint.Rule{Summary: "A link that is no good any more", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Get("/resend-verification", endpoint.Handle(resendPage), endpoint.Rule{Summary: "Page to have the link mailed again", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/resend-verification", endpoint.Handle(resendForm), endpoint.Rule{Summary: "Mail the link again", ProofOfWork: true, Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(3)}),
		endpoint.Get("/forgot-password", endpoint.Handle(forgotPage), endpoint.Rule{Summary: "Page for a forgotten password", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/forgot-password", endpoint.Handle(forgotForm), endpoint.Rule{Summary: "Mail the link to another password", ProofOfWork: true, Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(3), Errors: endpoint.AnswersTo(authcore.ErrPasswordsOff)}),
		endpoint.Get("/api/auth/reset-password/{token}", endpoint.Handle(resetLink), endpoint.Rule{Summary: "From the mail to the page for another password", Found: true, Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Get("/reset-password", endpoint.Handle(resetPage), endpoint.Rule{Summary: "Page for another password", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/reset-password", endpoint.Handle(resetForm), endpoint.Rule{Summary: "Another password by a link", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(5),
			Errors: append(endpoint.AnswersTo(authcore.ErrPasswordsOff, password.ErrBusy), endpoint.ErrResetToken)}),
	}
	for i := range routes {
		routes[i].Enrolling = true // they lead whoever must set a second factor up there
	}
	return routes
}
