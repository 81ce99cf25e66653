package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

const (
	// TicketTTL is how long a ticket is good.
	TicketTTL = 30 * time.Second
	// TicketPrefix is how tickets begin, by which they are told from what apps call one.
	TicketPrefix = "mt_"
	// ticketLength is that of the prefix and 256 bits in base64url.
	ticketLength = len(TicketPrefix) + 43
)

// ticket is what a challenge to open one request knows: of which session it is, and
// for which site.
type ticket struct {
	SessionID string `json:"sessionId"`
	Origin    string `json:"origin"`
}

// NewTicket makes a ticket by which whoever has it may send one request to the site
// of an origin (RFC 6454) as the caller's session. It is for clients that cannot set
// headers, as those of WebSockets and server-sent events in browsers.
func (s *Verifier) NewTicket(ctx context.Context, c principal.Caller, origin string) (made string, err error) {
	err = s.with.Store.AsUser(ctx, c, func(ctx context.Context, tx pgx.Tx, u account.User) error {
		made, err = challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.Ticket, UserID: u.ID, Address: u.Email, Data: ticket{c.SessionID, siteOrigin(origin)}, TTL: TicketTTL, Unbounded: true,
		})
		return err
	})
	return TicketPrefix + made, err
}

// RedeemTicket gives an access token for the session of a ticket, to be sent upstream,
// and what it says. The ticket is good no more, whether it was for the site or not. It
// fails with [token.ErrInvalid], or [account.ErrUnavailable].
func (s *Verifier) RedeemTicket(ctx context.Context, presented, origin string) (string, token.Claims, error) {
	if len(presented) != ticketLength {
		return "", token.Claims{}, token.ErrInvalid
	}
	place := time.NewTimer(dbscope.Wait)
	defer place.Stop()
	select {
	case s.keyLookups <- struct{}{}:
		defer func() { <-s.keyLookups }()
	case <-place.C:
		return "", token.Claims{}, account.ErrUnavailable
	}
	var found []session.WithUser
	err := s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		found = nil
		c, err := challenge.FindTx(ctx, tx, challenge.Ticket, strings.TrimPrefix(presented, TicketPrefix))
		if errors.Is(err, challenge.ErrUnknown) || err == nil && c.Over() {
			return token.ErrInvalid
		}
		if err != nil {
			return err
		}
		var t ticket
		if err := json.Unmarshal(c.Data, &t); err != nil {
			return err
		}
		if err := challenge.ConsumeTx(ctx, tx, c); err != nil || t.Origin != siteOrigin(origin) {
			return err
		}
		found, err = ticketSessionTx(ctx, tx, c.UserID, t.SessionID)
		return err
	})
	if err == nil && len(found) == 0 {
		err = token.ErrInvalid
	}
	if err != nil {
		return "", token.Claims{}, err
	}
	signer, err := s.with.Ring.Signer()
	if err != nil {
		return "", token.Claims{}, err
	}
	claims := s.newClaims(subjectOf(found[0].User(), found[0].Session))
	signed, err := token.Sign(signer, claims)
	return signed, claims, err
}

// ticketSessionTx is the session with its user, if it lives.
func ticketSessionTx(ctx context.Context, tx pgx.Tx, userID, sessionID string) ([]session.WithUser, error) {
	rows, err := tx.Query(ctx,
		`SELECT `+session.Columns+`, `+session.UserColumns+`
		 FROM auth.sessions AS s
		 JOIN auth.users AS u ON u.id = s.user_id
		 WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > now() AND `+account.Usable, sessionID, userID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[session.WithUser])
}

// siteOrigin is an origin in the form in which two are compared: in small letters,
// without the port that its scheme has anyway.
func siteOrigin(origin string) string {
	origin = strings.ToLower(origin)
	if host, ok := strings.CutPrefix(origin, "https://"); ok {
		return "https://" + strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(origin, ":80")
}
