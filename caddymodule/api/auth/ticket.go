package auth

import (
	"context"
	"net/http"
	"strings"

	"mana.how/edge/authcore"
	"mana.how/edge/authcore/verifier"
	"mana.how/edge/caddymodule/api/endpoint"
)

type ticketRequest struct {
	URL string `json:"url" rule:"max=2048,string" doc:"What the ticket is for: an address of a site of the family. Its scheme may be wss or ws."`
}

type ticketResponse struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expiresIn"`
}

// ticket gives a client that cannot set headers what it may put into the query of
// one request instead.
func ticket(ctx context.Context, c *endpoint.Call, req ticketRequest) (ticketResponse, error) {
	target := req.URL
	for socket, plain := range map[string]string{"wss://": "https://", "ws://": "http://"} {
		if len(target) > len(socket) && strings.EqualFold(target[:len(socket)], socket) {
			target = plain + target[len(socket):]
			break
		}
	}
	origin := c.TrustedOrigin(target)
	if origin == "" {
		return ticketResponse{}, endpoint.Invalid("url is not a trusted origin's")
	}
	made, err := c.Auth.NewTicket(ctx, c.Caller, origin)
	c.Header.Set("Cache-Control", "no-store")
	return ticketResponse{made, int64(verifier.TicketTTL.Seconds())}, err
}

// ticketRule is everything about the route.
func ticketRule() endpoint.Rule {
	return endpoint.Rule{Summary: "A ticket for one request of a client that cannot set headers", Status: http.StatusCreated,
		Access: endpoint.User, Limit: endpoint.UserLimit, Errors: endpoint.AnswersTo(authcore.ErrUserNotFound)}
}
