package api

import (
	"context"

	"mana.how/edge/authcore"
)

// sessionUser and sessionState are the account and session as GET session and
// get-session show them. Token is a reference without power.
type sessionUser struct {
	ID            string        `json:"id"`
	Name          string        `json:"name"`
	Email         string        `json:"email"`
	EmailVerified bool          `json:"emailVerified"`
	Image         *string       `json:"image"`
	CreatedAt     instant       `json:"createdAt"`
	UpdatedAt     instant       `json:"updatedAt"`
	Role          authcore.Role `json:"role,omitempty"`
}

type sessionState struct {
	ID                   string  `json:"id"`
	UserID               string  `json:"userId"`
	Token                string  `json:"token"`
	ExpiresAt            instant `json:"expiresAt"`
	CreatedAt            instant `json:"createdAt"`
	UpdatedAt            instant `json:"updatedAt"`
	IPAddress            *string `json:"ipAddress"`
	UserAgent            *string `json:"userAgent"`
	ActiveOrganizationID *string `json:"activeOrganizationId,omitempty"`
}

type sessionResponse struct {
	Session sessionState `json:"session"`
	User    sessionUser  `json:"user"`
}

func userOf(u authcore.User) sessionUser {
	return sessionUser{
		ID: u.ID, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Image: u.Image,
		CreatedAt: instant(u.CreatedAt), UpdatedAt: instant(u.UpdatedAt),
	}
}

func stateOf(s authcore.Session) sessionState {
	return sessionState{
		ID: s.ID, UserID: s.UserID, Token: s.Token,
		ExpiresAt: instant(s.ExpiresAt), CreatedAt: instant(s.CreatedAt), UpdatedAt: instant(s.UpdatedAt),
		IPAddress: s.IPAddress, UserAgent: s.UserAgent, ActiveOrganizationID: s.ActiveOrganizationID,
	}
}

func session(ctx context.Context, c *call, _ none) (sessionResponse, error) {
	u, s, err := c.auth.Session(ctx, c.Caller)
	if err != nil {
		return sessionResponse{}, err
	}
	shown := userOf(u)
	shown.Role = u.Role
	return sessionResponse{stateOf(s), shown}, nil
}

// deviceSession is a session as its owner sees it in a list of his devices.
// Kind is "app" or "browser"; Current marks the one that asks.
type deviceSession struct {
	ID             string               `json:"id"`
	Kind           authcore.SessionKind `json:"kind"`
	DeviceID       *string              `json:"deviceId"`
	DeviceName     *string              `json:"deviceName"`
	IPAddress      *string              `json:"ipAddress"`
	UserAgent      *string              `json:"userAgent"`
	CreatedAt      instant              `json:"createdAt"`
	LastActivityAt instant              `json:"lastActivityAt"`
	ExpiresAt      instant              `json:"expiresAt"`
	Current        bool                 `json:"current"`
}

func sessions(ctx context.Context, c *call, _ none) ([]deviceSession, error) {
	list, err := c.auth.Sessions(ctx, c.Caller)
	if err != nil {
		return nil, err
	}
	out := make([]deviceSession, len(list))
	for i, s := range list {
		out[i] = deviceSession{
			ID: s.ID, Kind: s.Kind, DeviceID: s.DeviceID, DeviceName: s.DeviceName,
			IPAddress: s.IPAddress, UserAgent: s.UserAgent,
			CreatedAt: instant(s.CreatedAt), LastActivityAt: instant(s.LastActivityAt), ExpiresAt: instant(s.ExpiresAt),
			Current: s.ID == c.SessionID,
		}
	}
	return out, nil
}

type revokeSessionRequest struct {
	ID string `path:"id" rule:"max=64,string"`
}

func revokeSession(ctx context.Context, c *call, req revokeSessionRequest) (done, error) {
	if err := c.auth.RevokeSession(ctx, c.Caller, req.ID); err != nil {
		return done{}, err
	}
	return done{true, "Session revoked"}, nil
}

type revokedResponse struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Revoked int    `json:"revoked"`
}

func revokeOtherSessions(ctx context.Context, c *call, _ none) (revokedResponse, error) {
	n, err := c.auth.RevokeOtherSessions(ctx, c.Caller)
	if err != nil {
		return revokedResponse{}, err
	}
	return revokedResponse{true, "All other sessions revoked", n}, nil
}
