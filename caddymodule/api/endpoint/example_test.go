package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// serve is the handler of a table at https://auth.example.test, without any core.
func serve(table ...endpoint.Route) (http.Handler, error) {
	return endpoint.New(
		endpoint.Config{BaseURL: &url.URL{Scheme: "https", Host: "auth.example.test"}},
		endpoint.Deps{
			Auth:     func(context.Context) (*authcore.Service, error) { return nil, errors.New("not there") },
			SameSite: func(*http.Request) error { return nil },
			ClientIP: func(*http.Request) netip.Addr { return netip.Addr{} },
		}, table)
}

type greetRequest struct {
	Name  string `path:"name" rule:"max=8,string"`
	Times *int   `json:"times" rule:"optional,least=1,most=3"`
}

type greetResponse struct {
	Greeting string `json:"greeting"`
}

var errShy = errors.New("does not want to be greeted")

func greet(_ context.Context, _ *endpoint.Call, req greetRequest) (greetResponse, error) {
	if req.Name == "bob" {
		return greetResponse{}, errShy
	}
	times := 1
	if req.Times != nil {
		times = *req.Times
	}
	return greetResponse{strings.Repeat("Hello, ", times) + req.Name}, nil
}

// A route with what it takes, what it answers and what it refuses.
func Example() {
	handler, err := serve(endpoint.Post("/greet/{name}", endpoint.Handle(greet), endpoint.Rule{
		Summary: "Greet somebody", Access: endpoint.Open,
		Mappings: []endpoint.Mapping{{Err: errShy, Answer: &endpoint.Error{Status: 409, Code: "SHY", Message: "Does not want to be greeted"}}},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, sent := range []struct{ path, body string }{
		{"/greet/ada", ""},
		{"/greet/ada", `{"times":2}`},
		{"/greet/alexandria", `{"times":4}`},
		{"/greet/bob", ""},
	} {
		r := httptest.NewRequest("POST", sent.path, strings.NewReader(sent.body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		message, _, _ := strings.Cut(w.Body.String(), `,"timestamp"`)
		fmt.Println(w.Code, message)
	}
	// Output:
	// 200 {"greeting":"Hello, ada"}
	// 200 {"greeting":"Hello, Hello, ada"}
	// 400 {"statusCode":400,"message":["name must be shorter than or equal to 8 characters","times must not be greater than 3"]
	// 409 {"statusCode":409,"message":"Does not want to be greeted"
}
