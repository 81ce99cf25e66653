// Package auth has the routes of accounts, sign-in, tokens and sessions, and of
// the browser session under /api/auth as the Better Auth library answers there.
package auth

import (
	"net/http"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/passkey"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/authcore/twofactor"
	"mana.how/edge/caddymodule/api/endpoint"
)

// Config is what an admin decides of these routes.
type Config struct {
	// RegistrationClosed refuses everybody an account, and InvitationRequired
	// whoever has no invitation.
	RegistrationClosed, InvitationRequired bool
}

const exchangePath = "/api/v1/auth/session-to-token"

// Routes are those of identity.
func Routes(cfg Config) []endpoint.Route {
	var closed *endpoint.Error
	if cfg.RegistrationClosed {
		closed = endpoint.ErrRegistrationClosed
	}
	const v1 = "/api/v1/auth"
	owner := append(endpoint.AnswersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword, authcore.ErrUserNotFound, authcore.ErrNoSession, password.ErrBusy), endpoint.ErrNotRecent, endpoint.ErrCrossSite)
	factor := append(endpoint.AnswersTo(authcore.ErrSecondFactorFailed, authcore.ErrSecondFactorExpired, authcore.ErrInvalidCredentials, authcore.ErrNoSession, twofactor.ErrNotEnabled), errOrigin, errNoOrigin, endpoint.ErrCrossSite)
	routes := []endpoint.Route{
		endpoint.Post(v1+"/register", endpoint.Handle(register), endpoint.Rule{Summary: "Make an account",
			Status: http.StatusCreated, Access: endpoint.Anyone, Limit: endpoint.PerMinute(5), Closed: closed, ProofOfWork: true, Headers: endpoint.WorkHeaders,
			Mappings: []endpoint.Mapping{{Err: authcore.ErrInvalidInput, Answer: endpoint.Invalid("email must be an email")}},
			Errors:   append(endpoint.AnswersTo(authcore.ErrEmailTaken, authcore.ErrInvitation, authcore.ErrPasswordsOff), endpoint.ErrRegistrationClosed)}),
		endpoint.Get(v1+"/signup-status", endpoint.Handle(signUpStatus(cfg)), endpoint.Rule{Summary: "Whether an account can be made", Limit: endpoint.BackEndLimit}),
		endpoint.Get(v1+"/challenge", endpoint.Handle(workChallenge), endpoint.Rule{Summary: "A challenge of ALTCHA, for routes that ask for a proof of work", Access: endpoint.Anyone, Limit: endpoint.UserLimit}),
		endpoint.Post(v1+"/login", endpoint.Handle(login), endpoint.Rule{Summary: "Sign in an app", Access: endpoint.Anyone, Limit: endpoint.PerMinute(10),
			Errors: append(endpoint.AnswersTo(authcore.ErrInvalidCredentials, authcore.ErrEmailNotVerified, authcore.ErrPasswordsOff), endpoint.ErrSecondFactorNeeded)}),
		endpoint.Post(v1+"/login/second-factor", endpoint.Handle(loginSecondFactor), endpoint.Rule{Summary: "Complete a sign-in with a second factor", Access: endpoint.Anyone, Limit: endpoint.PerMinute(10),
			Errors: endpoint.AnswersTo(authcore.ErrSecondFactorFailed, authcore.ErrSecondFactorExpired, authcore.ErrInvalidCredentials)}),
		endpoint.Post(v1+"/login/code", endpoint.Handle(loginCode), endpoint.Rule{Summary: "Sign in an app with a mailed code", Access: endpoint.Anyone, Limit: endpoint.PerMinute(10),
			Errors: append(endpoint.AnswersTo(authcore.ErrInvalidCode, authcore.ErrPasswordsOff), endpoint.ErrSecondFactorNeeded)}),
		endpoint.Post(v1+"/logout", endpoint.Handle(logout), endpoint.Rule{Summary: "End the session of an access token, refresh token or cookie",
			Access: endpoint.Anyone, Body: endpoint.Lenient, Limit: endpoint.UserLimit}),
		endpoint.Post(v1+"/refresh", endpoint.Handle(refresh), endpoint.Rule{Summary: "Exchange a refresh token for its successor",
			Access: endpoint.Anyone, Limit: endpoint.UserLimit, Recoverable: true,
			Errors:   endpoint.AnswersTo(authcore.ErrInvalidRefreshToken, authcore.ErrRefreshExpired),
			Mappings: []endpoint.Mapping{{Err: authcore.ErrUserNotFound, Answer: &endpoint.Error{Status: 401, Code: "USER_NOT_FOUND", Message: "User not found"}}}}),
		endpoint.Get(v1+"/session", endpoint.Handle(session), endpoint.Rule{Summary: "The caller's account and session",
			Access: endpoint.User, Limit: endpoint.UserLimit, Errors: endpoint.AnswersTo(authcore.ErrUserNotFound, authcore.ErrSessionNotFound)}),
		endpoint.Post(v1+"/validate", endpoint.Handle(validateToken), endpoint.Rule{Summary: "Verify an access token for a back end",
			Access: endpoint.Anyone, Body: endpoint.Lenient, Limit: endpoint.BackEndLimit}),
		endpoint.Post(v1+"/ticket", endpoint.Handle(ticket), ticketRule()),
		endpoint.Post(exchangePath, endpoint.Handle(exchange), endpoint.Rule{Summary: "Tokens for an app out of the SSO cookie",
			Access: endpoint.Cookie, Limit: endpoint.UserLimit, Errors: append(endpoint.AnswersTo(authcore.ErrNoSession), errNoCookie)}),

		endpoint.Get(v1+"/jwks", endpoint.Handle(jwks), endpoint.Rule{Summary: "Public signing keys", Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit}),
		endpoint.Get("/api/auth/jwks", endpoint.Handle(jwks), endpoint.Rule{Summary: "Public signing keys", Access: endpoint.Anyone, AnyOrigin: true, Format: endpoint.BetterAuth, Limit: endpoint.BackEndLimit}),
		endpoint.Get("/.well-known/jwks.json", endpoint.Handle(jwks), endpoint.Rule{Summary: "Public signing keys", Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit}),
		endpoint.Get("/api/oidc/jwks", endpoint.Handle(jwks), endpoint.Rule{Summary: "Public signing keys", Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit}),

		endpoint.Get("/api/v1/internal/users/{userId}", endpoint.Handle(person), endpoint.Rule{Summary: "Who a user is", Access: endpoint.Service, ServiceScope: servicekey.ReadUsers,
			Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}),
		endpoint.Post("/api/v1/internal/users/lookup", endpoint.Handle(people), endpoint.Rule{Summary: "Who some users are", Access: endpoint.Service, ServiceScope: servicekey.ReadUsers}),

		endpoint.Get(v1+"/profile", endpoint.Handle(profile), endpoint.Rule{Summary: "The caller's profile", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}),
		endpoint.Post(v1+"/profile", endpoint.Handle(updateProfile), endpoint.Rule{Summary: "Change name or picture", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}),
		endpoint.Post(v1+"/change-password", endpoint.Handle(changePassword), endpoint.Rule{Summary: "Change the password and end all other sessions",
			Access: endpoint.User, Limit: endpoint.PerMinute(5), Errors: endpoint.AnswersTo(authcore.ErrNoPassword, password.ErrBusy),
			Mappings: []endpoint.Mapping{{Err: authcore.ErrWrongPassword, Answer: &endpoint.Error{Status: 401, Code: "WRONG_PASSWORD", Message: "Current password is incorrect"}}}}),
		endpoint.Post(v1+"/forgot-password", endpoint.Handle(forgotPassword), endpoint.Rule{Summary: "Mail the link to another password", Access: endpoint.Anyone, ProofOfWork: true, Headers: endpoint.WorkHeaders, Limit: endpoint.PerMinute(3), Errors: endpoint.AnswersTo(authcore.ErrPasswordsOff)}),
		endpoint.Post(v1+"/reset-password", endpoint.Handle(resetPassword), endpoint.Rule{Summary: "Another password by a link", Access: endpoint.Anyone, Limit: endpoint.PerMinute(5),
			Errors: append(endpoint.AnswersTo(authcore.ErrPasswordsOff, password.ErrBusy), endpoint.ErrResetToken)}),
		endpoint.Post(v1+"/resend-verification", endpoint.Handle(resendVerification), endpoint.Rule{Summary: "Mail the link that confirms an address", Access: endpoint.Anyone, ProofOfWork: true, Headers: endpoint.WorkHeaders, Limit: endpoint.PerMinute(3)}),
		endpoint.Delete(v1+"/account", endpoint.Handle(deleteAccount), endpoint.Rule{Summary: "Delete the account", Access: endpoint.User, Limit: endpoint.PerMinute(3),
			Errors: endpoint.AnswersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword, password.ErrBusy)}),

		endpoint.Get(v1+"/sessions", endpoint.Handle(sessions), endpoint.Rule{Summary: "The caller's devices", Access: endpoint.User, Limit: endpoint.UserLimit}),
		endpoint.Delete(v1+"/sessions", endpoint.Handle(revokeSessions), endpoint.Rule{Summary: "End all other sessions, or all there are", Access: endpoint.User, Limit: endpoint.UserLimit}),
		endpoint.Delete(v1+"/sessions/{id}", endpoint.Handle(revokeSession), endpoint.Rule{Summary: "End a session", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: endpoint.AnswersTo(authcore.ErrSessionNotFound)}),

		endpoint.Get(v1+"/two-factor", endpoint.Handle(twoFactor), endpoint.Rule{Summary: "The caller's second factor", Access: endpoint.User, Limit: endpoint.UserLimit,
			Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}),
		endpoint.Post(v1+"/reauthenticate", endpoint.Handle(reauthenticate), endpoint.Rule{Summary: "Show once more who the caller is", Access: endpoint.User, Limit: endpoint.PerMinute(10),
			Errors: append(endpoint.AnswersTo(authcore.ErrWrongPassword, authcore.ErrNoPassword, authcore.ErrSecondFactorFailed, authcore.ErrSessionNotFound, twofactor.ErrNotEnabled, password.ErrBusy, passkey.ErrFailed), errOneProof)}),
		endpoint.Post(v1+"/change-email", endpoint.Handle(changeEmail), endpoint.Rule{Summary: "Mail the link that gives the account another address", Access: endpoint.User, Limit: endpoint.PerMinute(3),
			Errors: append(endpoint.AnswersTo(authcore.ErrUserNotFound, authcore.ErrSameEmail, challenge.ErrTooMany), endpoint.ErrNotRecent)}),

		endpoint.Get(v1+"/security-events", endpoint.Handle(securityEvents), endpoint.Rule{Summary: "What happened to the caller's account", Access: endpoint.User, Limit: endpoint.UserLimit}),

		endpoint.Get("/api/auth/get-session", endpoint.Handle(getSession), endpoint.Rule{Summary: "The SSO session, or null",
			Access: endpoint.Cookie, Format: endpoint.BetterAuth, Limit: sessionLimit}),
		endpoint.Post("/api/auth/sign-in/email", endpoint.Handle(signInEmail), endpoint.Rule{Summary: "Sign in and set the SSO cookie",
			Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: signInLimit,
			Errors: append(endpoint.AnswersTo(authcore.ErrPasswordsOff, authcore.ErrInvalidCredentials, authcore.ErrEmailNotVerified, password.ErrBusy), errOrigin, errNoOrigin, errEmailForm, errCallback)}),
		endpoint.Post("/api/auth/two-factor/enable", endpoint.Handle(enableTwoFactor), endpoint.Rule{Summary: "Set up a second factor", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(5),
			Errors: slices.Concat(owner, endpoint.AnswersTo(twofactor.ErrEnabled))}),
		endpoint.Post("/api/auth/two-factor/disable", endpoint.Handle(disableTwoFactor), endpoint.Rule{Summary: "Take the second factor away", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(5),
			Errors: slices.Concat(owner, endpoint.AnswersTo(twofactor.ErrNotEnabled))}),
		endpoint.Post("/api/auth/two-factor/generate-backup-codes", endpoint.Handle(renewBackupCodes), endpoint.Rule{Summary: "Make the backup codes anew", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(5),
			Errors: slices.Concat(owner, endpoint.AnswersTo(twofactor.ErrNotEnabled))}),
		endpoint.Post("/api/auth/two-factor/verify-totp", endpoint.Handle(verifyTOTP), endpoint.Rule{Summary: "Complete a sign-in, or the set-up, with a code of an authenticator", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(10),
			Errors: slices.Concat(factor, endpoint.AnswersTo(authcore.ErrUserNotFound))}),
		endpoint.Post("/api/auth/two-factor/verify-backup-code", endpoint.Handle(verifyBackupCode), endpoint.Rule{Summary: "Complete a sign-in with a backup code", Access: endpoint.Anyone, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(10),
			Errors: factor}),
		endpoint.Post("/api/auth/magic-link/send-magic-link", endpoint.Handle(sendMagicLink), endpoint.Rule{Summary: "Mail a link and a code that sign in", Access: endpoint.Anyone, ProofOfWork: true, Headers: endpoint.WorkHeaders, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(3),
			Errors: []*endpoint.Error{errOrigin, errNoOrigin, errEmailForm, errCallback}}),
		endpoint.Post("/api/auth/sign-in/magic-link", endpoint.Handle(sendMagicLink), endpoint.Rule{Summary: "Mail a link and a code that sign in", Access: endpoint.Anyone, ProofOfWork: true, Headers: endpoint.WorkHeaders, Body: endpoint.Lenient, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(3),
			Errors: []*endpoint.Error{errOrigin, errNoOrigin, errEmailForm, errCallback}}),
		endpoint.Post("/api/auth/sign-out", endpoint.Handle(signOut), endpoint.Rule{Summary: "End the SSO session and clear its cookie",
			Access: endpoint.Cookie, Format: endpoint.BetterAuth, Limit: sessionLimit}),
	}
	for i := range routes {
		// Whoever has to set a second factor up looks after their account meanwhile,
		// but gets no tokens for apps.
		routes[i].Enrolling = routes[i].Path != exchangePath
	}
	return routes
}
