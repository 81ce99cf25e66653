package auth

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
)

type profileResponse struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	Email         string         `json:"email"`
	EmailVerified bool           `json:"emailVerified"`
	Image         *string        `json:"image,omitempty"`
	Role          principal.Role `json:"role"`
	CreatedAt     endpoint.Time  `json:"createdAt"`
}

func profile(ctx context.Context, c *endpoint.Call, _ endpoint.None) (profileResponse, error) {
	u, err := c.Auth.Profile(ctx, c.Caller)
	if err != nil {
		return profileResponse{}, err
	}
	return profileOf(u), nil
}

func profileOf(u authcore.User) profileResponse {
	return profileResponse{
		ID: u.ID, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified,
		Image: u.Image, Role: u.Role, CreatedAt: endpoint.Time(u.CreatedAt),
	}
}

type updateProfileRequest struct {
	Name  *string `json:"name" rule:"optional,line,max=100,min=2,string"`
	Image *string `json:"image" rule:"optional,weburl"`
}

type updateProfileResponse struct {
	Success bool        `json:"success"`
	User    profileUser `json:"user"`
}

type profileUser struct {
	ID    string  `json:"id"`
	Name  string  `json:"name"`
	Email string  `json:"email"`
	Image *string `json:"image,omitempty"`
}

func updateProfile(ctx context.Context, c *endpoint.Call, req updateProfileRequest) (updateProfileResponse, error) {
	u, err := c.Auth.UpdateProfile(ctx, c.Caller, authcore.ProfileChange{Name: req.Name, Image: req.Image})
	if err != nil {
		return updateProfileResponse{}, err
	}
	return updateProfileResponse{true, profileUser{ID: u.ID, Name: u.Name, Email: u.Email, Image: u.Image}}, nil
}
