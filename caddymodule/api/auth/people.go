package auth

import (
	"context"
	"fmt"
	"slices"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// maxPeople is how many users one look-up asks for.
const maxPeople = 100

type personRequest struct {
	UserID string `path:"userId" rule:"string"`
}

// person tells a back end who a user is. One who is disabled is not found: they
// cannot act.
func person(ctx context.Context, c *endpoint.Call, req personRequest) (profileResponse, error) {
	list, err := c.Auth.UsersByID(ctx, []string{req.UserID})
	if err == nil && len(list) == 0 {
		err = authcore.ErrUserNotFound
	}
	if err != nil {
		return profileResponse{}, err
	}
	return profileOf(list[0]), nil
}

// idsField are the ids of users.
type idsField []string

// Schema says what the field takes.
func (idsField) Schema() map[string]any {
	return map[string]any{"minItems": 1, "maxItems": maxPeople, "items": map[string]any{"type": "string", "minLength": 1, "maxLength": 64}}
}

type peopleRequest struct {
	IDs idsField `json:"ids" doc:"The ids of users, 100 at most."`
}

type peopleResponse struct {
	Users []profileResponse `json:"users"`
}

// people is person for many: whoever is not found is left out.
func people(ctx context.Context, c *endpoint.Call, req peopleRequest) (peopleResponse, error) {
	if len(req.IDs) == 0 || len(req.IDs) > maxPeople || slices.ContainsFunc(req.IDs, func(id string) bool { return id == "" || len(id) > 64 }) {
		return peopleResponse{}, endpoint.Invalid(fmt.Sprintf("ids must be 1 to %d texts of 1 to 64 characters", maxPeople))
	}
	list, err := c.Auth.UsersByID(ctx, req.IDs)
	resp := peopleResponse{Users: make([]profileResponse, len(list))}
	for i, u := range list {
		resp.Users[i] = profileOf(u)
	}
	return resp, err
}
