package endpoint

import (
	"context"
	"errors"
	"net/http"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint/decode"
	"mana.how/edge/caddymodule/pages"
	"mana.how/edge/caddymodule/request"
	"mana.how/edge/internal/proofofwork"
)

// WorkMode says when the routes that make accounts and mails ask for a proof of
// work.
type WorkMode string

// The modes. An empty one is WorkOff.
const (
	WorkOff    WorkMode = "off"
	WorkAuto   WorkMode = "auto" // under pressure
	WorkAlways WorkMode = "always"
)

// WorkHeader carries a solution, as the field altcha of the body does.
const WorkHeader = "X-Altcha"

// WorkHeaders are what routes read that may ask for a proof of work.
var WorkHeaders = []HeaderParam{{Name: WorkHeader, Text: "The solution of a challenge, in base64, where one is asked for"}}

// ErrWorkRequired asks for a proof of work (RFC 6585, section 3).
var ErrWorkRequired = &Error{Status: 428, Code: "PROOF_OF_WORK_REQUIRED",
	Message: "Proof of work required: solve details.challenge, as ALTCHA does, and send the request again with it in " + WorkHeader}

// WorkDetails is what a client is asked to solve.
type WorkDetails struct {
	Challenge proofofwork.Challenge `json:"challenge"`
}

// ProveWork asks the request for a proof of work, where it is time to. Routes
// that answer in JSON have done so already; handlers of forms call it, and show
// the form again. It fails with an [*Error] of ErrWorkRequired's code.
func (c *Call) ProveWork(ctx context.Context) error {
	mode := c.server.ProofOfWork
	if pressure := mode == WorkAuto && c.Auth.CountPressure(); !pressure && mode != WorkAlways {
		return nil
	}
	err, outcome := proofofwork.ErrInvalid, "asked"
	if payload := c.workPayload(); payload != "" {
		outcome = "refused"
		err = c.Auth.TakeWork(ctx, payload)
	} else if ticket := c.bodyText("ticket"); ticket != "" {
		outcome = "refused"
		err = c.Auth.TakeTicket(ctx, ticket, c.Network())
	}
	if err == nil {
		c.server.worked("solved")
		return nil
	}
	if !errors.Is(err, proofofwork.ErrInvalid) {
		return err
	}
	c.server.worked(outcome)
	challenge, err := c.Auth.WorkChallenge()
	if err != nil {
		return err
	}
	return detailed(ErrWorkRequired, WorkDetails{challenge})
}

// workPayload is the solution that the request brings, empty without one.
func (c *Call) workPayload() string {
	if sent := c.Request.Header[WorkHeader]; len(sent) > 0 {
		return sent[0]
	}
	return c.bodyText("altcha")
}

// bodyText is a field of the body that is text, else empty.
func (c *Call) bodyText(name string) string {
	if v := c.body.Values[name]; v.Kind == decode.Text && v.Invalid == "" {
		return v.Text
	}
	return ""
}

func (s *server) worked(outcome string) {
	if s.Metrics.Work != nil {
		s.Metrics.Work(outcome)
	}
}

// work is what the form of a page is sent with while proofs of work are asked
// for, nil while they are not, or of a page without such a form.
func (s *server) work(r *http.Request, v pages.View) *pages.Work {
	mode := s.ProofOfWork
	if !pages.AsksForWork(v) || mode != WorkAuto && mode != WorkAlways {
		return nil
	}
	auth, err := s.Auth(r.Context())
	if err != nil || mode == WorkAuto && !auth.UnderPressure() {
		return nil
	}
	return s.newWork(auth, request.NetworkOf(s.ClientIP(r)))
}

func (s *server) newWork(auth *authcore.Service, network string) *pages.Work {
	challenge, err := auth.WorkChallenge()
	if err != nil {
		return nil // the form says what it lacks
	}
	s.worked("asked")
	return &pages.Work{Challenge: challenge, Ticket: auth.WorkTicket(network), Wait: proofofwork.Wait}
}
