package develop

import (
	"context"
	"errors"
	"fmt"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/services"
	"mana.how/edge/creditcore"
)

// password is that of all test users.
const password = "mana-edge-dev"

// person is a test user.
type person struct {
	variable string // prefix of their environment variables
	email    string
	name     string
	role     principal.Role
	credits  creditcore.Amount
	factor   bool // asks for a code
}

// people are the test users.
var people = []person{
	{variable: "MANA", email: "user@dev.test", name: "Uma User", role: principal.RoleUser},
	{variable: "MANA_CREDITS", email: "credits@dev.test", name: "Cleo Credits", role: principal.RoleUser, credits: 1000 * creditcore.Credit},
	{variable: "MANA_ADMIN", email: "admin@dev.test", name: "Ada Admin", role: principal.RoleAdmin},
	{variable: "MANA_FACTOR", email: "factor@dev.test", name: "Finn Factor", role: principal.RoleUser, factor: true},
}

// about says what is special about the person, for people.
func (p person) about() string {
	switch {
	case p.credits > 0:
		return fmt.Sprintf("%v credits", p.credits)
	case p.factor:
		return "second factor, code " + authcore.FixedCode
	}
	return string(p.role)
}

// makePeople makes the users that are not there yet.
func makePeople(ctx context.Context, rt *services.Runtime) error {
	for _, p := range people {
		_, err := rt.Auth.UserByIDOrEmail(ctx, operator, p.email)
		if errors.Is(err, authcore.ErrUserNotFound) {
			err = p.make(ctx, rt)
		}
		if err != nil {
			return fmt.Errorf("make the user %s: %w", p.email, err)
		}
	}
	return nil
}

// operator is who makes them, for the audit trail.
var operator = principal.Operator{Name: "cli:dev"}

func (p person) make(ctx context.Context, rt *services.Runtime) error {
	u, err := rt.Auth.CreateUser(ctx, operator, authcore.NewUser{Email: p.email, Password: password, Name: p.name, Role: p.role, Verified: true})
	if err != nil {
		return err
	}
	if p.credits > 0 {
		_, err = rt.Credits.Grant(ctx, creditcore.Grant{
			UserID: u.ID, Amount: p.credits, Type: creditcore.Gift, Source: creditcore.SourceAdmin, AppID: "admin", Description: "For development",
		})
	}
	if err != nil || !p.factor {
		return err
	}
	tokens, err := rt.Auth.SignIn(ctx, principal.Client{}, p.email, password)
	if err != nil {
		return err
	}
	caller := principal.Caller{UserID: u.ID, Email: u.Email, Role: u.Role, SessionID: tokens.SessionID}
	if _, err := rt.Auth.EnrollTwoFactor(ctx, caller, password); err != nil {
		return err
	}
	return rt.Auth.ConfirmTwoFactor(ctx, caller, authcore.FixedCode)
}
