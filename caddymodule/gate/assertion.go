package gate

import (
	"net/http"

	"go.uber.org/zap"

	"mana.how/edge/authcore/token"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/request"
)

// headerAssertion has the assertion of a request, in canonical form.
const headerAssertion = "X-Mana-Assertion"

// Assertion says that the app is told by a signed assertion, too, who a request acts
// for.
type Assertion struct {
	// The app that the assertions are for, as it verifies it; where empty, the host
	// of the request in small letters, without its port.
	Audience string `json:"audience,omitempty"`
}

// assert tells the upstream by a signed assertion who the request acts for: an app
// that does not trust its network verifies it. A request without one does not pass.
func (g *Gate) assert(q *gateRequest) (refusal *answer.Error) {
	asked := token.AssertedRequest{
		Audience: g.Assertion.Audience, Method: q.r.Method, Host: q.r.Host, Path: q.r.URL.EscapedPath(), Query: q.r.URL.RawQuery,
	}
	if asked.Method == http.MethodConnect {
		asked.Method = http.MethodGet // a WebSocket of HTTP/2 is one of HTTP/1 to the app
	}
	if asked.Audience == "" {
		asked.Audience = request.HostName(q.r.Host)
	}
	assertion, err := q.auth.Assert(q.claims, asked)
	if err != nil {
		g.Log.Error("sign an assertion", zap.Error(err))
		return &answer.Unavailable
	}
	q.r.Header[headerAssertion] = []string{assertion}
	return nil
}
