package grant

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/audit"
	"mana.how/edge/authcore/challenge"
	"mana.how/edge/authcore/openid"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/internal/dbscope"
)

// NeedsConsent reports whether the user must be asked before the client gets the
// scopes.
func (s *Grants) NeedsConsent(ctx context.Context, userID string, c openid.Client, scopes []string) (bool, error) {
	if c.Trusted {
		return false, nil
	}
	list, err := openid.Consents(ctx, s.with.DB, userID)
	return err == nil && !openid.Covers(list, c.ID, scopes), err
}

// consentTTL is how long a question of consent can be answered.
const consentTTL = 10 * time.Minute

// consentQuestion is what a question of consent is about: the query of the
// authorization request, as it came.
type consentQuestion struct {
	Client    string `json:"client"`
	SessionID string `json:"session"`
	Query     string `json:"query"`
}

// AskConsent keeps a question for the holder of a browser session, and returns the code
// by which it is answered.
func (s *Grants) AskConsent(ctx context.Context, b Holder, c openid.Client, query string) (code string, err error) {
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		code, err = challenge.MakeTx(ctx, tx, challenge.New{
			Purpose: challenge.Consent, UserID: b.UserID(), Address: b.User().Email, TTL: consentTTL, Unbounded: true,
			Data: consentQuestion{Client: c.ID, SessionID: b.Session().ID, Query: query},
		})
		return err
	})
	return code, err
}

// ConsentQuestion returns the client and the query of a question that was asked in the
// browser session. It fails with [openid.ErrConsent].
func (s *Grants) ConsentQuestion(ctx context.Context, b Holder, code string) (c openid.Client, query string, err error) {
	var q consentQuestion
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		_, q, err = consentQuestionTx(ctx, tx, b, code)
		return err
	})
	if err == nil { // behind the transaction: it takes a connection of its own
		c, err = s.OpenIDClient(ctx, q.Client)
	}
	return c, q.Query, err
}

// AnswerConsent notes what the user decided, and returns the client and the query to go
// on with. A question is answered once. It fails with [openid.ErrConsent].
func (s *Grants) AnswerConsent(ctx context.Context, client principal.Client, b Holder, code string, accept bool, scopesOf func(openid.Client, string) []string) (c openid.Client, query string, err error) {
	if c, query, err = s.ConsentQuestion(ctx, b, code); err != nil {
		return c, query, err
	}
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		asked, _, err := consentQuestionTx(ctx, tx, b, code)
		if err != nil {
			return err
		}
		if err := challenge.ConsumeTx(ctx, tx, asked); err != nil || !accept {
			return err
		}
		scopes := scopesOf(c, query)
		if err := openid.ConsentTx(ctx, tx, b.UserID(), c.ID, scopes); err != nil {
			return err
		}
		return audit.RecordTx(ctx, tx, audit.Event{Type: "app_connected", UserID: b.UserID(), Client: client,
			Metadata: map[string]any{"client": c.ID, "scopes": strings.Join(scopes, " ")}})
	})
	return c, query, err
}

func consentQuestionTx(ctx context.Context, tx pgx.Tx, b Holder, code string) (asked challenge.Challenge, q consentQuestion, err error) {
	asked, err = challenge.FindTx(ctx, tx, challenge.Consent, code)
	switch {
	case errors.Is(err, challenge.ErrUnknown):
		return asked, q, openid.ErrConsent
	case err != nil:
		return asked, q, err
	case asked.Over() || asked.UserID != b.UserID():
		return asked, q, openid.ErrConsent
	}
	if err := json.Unmarshal(asked.Data, &q); err != nil {
		return asked, q, err
	}
	if q.SessionID != b.Session().ID {
		err = openid.ErrConsent
	}
	return asked, q, err
}
