package authcore

import (
	"context"
	"encoding/hex"
	"errors"
	"sync/atomic"
	"time"
)

const (
	nonPersistentTTL = 24 * time.Hour
	renewAfter       = 24 * time.Hour // of use, before the cookie's end is moved on
	renewWait        = time.Second
	recheckAfter     = time.Minute      // a cached session is read again, off the request's path
	trustDuring      = 15 * time.Minute // how long a cached session is believed while the database is away
)

// cachedSession is a browser session in memory. It is immutable but for the
// upstream bearer; a newer reading replaces it.
type cachedSession struct {
	User       User
	Session    Session
	ReadAt     time.Time
	rechecking atomic.Bool
	renewing   atomic.Bool // once an entry: a renewal that fails is tried again after the next reading
	bearer     atomic.Pointer[bearer]
}

type bearer struct {
	token  string
	claims Claims
}

// storedToken is what auth.sessions.token holds for a cookie's token. Rows of
// the replaced service hold the token itself.
func storedToken(token string) string {
	d := digestOf(token)
	return "sha256:" + hex.EncodeToString(d[:])
}

// BrowserSession finds the first live session among the verified tokens of
// the SSO cookies that a request carries. In steady state it asks memory
// only. It fails with [ErrNoSession], or with [ErrUnavailable] when only the
// database could tell.
func (s *Service) BrowserSession(ctx context.Context, cookieTokens []string) (BrowserSession, error) {
	err := ErrNoSession
	for _, token := range cookieTokens {
		found, renewed, e := s.browserSession(ctx, token)
		if e == nil {
			return BrowserSession{
				User: found.User, Session: found.Session, Token: token,
				Persistent: found.Session.Persistent, Renewed: renewed,
			}, nil
		}
		if !errors.Is(e, ErrNoSession) {
			err = e
		}
	}
	return BrowserSession{}, err
}

func (s *Service) browserSession(ctx context.Context, token string) (found *cachedSession, renewed bool, err error) {
	id, now := digestOf(token), s.now()
	found, hit := s.sessions.get(id, now)
	if hit && s.stale(found) {
		s.sessions.drop(id)
		hit = false
	}
	if s.observe.SessionCache != nil {
		s.observe.SessionCache(hit)
	}
	if !hit {
		if found, err = s.readSession(ctx, token, id); err != nil {
			return nil, false, err
		}
	}
	if s.renewable(found.Session, now) && found.renewing.CompareAndSwap(false, true) {
		next, err := s.renew(ctx, token, id, found)
		if err == nil {
			return next, true, nil
		}
		if !errors.Is(err, ErrNoSession) {
			s.log.Warn("renew a browser session", "error", err)
		}
	}
	if hit && now.Sub(found.ReadAt) > recheckAfter && found.rechecking.CompareAndSwap(false, true) {
		s.rechecks.Go(func() { s.recheck(context.WithoutCancel(ctx), token, id, found) })
	}
	return found, false, nil
}

// stale tells whether a revocation overtook the entry.
func (s *Service) stale(c *cachedSession) bool {
	return s.revoked.refuses(c.Session.ID, c.User.ID, c.ReadAt)
}

// sessionWithUser is the row both are read in.
type sessionWithUser struct {
	Session
	UserName      string
	UserEmail     string
	UserVerified  bool
	UserImage     *string
	UserRole      Role
	UserCreatedAt time.Time
	UserUpdatedAt time.Time
}

const userOfSession = `u.name AS user_name, u.email AS user_email, u.email_verified AS user_verified,
	u.image AS user_image, u.role::text AS user_role, u.created_at AS user_created_at, u.updated_at AS user_updated_at`

func (r sessionWithUser) user() User {
	return User{ID: r.UserID, Name: r.UserName, Email: r.UserEmail, EmailVerified: r.UserVerified,
		Image: r.UserImage, Role: r.UserRole, CreatedAt: r.UserCreatedAt, UpdatedAt: r.UserUpdatedAt}
}

