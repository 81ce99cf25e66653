package auth

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
)

// sessionUser and sessionState are the account and session as GET session and
// get-session show them. Token is a reference without power.
type sessionUser struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Email         string         `json:"email"`
	EmailVerified bool           `json:"emailVerified"`
	Image         *string        `json:"image"`
	CreatedAt     endpoint.Time  `json:"createdAt"`
	UpdatedAt     endpoint.Time  `json:"updatedAt"`
	Role          principal.Role `json:"role,omitempty"`
}

type sessionState struct {
	ID                   string        `json:"id"`
	UserID               string        `json:"userId"`
	Token                string        `json:"token"`
	ExpiresAt            endpoint.Time `json:"expiresAt"`
	CreatedAt            endpoint.Time `json:"createdAt"`
	UpdatedAt            endpoint.Time `json:"updatedAt"`
	IPAddress            *string       `json:"ipAddress"`
	UserAgent            *string       `json:"userAgent"`
	ActiveOrganizationID *string       `json:"activeOrganizationId,omitempty"`
}

type sessionResponse struct {
	Session sessionState `json:"session"`
	User    sessionUser  `json:"user"`
}

func userOf(u authcore.User) sessionUser {
	return sessionUser{
		ID: u.ID, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Image: u.Image,
		CreatedAt: endpoint.Time(u.CreatedAt), UpdatedAt: endpoint.Time(u.UpdatedAt),
	}
}

func stateOf(s authcore.Session) sessionState {
	return sessionState{
		ID: s.ID, UserID: s.UserID, Token: s.Token,
		ExpiresAt: endpoint.Time(s.ExpiresAt), CreatedAt: endpoint.Time(s.CreatedAt), UpdatedAt: endpoint.Time(s.UpdatedAt),
		IPAddress: s.IPAddress, UserAgent: s.UserAgent, ActiveOrganizationID: s.ActiveOrganizationID,
	}
}

func session(ctx context.Context, c *endpoint.Call, _ endpoint.None) (sessionResponse, error) {
	u, s, err := c.Auth.Session(ctx, c.Caller)
	if err != nil {
		return sessionResponse{}, err
	}
	shown := userOf(u)
	shown.Role = u.Role
	return sessionResponse{stateOf(s), shown}, nil
}

// deviceSession is a session as its owner sees it in a list of their devices.
// Kind is "app" or "browser"; Current marks the one that asks.
type deviceSession struct {
	ID             string               `json:"id"`
	Kind           authcore.SessionKind `json:"kind"`
	DeviceID       *string              `json:"deviceId"`
	DeviceName     *string              `json:"deviceName"`
	IPAddress      *string              `json:"ipAddress"`
	UserAgent      *string              `json:"userAgent"`
	CreatedAt      endpoint.Time        `json:"createdAt"`
	LastActivityAt endpoint.Time        `json:"lastActivityAt"`
	ExpiresAt      endpoint.Time        `json:"expiresAt"`
	Current        bool                 `json:"current"`
}

func sessions(ctx context.Context, c *endpoint.Call, _ endpoint.None) ([]deviceSession, error) {
	list, err := c.Auth.Sessions(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	out := make([]deviceSession, len(list))
	for i, s := range list {
		out[i] = deviceSession{
			ID: s.ID, Kind: s.Kind, DeviceID: s.DeviceID, DeviceName: s.DeviceName,
			IPAddress: s.IPAddress, UserAgent: s.UserAgent,
			CreatedAt: endpoint.Time(s.CreatedAt), LastActivityAt: endpoint.Time(s.LastActivityAt), ExpiresAt: endpoint.Time(s.ExpiresAt),
			Current: s.ID == c.SessionID,
		}
	}
	return out, nil
}

type revokeSessionRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

func revokeSession(ctx context.Context, c *endpoint.Call, req revokeSessionRequest) (done, error) {
	if err := c.Auth.RevokeSession(ctx, c.Caller, req.ID); err != nil {
		return done{}, err
	}
	return done{true, "Session revoked"}, nil
}

type revokedResponse struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Revoked int    `json:"revoked"`
}

type revokeSessionsRequest struct {
	// All ends the session that asks, too.
	All string `query:"all" rule:"optional,oneof=true|false"`
}

// revokeSessions ends all other sessions of the caller, or all there are.
func revokeSessions(ctx context.Context, c *endpoint.Call, req revokeSessionsRequest) (revokedResponse, error) {
	if req.All != "true" {
		n, err := c.Auth.RevokeOtherSessions(ctx, c.Caller)
		return revokedResponse{true, "All other sessions revoked", n}, err
	}
	n, err := c.Auth.RevokeAllSessions(ctx, c.Caller)
	if err != nil {
		return revokedResponse{}, err
	}
	sso.Clear(c)
	return revokedResponse{true, "All sessions revoked", n}, nil
}
