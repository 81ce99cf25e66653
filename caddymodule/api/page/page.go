// Package page has the hosted pages of identity: sign-in, registration and the
// account, each a GET that shows it and a POST of its form.
package page

import (
	"mana.how/edge/authcore"
	"mana.how/edge/authcore/password"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Config is what an admin decides of the pages.
type Config struct {
	// RegistrationClosed refuses everybody an account.
	RegistrationClosed bool
}

// Routes are those of the pages.
func Routes(cfg Config) []endpoint.Route {
	var closed *endpoint.Error
	if cfg.RegistrationClosed {
		closed = endpoint.ErrRegistrationClosed
	}
	sign := signIn{cfg}
	return []endpoint.Route{
		endpoint.Get("/", endpoint.Handle(rootPage), endpoint.Rule{Summary: "To the account or to sign-in", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Get("/favicon.ico", endpoint.Handle(icon), endpoint.Rule{Summary: "The icon of the pages", Format: endpoint.Page, Limit: endpoint.BackEndLimit, Media: "image/svg+xml"}),
		endpoint.Get("/favicon.svg", endpoint.Handle(icon), endpoint.Rule{Summary: "The icon of the pages", Format: endpoint.Page, Limit: endpoint.BackEndLimit, Media: "image/svg+xml"}),
		endpoint.Get("/login", endpoint.Handle(sign.loginPage), endpoint.Rule{Summary: "Sign-in page", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit,
			Errors: []*endpoint.Error{{Status: 409, Code: "LOOP", Message: "The browser was sent here again and again"}}}),
		endpoint.Post("/login", endpoint.Handle(sign.loginForm), endpoint.Rule{Summary: "Sign-in form", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10),
			Errors: endpoint.AnswersTo(authcore.ErrInvalidCredentials, password.ErrBusy)}),
		endpoint.Get("/register", endpoint.Handle(registerPage), endpoint.Rule{Summary: "Registration page", Access: endpoint.Anyone, Format: endpoint.Page, Limit: endpoint.UserLimit, Closed: closed, Errors: []*endpoint.Error{endpoint.ErrRegistrationClosed}}),
		endpoint.Post("/register", endpoint.Handle(registerForm), endpoint.Rule{Summary: "Registration form", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(5), Closed: closed, Errors: append(endpoint.AnswersTo(authcore.ErrEmailTaken, password.ErrBusy), endpoint.ErrRegistrationClosed)}),
		endpoint.Get("/account", endpoint.Handle(accountPage), endpoint.Rule{Summary: "The signed-in user's devices", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post("/account", endpoint.Handle(accountForm), endpoint.Rule{Summary: "Sign out, or end other sessions",
			Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit, Errors: []*endpoint.Error{errUnknownAction}}),
	}
}
