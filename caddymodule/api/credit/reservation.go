package credit

import (
	"context"
	"errors"
	"net/http"
	"time"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/creditcore"
	"mana.how/edge/internal/usertext"
)

// reservationTTL is how long a reservation lives whose maker does not say.
const reservationTTL = 5 * time.Minute

// backEnd is the app that rows of the ledger name where a back end names none.
const backEnd = "internal"

// appIDHeader names the app that a back end acts for.
const appIDHeader = "X-App-Id"

var ofApp = []endpoint.HeaderParam{{Name: appIDHeader, Text: "The app that the back end acts for; the ledger names it."}}

// appID is what a back end calls itself: by its key where that has a name, which
// it cannot act beyond.
func appID(c *endpoint.Call) (string, error) {
	id := usertext.Clean(c.Request.Header.Get(appIDHeader), 255)
	switch {
	case id != "":
		return id, c.ActFor(id)
	case c.Key.Name != "":
		return c.Key.Name, nil
	}
	return backEnd, nil
}

// ownReservation fails with [creditcore.ErrHoldNotFound] where a back end with a
// key of its own asks for another's reservation.
func ownReservation(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, id string) error {
	if c.Key.Name == "" {
		return nil
	}
	app, err := ledger.ReservedFor(ctx, id)
	if err == nil && !c.Key.MayActFor(app) {
		err = creditcore.ErrHoldNotFound
	}
	return err
}

var errReservationNotFound = &endpoint.Error{Status: http.StatusNotFound, Code: "RESERVATION_NOT_FOUND", Message: "Reservation not found"}

var reservations = []endpoint.Mapping{{Err: creditcore.ErrHoldNotFound, Answer: errReservationNotFound}}

// errReservationResolved and errReservationExceeded document what [resolvable]
// answers.
var (
	errReservationResolved = &endpoint.Error{Status: http.StatusBadRequest, Code: "RESERVATION_RESOLVED", Message: "Cannot commit reservation in status: committed"}
	errReservationExceeded = &endpoint.Error{Status: http.StatusBadRequest, Code: "RESERVATION_EXCEEDED", Message: "amount must not be greater than what was reserved"}
)

// resolvable words why a reservation is not resolved.
func resolvable(err error) error {
	var resolved *creditcore.ResolvedError
	var exceeds *creditcore.ExceedsError
	switch {
	case errors.As(err, &resolved):
		e := *errReservationResolved
		e.Message = resolved.Error()
		return &e
	case errors.As(err, &exceeds):
		e := *errReservationExceeded
		e.Message = exceeds.Error()
		return &e
	}
	return err
}

type reserveRequest struct {
	UserID         string            `json:"userId" rule:"string,notempty"`
	OrganizationID *string           `json:"organizationId" rule:"optional,max=64,string" doc:"The organization that pays; the user where absent."`
	Amount         creditcore.Amount `json:"amount" rule:"positive"`
	Reason         string            `json:"reason" rule:"string,upto=255" doc:"What the credits are for; the operation of the charge."`
	TTL            *int              `json:"ttl" rule:"optional,integer,least=1,most=86400" doc:"Seconds until it comes back by itself, 300 where absent."`
}

type reserveResponse struct {
	ReservationID string            `json:"reservationId"`
	Balance       creditcore.Amount `json:"balance"`
	ExpiresAt     endpoint.Time     `json:"expiresAt"`
}

// reserve puts credits of a user aside for what a back end is about to do.
func reserve(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req reserveRequest) (reserveResponse, error) {
	ttl := reservationTTL
	if req.TTL != nil {
		ttl = time.Duration(*req.TTL) * time.Second
	}
	app, err := appID(c)
	if err != nil {
		return reserveResponse{}, err
	}
	reason := usertext.Clean(req.Reason, 4*255)
	expires := c.Now().Add(ttl)
	held, err := ledger.Reserve(ctx, creditcore.Hold{
		UserID: req.UserID, Organization: endpoint.TextOf(req.OrganizationID), Amount: req.Amount, AppID: app, Operation: reason, Description: reason, TTL: ttl,
	})
	if err != nil {
		return reserveResponse{}, err
	}
	return reserveResponse{ReservationID: held.ID, Balance: held.Balance.Available, ExpiresAt: endpoint.Time(expires)}, nil
}

type commitRequest struct {
	ReservationID string             `json:"reservationId" rule:"string,notempty"`
	Amount        *creditcore.Amount `json:"amount" rule:"optional,positive" doc:"What of it is charged, all where absent; the rest is free again."`
	Description   *string            `json:"description" rule:"optional,string,upto=1000"`
}

type commitResponse struct {
	Success       bool              `json:"success"`
	TransactionID string            `json:"transactionId"`
	Charged       creditcore.Amount `json:"charged"`
	Balance       creditcore.Amount `json:"balance"`
}

// commit charges a reservation.
func commit(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req commitRequest) (commitResponse, error) {
	if err := ownReservation(ctx, c, ledger, req.ReservationID); err != nil {
		return commitResponse{}, err
	}
	r, err := ledger.Commit(ctx, req.ReservationID, req.Amount, usertext.Clean(endpoint.TextOf(req.Description), 4*1000))
	if err != nil {
		return commitResponse{}, resolvable(err)
	}
	return commitResponse{Success: true, TransactionID: r.Entry.ID, Charged: -r.Entry.Amount, Balance: r.Balance.Available}, nil
}

type refundReservationRequest struct {
	ReservationID string `json:"reservationId" rule:"string,notempty"`
}

type refundReservationResponse struct {
	Success bool              `json:"success"`
	Balance creditcore.Amount `json:"balance"`
}

// refundReservation gives a reservation back.
func refundReservation(ctx context.Context, c *endpoint.Call, ledger *creditcore.Service, req refundReservationRequest) (refundReservationResponse, error) {
	if err := ownReservation(ctx, c, ledger, req.ReservationID); err != nil {
		return refundReservationResponse{}, err
	}
	b, err := ledger.Cancel(ctx, req.ReservationID)
	if err != nil {
		return refundReservationResponse{}, resolvable(err)
	}
	return refundReservationResponse{Success: true, Balance: b.Available}, nil
}
