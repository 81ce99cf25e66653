package oidc

import (
	"context"
	"net/http"
	"reflect"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
)

const (
	// base is where clients find the endpoints, and alias where they find them too.
	base  = "/api/auth/oauth2/"
	alias = "/api/oidc/"

	consentPath = "/consent"
	devicePath  = "/device"
	signOutPath = "/sign-out"
)

// The refusals that are not written by the protocol's library.
var (
	errConsent  = &endpoint.Error{Status: 400, Code: "CONSENT_OVER", Message: "This question is not valid any more"}
	errUserCode = &endpoint.Error{Status: 400, Code: "USER_CODE", Message: "This code is not valid any more"}
	errClient   = &endpoint.Error{Status: 404, Code: "CLIENT_NOT_FOUND", Message: "Client not found"}
	errNobody   = &endpoint.Error{Status: 401, Code: "UNAUTHORIZED", Message: "Unauthorized"}
)

// The refusals of the protocol, for the OpenAPI document. The library writes them.
var (
	badRequest   = &endpoint.Error{Status: 400, Code: "invalid_request", Message: "The request is not one of the protocol"}
	badRedirect  = &endpoint.Error{Status: 400, Code: "INVALID_REDIRECT_URI", Message: "Invalid redirect URI"}
	badGrant     = &endpoint.Error{Status: 400, Code: "invalid_grant", Message: "The grant is not valid"}
	badClient    = &endpoint.Error{Status: 401, Code: "invalid_client", Message: "The client is not known, or not by this secret"}
	badMetadata  = &endpoint.Error{Status: 400, Code: "invalid_client_metadata", Message: "A field of the client is not as it should be"}
	badToken     = &endpoint.Error{Status: 401, Code: "invalid_token", Message: "The access token is not valid"}
	noOpenID     = &endpoint.Error{Status: 403, Code: "insufficient_scope", Message: "The access token was not granted openid"}
	noLongerHere = endpoint.Mapping{Err: openid.ErrUnknownClient, Answer: errClient}
)

