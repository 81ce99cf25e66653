package organization

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/password"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
)

type registerB2BRequest struct {
	OwnerEmail       string `json:"ownerEmail" rule:"email"`
	Password         string `json:"password" rule:"max=128,min=8,string"`
	OwnerName        string `json:"ownerName" rule:"line,max=255,string"`
	OrganizationName string `json:"organizationName" rule:"line,max=255,min=2,string"`
}

// registeredOwner is the account that was made.
type registeredOwner struct {
	ID            string         `json:"id"`
	Email         string         `json:"email"`
	Name          string         `json:"name"`
	EmailVerified bool           `json:"emailVerified"`
	Image         *string        `json:"image"`
	Role          principal.Role `json:"role"`
	CreatedAt     endpoint.Time  `json:"createdAt"`
	UpdatedAt     endpoint.Time  `json:"updatedAt"`
}

// registeredB2BResponse has no token: who has registered signs in.
type registeredB2BResponse struct {
	User         registeredOwner  `json:"user"`
	Organization organizationView `json:"organization"`
	Token        *string          `json:"token"`
}

func registerB2B(ctx context.Context, c *endpoint.Call, req registerB2BRequest) (registeredB2BResponse, error) {
	u, o, err := c.Auth.RegisterOrganization(ctx, c.Client, authcore.OrganizationRegistration{
		Registration: authcore.Registration{Email: req.OwnerEmail, Password: req.Password, Name: req.OwnerName},
		Organization: req.OrganizationName,
	})
	var refused *password.Error
	if errors.As(err, &refused) {
		return registeredB2BResponse{}, endpoint.PasswordRefused("password", refused)
	}
	if err != nil {
		return registeredB2BResponse{}, worded(err)
	}
	return registeredB2BResponse{
		User: registeredOwner{
			ID: u.ID, Email: u.Email, Name: u.Name, EmailVerified: u.EmailVerified, Image: u.Image, Role: u.Role,
			CreatedAt: endpoint.Time(u.CreatedAt), UpdatedAt: endpoint.Time(u.UpdatedAt),
		},
		Organization: viewOf(o),
	}, nil
}
