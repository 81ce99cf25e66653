package gate

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mana.how/edge/authcore/principal"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/request"
)

// satisfied reports whether a user has authenticated as lately and by all the
// methods that the gate asks for.
func (g *Gate) satisfied(who *request.Principal) bool {
	if age := time.Duration(g.MaxAge); age > 0 && time.Since(who.AuthTime) > age {
		return false
	}
	for _, method := range g.AMR {
		if !who.Methods.Has(principal.Method(method)) {
			return false
		}
	}
	return true
}

// stepUp asks a signed-in user to show once more who they are (RFC 9470): a
// navigation goes to the page for it, and from there back.
func (g *Gate) stepUp(q *gateRequest) error {
	if g.Login == "never" || q.bearer == "" || q.byKey || !request.IsNavigation(q.r) {
		return q.refuse(g.insufficient())
	}
	q.count("step_up")
	query := url.Values{}
	if len(g.AMR) > 0 {
		query.Set("amr", strings.Join(g.AMR, ","))
	}
	return g.navigation(q).ToPage("/reauthenticate", query)
}

// insufficient is the answer to who is no navigation.
func (g *Gate) insufficient() answer.Error {
	challenge := `Bearer error="insufficient_user_authentication"`
	if age := time.Duration(g.MaxAge); age > 0 {
		challenge += ", max_age=" + strconv.FormatInt(int64(age/time.Second), 10)
	}
	if len(g.AMR) > 0 {
		challenge += `, error_description="needs ` + strings.Join(g.AMR, " ") + `"`
	}
	return answer.Error{
		Status: http.StatusUnauthorized, Code: "INSUFFICIENT_USER_AUTHENTICATION", Message: "Recent authentication required",
		Challenge: challenge,
	}
}