// Routes are those of the provider.
func Routes() []endpoint.Route {
	mappings := []endpoint.Mapping{
		{Err: openid.ErrConsent, Answer: errConsent}, {Err: openid.ErrUserCode, Answer: errUserCode}, noLongerHere,
		{Err: authcore.ErrNoSession, Answer: errNobody},
	}
	routes := []endpoint.Route{
		endpoint.Get("/.well-known/openid-configuration", endpoint.Handle(discovery), endpoint.Rule{Summary: "What the OpenID provider can do (OpenID Connect Discovery)", Media: "application/json", Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit}),
		endpoint.Get("/.well-known/oauth-authorization-server", endpoint.Handle(discovery), endpoint.Rule{Summary: "What the OpenID provider can do (RFC 8414)", Media: "application/json", Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit}),
		endpoint.Get(consentPath, endpoint.Handle(consentPage), endpoint.Rule{Summary: "Page that asks what an app may have", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Mappings: mappings, Errors: []*endpoint.Error{errConsent, errClient}}),
		endpoint.Post(consentPath, endpoint.Handle(consentForm), endpoint.Rule{Summary: "Answer what an app may have", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(30), Mappings: mappings, Errors: []*endpoint.Error{errConsent, errClient}}),
		endpoint.Get(devicePath, endpoint.Handle(devicePage), endpoint.Rule{Summary: "Page to allow a device (RFC 8628)", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit}),
		endpoint.Post(devicePath, endpoint.Handle(deviceForm), endpoint.Rule{Summary: "Allow a device", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.PerMinute(10), Mappings: mappings, Errors: []*endpoint.Error{errUserCode, errClient}}),
		endpoint.Get(signOutPath, endpoint.Handle(signOutPage), endpoint.Rule{Summary: "Page that asks whether to sign out", Access: endpoint.Cookie, Format: endpoint.Page, Limit: endpoint.UserLimit, Enrolling: true}),
		endpoint.Post(signOutPath, endpoint.Handle(signOutForm), endpoint.Rule{Summary: "Sign out", Access: endpoint.Cookie, Body: endpoint.Lenient, Format: endpoint.Page, Limit: endpoint.UserLimit, Enrolling: true}),
	}
	for _, prefix := range []string{base, alias} {
		routes = append(routes,
			endpoint.Get(prefix+"authorize", endpoint.Handle(authorize), endpoint.Rule{Summary: "Sign a user in to a client (OpenID Connect Core, section 3.1.2)", Media: "application/json", Access: endpoint.Cookie, Format: endpoint.BetterAuth, Limit: endpoint.UserLimit, Found: true, Errors: []*endpoint.Error{badRequest, badRedirect}}),
			endpoint.Post(prefix+"authorize", endpoint.Handle(authorizePosted), endpoint.Rule{Summary: "Sign a user in to a client, by a form", Media: "application/json", Status: 303, Access: endpoint.Anyone, Body: endpoint.Stream, Format: endpoint.BetterAuth, Limit: endpoint.UserLimit, Errors: []*endpoint.Error{badRequest}}),
			endpoint.Post(prefix+"token", endpoint.Handle(protocol("token")), endpoint.Rule{Summary: "Exchange a code, a refresh token, a device code or a client's secret for tokens (RFC 6749)", Format: endpoint.OAuth, Media: "application/json", Access: endpoint.Anyone, AnyOrigin: true, Body: endpoint.Stream, Limit: endpoint.BackEndLimit, Errors: []*endpoint.Error{badGrant, badClient}}),
			endpoint.Get(prefix+"userinfo", endpoint.Handle(protocol("userinfo")), endpoint.Rule{Summary: "Who a client's access token is for (OpenID Connect Core, section 5.3)", Format: endpoint.OAuth, Media: "application/json", Access: endpoint.Anyone, AnyOrigin: true, Limit: endpoint.BackEndLimit, Errors: []*endpoint.Error{badToken, noOpenID}}),
			endpoint.Post(prefix+"userinfo", endpoint.Handle(protocol("userinfo")), endpoint.Rule{Summary: "Who a client's access token is for, by a form", Format: endpoint.OAuth, Media: "application/json", Access: endpoint.Anyone, AnyOrigin: true, Body: endpoint.Stream, Limit: endpoint.BackEndLimit, Errors: []*endpoint.Error{badRequest, badToken, noOpenID}}),
			endpoint.Post(prefix+"introspect", endpoint.Handle(protocol("introspect")), endpoint.Rule{Summary: "Whether a token is good, and for what (RFC 7662)", Format: endpoint.OAuth, Media: "application/json", Access: endpoint.Anyone, Body: endpoint.Stream, Limit: endpoint.BackEndLimit, Errors: []*endpoint.Error{badRequest, badClient}}),
			endpoint.Post(prefix+"revoke", endpoint.Handle(protocol("revoke")), endpoint.Rule{Summary: "End a token (RFC 7009)", Format: endpoint.OAuth, Media: "application/json", Writes: reflect.TypeFor[endpoint.NoContent](), Access: endpoint.Anyone, AnyOrigin: true, Body: endpoint.Stream, Limit: endpoint.BackEndLimit, Errors: []*endpoint.Error{badRequest, badClient}}),
			endpoint.Post(prefix+"device_authorization", endpoint.Handle(protocol("device_authorization")), endpoint.Rule{Summary: "Codes for a device that cannot show a page (RFC 8628)", Format: endpoint.OAuth, Media: "application/json", Access: endpoint.Anyone, AnyOrigin: true, Body: endpoint.Stream, Limit: endpoint.BackEndLimit, Errors: []*endpoint.Error{badRequest, badClient}}),
			endpoint.Post(prefix+"register", endpoint.Handle(register), endpoint.Rule{Summary: "Register a client by an initial access token (RFC 7591)", Format: endpoint.OAuth, Media: "application/json", Status: 201, Access: endpoint.Anyone, AnyOrigin: true, Body: endpoint.Stream, Limit: endpoint.PerMinute(10),
				Reads: reflect.TypeFor[ClientRegistration](), Writes: reflect.TypeFor[RegisteredClientResponse](), Errors: []*endpoint.Error{badMetadata, badToken}}),
			endpoint.Get(prefix+"endsession", endpoint.Handle(endSession), endpoint.Rule{Summary: "Sign out (OpenID Connect RP-Initiated Logout)", Media: "application/json", Access: endpoint.Cookie, Format: endpoint.BetterAuth, Limit: endpoint.UserLimit, Found: true, Enrolling: true, Errors: []*endpoint.Error{badRequest}}),
			endpoint.Post(prefix+"endsession", endpoint.Handle(endSession), endpoint.Rule{Summary: "Sign out, by a form", Media: "application/json", Access: endpoint.Cookie, Body: endpoint.Stream, Format: endpoint.BetterAuth, Limit: endpoint.UserLimit, Found: true, Enrolling: true, Errors: []*endpoint.Error{badRequest}}),
			endpoint.Post(prefix+"consent", endpoint.Handle(consentAnswer), endpoint.Rule{Summary: "Answer what an app may have, from a page of ours", Access: endpoint.Cookie, Format: endpoint.BetterAuth, Limit: endpoint.PerMinute(30), Mappings: mappings, Errors: []*endpoint.Error{errConsent, errClient, errNobody}}),
			endpoint.Get(prefix+"client/{id}", endpoint.Handle(describeClient), endpoint.Rule{Summary: "The name of a client", Access: endpoint.Cookie, Format: endpoint.BetterAuth, Limit: endpoint.UserLimit, Mappings: mappings, Errors: []*endpoint.Error{errClient, errNobody}}),
		)
	}
	return routes
}

type clientRequest struct {
	ID string `path:"id" rule:"max=128,string"`
}

// OpenIDClientResponse is a client as its users may know it.
type OpenIDClientResponse struct {
	ClientID string `json:"clientId"`
	Name     string `json:"name"`
	Icon     string `json:"icon"`
}

func describeClient(ctx context.Context, c *endpoint.Call, req clientRequest) (OpenIDClientResponse, error) {
	if _, err := sso.Caller(ctx, c); err != nil {
		return OpenIDClientResponse{}, err
	}
	client, err := c.Auth.OpenIDClient(ctx, req.ID)
	return OpenIDClientResponse{ClientID: client.ID, Name: client.Name, Icon: client.LogoURI}, err
}

// authorize answers a browser that a client sent here.
func authorize(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	return handle(ctx, c, "authorize")
}

// authorizePosted takes the same as a form, which comes without the session where another
// site sends it: the browser asks again with a GET.
func authorizePosted(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	form, fault := bodyOf(c.Request)
	if fault != nil {
		return fault.answer(c)
	}
	return endpoint.Redirect{To: base + "authorize?" + form.Encode(), Status: http.StatusSeeOther}, nil
}

// protocol answers what clients call themselves.
func protocol(name string) func(context.Context, *endpoint.Call, endpoint.None) (endpoint.Answer, error) {
	return func(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
		return handle(ctx, c, name)
	}
}

// endSession signs out a browser that a client sent here.
func endSession(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	return handle(ctx, c, "endsession")
}
