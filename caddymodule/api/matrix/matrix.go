// Package matrix has the routes by which bots and users link Matrix ids to
// accounts, and bots act for whom they hear.
package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/matrix"
	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/api/endpoint"
)

// What the routes refuse, in the words that bots know.
var (
	errAuthentication = &endpoint.Error{Status: 401, Code: "AUTHENTICATION_REQUIRED", Message: "Authentication required"}
	errServiceKey     = &endpoint.Error{Status: 401, Code: "SERVICE_KEY_REQUIRED", Message: "Valid service key required"}
	errUserID         = &endpoint.Error{Status: 401, Code: "USER_ID_REQUIRED", Message: "userId required when using service key"}
	errMatrixUserID   = &endpoint.Error{Status: 401, Code: "MATRIX_USER_ID_REQUIRED", Message: "matrixUserId is required"}
	errID             = &endpoint.Error{Status: 400, Code: "INVALID_MATRIX_USER_ID", Message: matrix.ErrID.Error()}
	errTaken          = &endpoint.Error{Status: 409, Code: "MATRIX_USER_TAKEN", Message: matrix.ErrTaken.Error()}
	errServerRefuses  = &endpoint.Error{Status: 403, Code: "MATRIX_TOKEN_REFUSED", Message: matrix.ErrToken.Error()}
	errServerAway     = &endpoint.Error{Status: 502, Code: "MATRIX_SERVER_UNAVAILABLE", Message: matrix.ErrServer.Error()}
	errNotLinked      = &endpoint.Error{Status: 404, Code: "MATRIX_LINK_NOT_FOUND", Message: matrix.ErrNotLinked.Error()}
)

// Routes are those of Matrix ids, under the doubled prefix that bots call too.
func Routes() (table []endpoint.Route) {
	notLinked := []endpoint.Mapping{{Err: matrix.ErrNotLinked, Answer: errNotLinked}}
	for _, prefix := range []string{"/api/v1/api/v1/auth", "/api/v1/auth"} {
		links := prefix + "/matrix-user-links"
		table = append(table,
			endpoint.Post(links, endpoint.Handle(link), endpoint.Rule{Summary: "Link a Matrix id to an account", Status: http.StatusCreated,
				Access: endpoint.UserOrService, ServiceScope: servicekey.LinkMatrix, Unauthenticated: errAuthentication, Limit: endpoint.BackEndLimit,
				Mappings: []endpoint.Mapping{{Err: matrix.ErrTaken, Answer: errTaken}, {Err: matrix.ErrID, Answer: errID},
					{Err: matrix.ErrToken, Answer: errServerRefuses}, {Err: matrix.ErrServer, Answer: errServerAway}},
				Errors: append(endpoint.AnswersTo(authcore.ErrUserNotFound), errUserID, errMatrixUserID)}),
			endpoint.Get(links+"/check/{matrixUserId}", endpoint.Handle(check), endpoint.Rule{Summary: "Whether an account is linked to a Matrix id",
				Access: endpoint.Service, ServiceScope: servicekey.LinkMatrix, Unauthenticated: errServiceKey, Limit: endpoint.BackEndLimit}),
			endpoint.Delete(links+"/{matrixUserId}", endpoint.Handle(unlink), endpoint.Rule{Summary: "End the link of a Matrix id",
				Access: endpoint.UserOrService, ServiceScope: servicekey.LinkMatrix, Unauthenticated: errAuthentication, Limit: endpoint.BackEndLimit,
				Mappings: notLinked}),
			endpoint.Get(prefix+"/matrix-session/{matrixUserId}", endpoint.Handle(session), endpoint.Rule{
				Summary: "An access token for the account that is linked to a Matrix id, for bots",
				Access:  endpoint.Service, ServiceScope: servicekey.MatrixSession, Unauthenticated: errServiceKey, Limit: endpoint.BackEndLimit,
				Mappings: notLinked}),
		)
	}
	return table
}

type linkRequest struct {
	MatrixUserID string     `json:"matrixUserId" rule:"optional,string"`
	Email        string     `json:"email" rule:"optional,max=255,string"`
	UserID       string     `json:"userId" rule:"optional,max=255,string" doc:"Whose account, for back ends."`
	OpenIDToken  tokenField `json:"openIdToken" rule:"optional,object" doc:"Shows that the Matrix id is the user's, as its server answers at /openid/request_token."`
}

