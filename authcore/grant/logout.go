package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mana.how/edge/authcore/openid"
	"mana.how/edge/internal/dbscope"
	"mana.how/edge/internal/ids"
	"mana.how/edge/internal/publicnet"
)

// LogoutQueue keeps what clients are to be told of sessions that have ended, until each
// knows.
type LogoutQueue interface {
	// PutLogoutTx keeps one in the transaction that took it.
	PutLogoutTx(ctx context.Context, tx pgx.Tx, l openid.Logout) error
	// Wake has what waits delivered at once.
	Wake()
}

const (
	// logoutBatch is how many sessions that have ended are taken at once.
	logoutBatch = 200
	// logoutTokenTTL bounds when a client may still take a logout token (OpenID Connect
	// Back-Channel Logout, section 2.4).
	logoutTokenTTL = 2 * time.Minute
	logoutTimeout  = 10 * time.Second
)

// QueueLogouts takes a batch of sessions that have ended and queues those whose client
// wants to be told. It reports whether there may be more.
func (s *Grants) QueueLogouts(ctx context.Context) (more bool, err error) {
	ids, err := openid.LoggedOut(ctx, s.with.DB)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	unwanted := make(map[string]bool)
	for _, id := range ids { // before the transaction, for it takes connections of its own
		c, err := s.OpenIDClient(ctx, id)
		if err != nil && !errors.Is(err, openid.ErrUnknownClient) {
			return false, err
		}
		unwanted[id] = err != nil || c.BackchannelLogoutURI == ""
	}
	queued := false
	err = s.with.DB.InTx(ctx, dbscope.System(), func(ctx context.Context, tx pgx.Tx) error {
		ended, err := openid.TakeLogoutsTx(ctx, tx, logoutBatch)
		more, queued = len(ended) == logoutBatch, false
		if err != nil {
			return err
		}
		for _, l := range ended {
			if unwanted[l.ClientID] {
				continue
			}
			if err := s.with.Logouts.PutLogoutTx(ctx, tx, l); err != nil {
				return err
			}
			queued = true
		}
		return nil
	})
	if err == nil && queued {
		s.with.Logouts.Wake()
	}
	return more, err
}

// NoLogouts is the queue of a service that tells nobody: of a command.
type NoLogouts struct{}

// PutLogoutTx implements [LogoutQueue].
func (NoLogouts) PutLogoutTx(context.Context, pgx.Tx, openid.Logout) error { return nil }

// Wake implements [LogoutQueue].
func (NoLogouts) Wake() {}

// ErrLogoutRefused means that a client will never take a logout.
var ErrLogoutRefused = errors.New("the client refuses the logout")

// logoutHTTP follows no redirect: a client that moved says so to its admin.
var logoutHTTP = &http.Client{
	Timeout:       logoutTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// strangersHTTP tells clients that have registered themselves.
var strangersHTTP = publicnet.Client()

// DeliverLogout tells a client that a session of it has ended (OpenID Connect Back-Channel
// Logout, section 2.5). It fails with [ErrLogoutRefused] where it is of no use to try
// again. A client that is gone, or wants to be told no more, is no error.
func (s *Grants) DeliverLogout(ctx context.Context, l openid.Logout) error {
	c, err := s.OpenIDClient(ctx, l.ClientID)
	if errors.Is(err, openid.ErrUnknownClient) || err == nil && c.BackchannelLogoutURI == "" {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := s.logoutToken(ctx, c, l)
	if err != nil {
		return err
	}
	form := url.Values{"logout_token": {text}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackchannelLogoutURI, strings.NewReader(form))
	if err != nil {
		return errors.Join(ErrLogoutRefused, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	by := logoutHTTP
	if c.Registered {
		by = strangersHTTP
	}
	answer, err := by.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	_ = answer.Body.Close()
	switch {
	case answer.StatusCode < 300:
		return nil
	case answer.StatusCode == http.StatusBadRequest:
		return fmt.Errorf("%w: status %d", ErrLogoutRefused, answer.StatusCode) // as section 2.8 words a token that is not taken
	}
	return fmt.Errorf("the client answered a logout with status %d", answer.StatusCode)
}

// logoutToken is the JWT of section 2.4. It has no nonce, so that it is never taken for
// an ID token.
func (s *Grants) logoutToken(ctx context.Context, c openid.Client, l openid.Logout) (string, error) {
	now := s.with.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": s.with.Issuer, "sub": l.UserID, "aud": c.ID, "sid": l.SessionID, "jti": ids.New(),
		"iat": now.Unix(), "exp": now.Add(logoutTokenTTL).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	if err != nil {
		return "", err
	}
	return s.SignForClient(ctx, c, "logout+jwt", payload)
}
