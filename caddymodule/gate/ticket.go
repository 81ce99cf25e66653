package gate

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/authcore/verifier"
	"mana.how/edge/caddymodule/request"
)

// ticketParameter is how the parameter of the query begins that is a ticket of ours.
// Another value of the name is the app's.
const ticketParameter = "ticket=" + verifier.TicketPrefix

// takeTicket takes the tickets out of the query, so that none reaches an app, and
// returns the first one where it counts: of a GET, or a WebSocket's CONNECT, that
// brings no Authorization. The request is another one where there was any.
func takeTicket(r *http.Request) (_ *http.Request, ticket string) {
	if !strings.Contains(r.URL.RawQuery, ticketParameter) {
		return r, ""
	}
	query, ticket := withoutTickets(r.URL.RawQuery)
	if ticket == "" {
		return r, ""
	}
	r.URL.RawQuery = query
	r.RequestURI = r.URL.RequestURI()
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		asked := *original.URL
		asked.RawQuery, _ = withoutTickets(asked.RawQuery)
		original.URL, original.RequestURI = &asked, asked.RequestURI()
		r = r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
	}
	if r.Method != http.MethodGet && r.Method != http.MethodConnect || len(r.Header["Authorization"]) > 0 {
		return r, ""
	}
	return r, ticket
}

// withoutTickets is a query without its tickets, the first of which it returns.
func withoutTickets(query string) (rest, ticket string) {
	var kept []string
	for parameter := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(parameter, ticketParameter) {
			kept = append(kept, parameter)
		} else if ticket == "" {
			ticket = strings.TrimPrefix(parameter, "ticket=")
		}
	}
	return strings.Join(kept, "&"), ticket
}

func (q *gateRequest) authenticateTicket(ctx context.Context) (err error) {
	q.bearer, q.claims, err = q.auth.RedeemTicket(ctx, q.ticket, request.Origin(q.r))
	return err
}

// byCookie reports whether the browser by itself sent what the caller is known by.
func (q *gateRequest) byCookie() bool { return q.bearer != "" && !q.byKey && q.ticket == "" }