// tokenField is an OpenID token as the Matrix server of a user gives it to them.
type tokenField json.RawMessage

// Schema says what the field takes. Servers may add to it.
func (tokenField) Schema() map[string]any {
	return map[string]any{
		"type": "object", "required": []string{"access_token", "matrix_server_name"},
		"properties": map[string]any{
			"access_token": map[string]any{"type": "string"}, "matrix_server_name": map[string]any{"type": "string"},
			"token_type": map[string]any{"type": "string"}, "expires_in": map[string]any{"type": "integer"},
		},
	}
}

func (f tokenField) token() (token matrix.OpenIDToken, err error) {
	var sent struct {
		AccessToken string `json:"access_token"`
		ServerName  string `json:"matrix_server_name"`
	}
	if json.Unmarshal(f, &sent) != nil || sent.AccessToken == "" || sent.ServerName == "" {
		return token, endpoint.Invalid("openIdToken must have access_token and matrix_server_name")
	}
	return matrix.OpenIDToken{AccessToken: sent.AccessToken, ServerName: sent.ServerName}, nil
}

type linkedResponse struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
}

// link links an id: a back end any, to the user it names or whose token it brings
// beside its key, and a user one that nobody has, or that its server says is
// theirs, to their own account.
func link(ctx context.Context, c *endpoint.Call, req linkRequest) (linkedResponse, error) {
	if req.MatrixUserID == "" {
		return linkedResponse{}, errMatrixUserID
	}
	var err error
	switch {
	case c.Service:
		if err = nameUser(c, req.UserID); err == nil {
			err = c.Auth.LinkMatrixID(ctx, c.Caller, req.MatrixUserID, req.Email, c.Key.Name)
		}
	case req.OpenIDToken != nil:
		var token matrix.OpenIDToken
		if token, err = req.OpenIDToken.token(); err == nil {
			err = c.Auth.LinkMatrixByToken(ctx, c.Caller, req.MatrixUserID, req.Email, token)
		}
	default:
		err = c.Auth.ClaimMatrixID(ctx, c.Caller, req.MatrixUserID, req.Email)
	}
	return linkedResponse{true, "Matrix user " + req.MatrixUserID + " linked successfully"}, err
}

// nameUser makes the user that a back end names the caller.
func nameUser(c *endpoint.Call, userID string) error {
	named, err := c.UserBesideKey()
	switch {
	case err != nil:
		return err
	case userID != "":
		c.UserID = userID
	case !named:
		return errUserID
	}
	return nil
}

type matrixUserRequest struct {
	MatrixUserID string `path:"matrixUserId" rule:"max=255,string" doc:"Encoded: %40name%3Aexample.org."`
}

func unlink(ctx context.Context, c *endpoint.Call, req matrixUserRequest) (linkedResponse, error) {
	var err error
	if c.Service {
		err = c.Auth.UnlinkAnyMatrixID(ctx, c.Client, req.MatrixUserID, c.Key.Name)
	} else {
		err = c.Auth.UnlinkMatrixID(ctx, c.Caller, req.MatrixUserID)
	}
	return linkedResponse{true, "Matrix user " + req.MatrixUserID + " unlinked successfully"}, err
}

type checkLinkResponse struct {
	Linked bool `json:"linked"`
}

func check(ctx context.Context, c *endpoint.Call, req matrixUserRequest) (checkLinkResponse, error) {
	_, err := c.Auth.MatrixUser(ctx, req.MatrixUserID)
	if errors.Is(err, matrix.ErrNotLinked) {
		return checkLinkResponse{}, nil
	}
	return checkLinkResponse{err == nil}, err
}

type matrixSessionResponse struct {
	Token string `json:"token"`
	Email string `json:"email"`
}

func session(ctx context.Context, c *endpoint.Call, req matrixUserRequest) (matrixSessionResponse, error) {
	bot := "bot"
	if c.Key.Name != "" {
		bot = "bot (" + c.Key.Name + ")"
	}
	token, u, err := c.Auth.MatrixSession(ctx, c.Client, req.MatrixUserID, bot, c.Key.Name)
	return matrixSessionResponse{token, u.Email}, err
}
