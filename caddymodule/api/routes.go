package api

import (
	"net/http"
	"slices"

	"mana.how/edge/authcore"
)

// routes is the table: everything this service answers to.
func routes() []*route {
	const v1 = "/api/v1/auth"
	table := []*route{
		post(v1+"/register", handle(register), rule{summary: "Make an account",
			status: http.StatusCreated, access: anyone, limit: perMinute(5), registers: true,
			faults:   []fault{{authcore.ErrInvalidInput, invalid([]bodyFault{{text: "email must be an email"}})}},
			refusals: append(answersTo(authcore.ErrEmailTaken), errRegistrationClosed)}),
		get(v1+"/signup-status", handle(signUpStatus), rule{summary: "Whether an account can be made", limit: serviceLimit}),
		post(v1+"/login", handle(login), rule{summary: "Sign in an app", access: anyone, limit: perMinute(10),
			refusals: answersTo(authcore.ErrInvalidCredentials)}),
		post(v1+"/logout", handle(logout), rule{summary: "End the session of an access token, refresh token or cookie",
			access: anyone, body: lenient, limit: authLimit}),
		post(v1+"/refresh", handle(refresh), rule{summary: "Exchange a refresh token for its successor",
			access: anyone, limit: authLimit, recoverable: true,
			refusals: answersTo(authcore.ErrInvalidRefreshToken, authcore.ErrRefreshExpired),
			faults:   []fault{{authcore.ErrUserNotFound, &problem{status: 401, code: "USER_NOT_FOUND", text: "User not found"}}}}),
		get(v1+"/session", handle(session), rule{summary: "The caller's account and session",
			access: user, limit: authLimit, refusals: answersTo(authcore.ErrUserNotFound, authcore.ErrSessionNotFound)}),
		post(v1+"/validate", handle(validate), rule{summary: "Verify an access token for a back end",
			access: anyone, body: lenient, limit: serviceLimit}),
		post(v1+"/session-to-token", handle(exchange), rule{summary: "Tokens for an app out of the SSO cookie",
			access: cookie, limit: authLimit, refusals: append(answersTo(authcore.ErrNoSession), errNoCookie)}),

		get(v1+"/jwks", handle(jwks), rule{summary: "Public signing keys", access: anyone, limit: serviceLimit}),
		get("/api/auth/jwks", handle(jwks), rule{summary: "Public signing keys", access: anyone, shape: native, limit: serviceLimit}),
		get("/api/oidc/jwks", handle(jwks), rule{summary: "Public signing keys", access: anyone, limit: serviceLimit}),

		get(v1+"/profile", handle(profile), rule{summary: "The caller's profile", access: user, limit: authLimit,
			refusals: answersTo(authcore.ErrUserNotFound)}),
		post(v1+"/profile", handle(updateProfile), rule{summary: "Change name or picture", access: user, limit: authLimit,
			refusals: answersTo(authcore.ErrUserNotFound)}),
		post(v1+"/change-password", handle(changePassword), rule{summary: "Change the password and end all other sessions",
			access: user, limit: perMinute(5), refusals: answersTo(authcore.ErrNoPassword, authcore.ErrBusy),
			faults: []fault{{authcore.ErrWrongPassword, &problem{status: 401, code: "WRONG_PASSWORD", text: "Current password is incorrect"}}}}),
		del(v1+"/account", handle(deleteAccount), rule{summary: "Delete the account", access: user, limit: perMinute(3),
			refusals: answersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword, authcore.ErrBusy)}),

		get(v1+"/sessions", handle(sessions), rule{summary: "The caller's devices", access: user, limit: authLimit}),
		del(v1+"/sessions", handle(revokeOtherSessions), rule{summary: "End all other sessions", access: user, limit: authLimit}),
		del(v1+"/sessions/{id}", handle(revokeSession), rule{summary: "End a session", access: user, limit: authLimit,
			refusals: answersTo(authcore.ErrSessionNotFound)}),

		get("/api/auth/get-session", handle(getSession), rule{summary: "The SSO session, or null",
			access: cookie, shape: native, limit: nativeLimit}),
		post("/api/auth/sign-in/email", handle(signInEmail), rule{summary: "Sign in and set the SSO cookie",
			access: anyone, body: lenient, shape: native, limit: signInLimit,
			refusals: append(answersTo(authcore.ErrInvalidCredentials, authcore.ErrBusy), errOrigin, errNoOrigin, errEmailForm, errCallback)}),
		post("/api/auth/sign-out", handle(signOut), rule{summary: "End the SSO session and clear its cookie",
			access: cookie, shape: native, limit: nativeLimit}),

		get("/", handle(rootPage), rule{summary: "To the account or to sign-in", access: cookie, shape: page, limit: authLimit}),
		get("/favicon.ico", handle(icon), rule{summary: "The icon of the pages", shape: page, limit: serviceLimit, media: "image/svg+xml"}),
		get("/favicon.svg", handle(icon), rule{summary: "The icon of the pages", shape: page, limit: serviceLimit, media: "image/svg+xml"}),
		get("/login", handle(loginPage), rule{summary: "Sign-in page", access: cookie, shape: page, limit: authLimit,
			refusals: []*problem{{status: 409, code: "LOOP", text: "The browser was sent here again and again"}}}),
		post("/login", handle(loginForm), rule{summary: "Sign-in form", access: anyone, body: lenient, shape: page, limit: perMinute(10),
			refusals: answersTo(authcore.ErrInvalidCredentials, authcore.ErrBusy)}),
		get("/register", handle(registerPage), rule{summary: "Registration page", access: anyone, shape: page, limit: authLimit,
			registers: true, refusals: []*problem{errRegistrationClosed}}),
		post("/register", handle(registerForm), rule{summary: "Registration form", access: anyone, body: lenient, shape: page, limit: perMinute(5),
			registers: true, refusals: append(answersTo(authcore.ErrEmailTaken, authcore.ErrBusy), errRegistrationClosed)}),
		get("/account", handle(accountPage), rule{summary: "The signed-in user's devices", access: cookie, shape: page, limit: authLimit}),
		post("/account", handle(accountForm), rule{summary: "Sign out, or end other sessions",
			access: cookie, body: lenient, shape: page, limit: authLimit, refusals: []*problem{errUnknownAction}}),

		get("/api/v1/openapi.json", handle(openAPIDocument), rule{summary: "This document", limit: authLimit}),
		get("/api-docs-json", handle(openAPIDocument), rule{summary: "This document", limit: authLimit}),
		get("/api-docs", handle(docsPage), rule{summary: "This document as a page", shape: page, limit: authLimit}),
	}
	for _, prefix := range []string{"", "/api/v1"} {
		table = append(table,
			get(prefix+"/health", handle(healthy), rule{summary: "The process serves", limit: serviceLimit}),
			get(prefix+"/health/live", handle(live), rule{summary: "Liveness probe", limit: serviceLimit}),
			get(prefix+"/health/ready", handle(ready), rule{summary: "Readiness probe", limit: serviceLimit, unready: true}),
		)
	}
	table = slices.Concat(table, creditRoutes(), giftRoutes(), paymentRoutes(), subscriptionRoutes())
	for _, rt := range table {
		// What anybody may ask the database has a limit, unless it brings a
		// signature. Bearers of tokens and keys may well be whole back ends.
		if rt.access == anyone && rt.body != raw && rt.limit.count == 0 {
			rt.limit = serviceLimit
		}
	}
	return table
}

func get(path string, h handler, r rule) *route  { return &route{http.MethodGet, path, h, r} }
func post(path string, h handler, r rule) *route { return &route{http.MethodPost, path, h, r} }
func del(path string, h handler, r rule) *route  { return &route{http.MethodDelete, path, h, r} }