// readSession reads a session once for all who ask at the same moment, and
// notes that it was used.
func (s *Service) readSession(ctx context.Context, token string, id digest) (*cachedSession, error) {
	v, err, _ := s.loads.Do(string(id[:]), func() (any, error) {
		// One asker's leaving must not fail the others.
		ctx := context.WithoutCancel(ctx)
		readAt := s.now()
		r, err := row[sessionWithUser](ctx, s, system(),
			`UPDATE auth.sessions AS s SET last_activity_at = now()
			 FROM auth.users AS u
			 WHERE s.token IN ($1, $2) AND s.kind = 'browser' AND s.revoked_at IS NULL AND s.expires_at > now()
			   AND u.id = s.user_id AND `+usable+`
			 RETURNING `+sessionColumns+`, `+userOfSession, storedToken(token), token)
		if err != nil {
			return nil, notFound(err, ErrNoSession)
		}
		return s.remember(id, &cachedSession{User: r.user(), Session: r.Session, ReadAt: readAt}), nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*cachedSession), nil
}

func (s *Service) remember(id digest, c *cachedSession) *cachedSession {
	until := c.ReadAt.Add(recheckAfter + trustDuring)
	if c.Session.ExpiresAt.Before(until) {
		until = c.Session.ExpiresAt
	}
	s.sessions.put(id, c, until, s.now())
	return c
}

// recheck reads a cached session again. A database that is away leaves the
// entry as it is, until its time is over.
func (s *Service) recheck(ctx context.Context, token string, id digest, old *cachedSession) {
	defer old.rechecking.Store(false)
	_, err := s.readSession(ctx, token, id)
	if errors.Is(err, ErrNoSession) {
		s.sessions.drop(id)
	}
}

// renewable tells whether the session has been used for long enough that its
// end should move. One the browser forgets on closing does not live longer.
func (s *Service) renewable(ses Session, now time.Time) bool {
	if !ses.Persistent || now.Before(ses.ExpiresAt.Add(renewAfter-s.cfg.SessionTTL)) {
		return false
	}
	return s.renewedEnd(ses, now).Sub(ses.ExpiresAt) > time.Minute
}

func (s *Service) renewedEnd(ses Session, now time.Time) time.Time {
	end, last := now.Add(s.cfg.SessionTTL), ses.CreatedAt.Add(s.cfg.SessionMaxAge)
	if last.Before(end) {
		return last
	}
	return end
}

// renew moves a session's end. Only the caller that moved it reports so, and
// so the cookie is sent once.
func (s *Service) renew(ctx context.Context, token string, id digest, old *cachedSession) (*cachedSession, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewWait)
	defer cancel()
	end := s.renewedEnd(old.Session, s.now())
	n, err := s.exec(ctx, system(),
		`UPDATE auth.sessions SET expires_at = $1::timestamptz, updated_at = now()
		 WHERE id = $2 AND revoked_at IS NULL AND expires_at < $1::timestamptz - interval '30 seconds'`, end, old.Session.ID)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrNoSession // another edge, or another request, was first
	}
	return s.readSession(ctx, token, id)
}

// Bearer gives an access token for the session, to be sent upstream, and what
// it says. It is signed once and handed out again until a third of its life is
// left.
func (s *Service) Bearer(_ context.Context, b BrowserSession) (string, Claims, error) {
	now := s.now()
	entry, cached := s.sessions.get(digestOf(b.Token), now)
	if cached && !s.stale(entry) {
		if have := entry.bearer.Load(); have != nil && now.Before(have.claims.Expires.Add(-s.cfg.AccessTokenTTL/3)) {
			return have.token, have.claims, nil
		}
	}
	token, claims, err := s.accessToken(b.User, b.Session.ID, b.Session.ActiveOrganizationID)
	if err == nil && cached {
		entry.bearer.Store(&bearer{token, claims})
	}
	return token, claims, err
}
