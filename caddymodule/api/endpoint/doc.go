// Package endpoint is what every route of the API has in common: a resource
// declares its routes as a table, and endpoint takes each request through the
// phases that no route can forget.
//
//	security headers → CORS → route → limit by client address →
//	Bearer token or service key → body → handler → answer, or an error
//
// # To add a route
//
// Declare what it takes, what it answers and what it refuses, and make the
// function between them that calls the core:
//
//	type renameRequest struct {
//		Name string `json:"name" rule:"line,max=100,min=2,string"`
//	}
//
//	type renameResponse struct {
//		Name string `json:"name"`
//	}
//
//	func rename(ctx context.Context, c *endpoint.Call, req renameRequest) (renameResponse, error) {
//		team, err := …
//		return renameResponse{team.Name}, err
//	}
//
//	endpoint.Post("/api/v1/team", endpoint.Handle(rename), endpoint.Rule{
//		Summary: "Rename the team", Access: endpoint.User, Limit: endpoint.PerMinute(100),
//		Mappings: []endpoint.Mapping{{Err: team.ErrTaken, Answer: &endpoint.Error{Status: 409, Code: "TAKEN", Message: "The name is taken"}}},
//	})
//
// The tags of the request are those of package validate; the OpenAPI document
// of package openapi comes from the same declarations. A handler that works
// with another core than the identity core is made by [HandleWith]. The example
// of [New] is such a route with its test.
//
// # Errors
//
// An error that a handler returns is looked up in the route's Mappings, then in
// one table of the errors that the cores give everywhere. What neither knows is
// a 500 with a fixed text and an id, under which the log has the error.
//
// It is larger than others because decoding, limits, CORS, errors and answers of a call are
// one pipeline; what of it stands alone, decode, validate and openapi, has a package.
package endpoint
