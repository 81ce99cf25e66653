package sso

import (
	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
)

// TokenResponse is what a sign-in, a refresh and an exchange answer. ExpiresIn is
// in seconds.
type TokenResponse struct {
	User         TokenUser `json:"user"`
	AccessToken  string    `json:"accessToken"`
	RefreshToken string    `json:"refreshToken"`
	ExpiresIn    int64     `json:"expiresIn"`
	TokenType    string    `json:"tokenType"`
}

// TokenUser is whose tokens they are.
type TokenUser struct {
	ID    string         `json:"id"`
	Email string         `json:"email"`
	Name  string         `json:"name"`
	Role  principal.Role `json:"role"`
}

// TokensOf words tokens for a client.
func TokensOf(t authcore.Tokens) TokenResponse {
	return TokenResponse{
		User:        TokenUser{ID: t.User.ID, Email: t.User.Email, Name: t.User.Name, Role: t.User.Role},
		AccessToken: t.AccessToken, RefreshToken: t.RefreshToken,
		ExpiresIn: int64(t.ExpiresIn.Seconds()), TokenType: "Bearer",
	}
}
