package admin

import (
	"context"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/kept"
	"mana.how/edge/caddymodule/request"
)

// maxUsers is how long a page of users may be.
const maxUsers = 100

type usersRequest struct {
	Page   *int    `query:"page" rule:"optional"`
	Limit  *int    `query:"limit" rule:"optional"`
	Search *string `query:"search" rule:"optional,max=255,string"`
}

type usersResponse struct {
	Users []listedUser `json:"users"`
	Total int          `json:"total"`
	Page  int          `json:"page"`
	Limit int          `json:"limit"`
}

type listedUser struct {
	ID            string         `json:"id"`
	Email         string         `json:"email"`
	EmailVerified bool           `json:"emailVerified"`
	Name          string         `json:"name"`
	Role          string         `json:"role"`
	Disabled      bool           `json:"disabled"`
	CreatedAt     endpoint.Time  `json:"createdAt"`
	LastActiveAt  *endpoint.Time `json:"lastActiveAt,omitempty"`
}

func listed(u authcore.User) listedUser {
	return listedUser{
		ID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name, Role: string(u.Role), Disabled: u.DisabledAt != nil,
		CreatedAt: endpoint.Time(u.CreatedAt),
	}
}

// users pages through the accounts. What is out of range is moved into it.
func (Deps) users(ctx context.Context, c *endpoint.Call, req usersRequest) (usersResponse, error) {
	page, limit := 1, 20
	if req.Page != nil {
		page = min(max(1, *req.Page), 1_000_000)
	}
	if req.Limit != nil {
		limit = min(max(1, *req.Limit), maxUsers)
	}
	list, total, err := c.Auth.UserPage(ctx, operator(c, ""), authcore.UserQuery{
		Search: endpoint.TextOf(req.Search), Limit: limit, Offset: (page - 1) * limit,
	})
	if err != nil {
		return usersResponse{}, err
	}
	resp := usersResponse{Users: make([]listedUser, len(list)), Total: total, Page: page, Limit: limit}
	for i, u := range list {
		resp.Users[i] = listed(u.User)
		resp.Users[i].LastActiveAt = endpoint.TimeOf(u.LastActiveAt)
	}
	return resp, nil
}

// userByID finds an account by its id alone.
func userByID(ctx context.Context, c *endpoint.Call, id string) (authcore.User, error) {
	return c.Auth.UserByID(ctx, operator(c, ""), id)
}

type userRequest struct {
	UserID string `path:"userId" rule:"string"`
}

// dataOf is what is kept of a user. One that is unknown is named in the answer.
func dataOf(ctx context.Context, c *endpoint.Call, userID string) (authcore.AccountData, error) {
	account, err := c.Auth.AccountDataOf(ctx, operator(c, ""), userID)
	if e := c.Known(err); e != nil && e.Code == errNoUser.Code {
		named := *errNoUser
		named.Message = "User " + request.Printable(userID, 64) + " not found"
		return account, &named
	}
	return account, err
}

func (d Deps) data(ctx context.Context, c *endpoint.Call, req userRequest) (kept.Summary, error) {
	account, err := dataOf(ctx, c, req.UserID)
	if err != nil {
		return kept.Summary{}, err
	}
	return d.Data.Summarize(ctx, account)
}

// reasonedRequest names a user, and why something is done to them.
type reasonedRequest struct {
	UserID string `path:"userId" rule:"string"`
	Reason string `json:"reason" rule:"string,notempty,upto=1000"`
}

// eraseUserRequest may lack the reason: clients of the replaced service send none.
type eraseUserRequest struct {
	UserID string  `path:"userId" rule:"string"`
	Reason *string `json:"reason" rule:"optional,string,upto=1000"`
}

// erase deletes a user. They are not mailed.
func (d Deps) erase(ctx context.Context, c *endpoint.Call, req eraseUserRequest) (kept.Erased, error) {
	if req.UserID == c.UserID {
		return kept.Erased{}, errYourself
	}
	account, err := dataOf(ctx, c, req.UserID)
	if err != nil {
		return kept.Erased{}, err
	}
	return d.Data.Erase(ctx, c, account, func() error {
		return c.Auth.DeleteUser(ctx, operator(c, endpoint.TextOf(req.Reason)), req.UserID)
	})
}

type changeUserRequest struct {
	UserID   string  `path:"userId" rule:"string"`
	Role     *string `json:"role" rule:"optional,oneof=user|support|admin|service"`
	Disabled *bool   `json:"disabled" rule:"optional"`
	Reason   string  `json:"reason" rule:"string,notempty,upto=1000"`
}

// change gives a user another role, or bars them or lets them in again. An admin
// does neither to themselves, so that one is left.
func change(ctx context.Context, c *endpoint.Call, req changeUserRequest) (listedUser, error) {
	if req.UserID == c.UserID {
		return listedUser{}, errYourself
	}
	op := operator(c, req.Reason)
	u, err := userByID(ctx, c, req.UserID)
	if err == nil && req.Role != nil && *req.Role != string(u.Role) {
		u, err = c.Auth.SetRole(ctx, op, u.ID, principal.Role(*req.Role))
	}
	if err == nil && req.Disabled != nil && *req.Disabled != (u.DisabledAt != nil) {
		u, err = c.Auth.SetDisabled(ctx, op, u.ID, *req.Disabled)
	}
	if err != nil {
		return listedUser{}, err
	}
	return listed(u), nil
}

type endedResponse struct {
	Success  bool `json:"success"`
	Sessions int  `json:"sessions"`
}

func endSessions(ctx context.Context, c *endpoint.Call, req reasonedRequest) (endedResponse, error) {
	op := operator(c, req.Reason)
	u, err := userByID(ctx, c, req.UserID)
	if err != nil {
		return endedResponse{}, err
	}
	n, err := c.Auth.RevokeUserSessions(ctx, op, u.ID)
	return endedResponse{Success: err == nil, Sessions: n}, err
}

type doneResponse struct {
	Success bool `json:"success"`
}

func resetFactor(ctx context.Context, c *endpoint.Call, req reasonedRequest) (doneResponse, error) {
	err := c.Auth.ResetTwoFactor(ctx, operator(c, req.Reason), req.UserID)
	return doneResponse{Success: err == nil}, err
}
