package authcore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"mana.how/edge/internal/dbscope"
)

const (
	nonPersistentTTL = 24 * time.Hour
	renewAfter       = 24 * time.Hour // of use, before the cookie's end is moved on
	renewWait        = time.Second
	recheckAfter     = time.Minute      // a cached session is read again, off the request's path
	trustDuring      = 15 * time.Minute // how long a cached session is believed while the database is away
)

// storedToken is what auth.sessions.token holds for a cookie's token. Rows of
// the replaced service hold the token itself.
func storedToken(token string) string {
	d := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(d[:])
}

// sessionKey is where the session of a cookie stands in memory. It is made of
// token and signature, so that finding an entry proves the signature: entries
// are made under verified ones only.
func sessionKey(signed *signedText) digest { return digestOf(signed[:]) }

// BrowserSession finds the first live session among the SSO cookies of raw
// Cookie headers. In steady state it asks memory only. It fails with
// [ErrNoSession], of which [ErrNoCookie] is one, or with [ErrUnavailable] when
// only the database could tell.
func (s *Service) BrowserSession(ctx context.Context, cookieHeaders []string) (BrowserSession, error) {
	failure, now := ErrNoCookie, s.now()
	var tried []digest
	for value := range (cookieQuery{cookieHeaders, s.cookies.Name()}).values {
		signed, ok := parseSigned(value)
		if !ok {
			continue
		}
		id := sessionKey(&signed)
		entry, hit := s.cachedSession(id, now)
		if !hit && (slices.Contains(tried, id) || !s.cookies.signs("", &signed)) {
			continue
		}
		found, err := s.browserSession(ctx, signed.text(), id, entry, now)
		if err == nil {
			return found, nil
		}
		tried = append(tried, id)
		if errors.Is(failure, ErrNoCookie) || !errors.Is(err, ErrNoSession) {
			failure = err
		}
	}
	return BrowserSession{}, failure
}

// cachedSession looks into memory. An entry that a revocation has overtaken is
// read again.
func (s *Service) cachedSession(id digest, now time.Time) (*cachedSession, bool) {
	entry, hit := s.sessions.get(id, now)
	if hit && s.stale(entry) {
		s.sessions.drop(id)
		return nil, false
	}
	return entry, hit
}

// browserSession completes a session found in memory, nil if it was not.
func (s *Service) browserSession(ctx context.Context, token string, id digest, found *cachedSession, now time.Time) (BrowserSession, error) {
	hit := found != nil
	if s.observe.SessionCache != nil {
		s.observe.SessionCache(hit)
	}
	if !hit {
		var err error
		if found, err = s.readSession(ctx, token, id); err != nil {
			return BrowserSession{}, err
		}
	}
	if s.renewable(found, now) && found.claim(renewing) {
		next, err := s.renew(ctx, token, id, found)
		if err == nil {
			return BrowserSession{Token: token, Renewed: true, entry: next}, nil
		}
		if !errors.Is(err, ErrNoSession) {
			s.log.Warn("renew a browser session", "error", err)
		}
	}
	if age := now.Sub(found.readTime()); hit && (age > recheckAfter || age < 0) && found.claim(rechecking) {
		s.background.Go(func() { s.recheck(context.WithoutCancel(ctx), token, id, found) })
	}
	return BrowserSession{Token: token, entry: found}, nil
}

// stale tells whether a revocation overtook the entry.
func (s *Service) stale(c *cachedSession) bool {
	if s.revoked.none() {
		return false
	}
	who, _ := c.subject()
	return s.revoked.overtakes(who.sessionID, who.userID, who.epoch, c.readTime())
}

// sessionWithUser is the row both are read in.
type sessionWithUser struct {
	Session
	UserName      string
	UserEmail     string
	UserVerified  bool
	UserImage     *string
	UserRole      Role
	UserEpoch     int32
	UserCreatedAt time.Time
	UserUpdatedAt time.Time
}

const userOfSession = `u.name AS user_name, u.email AS user_email, u.email_verified AS user_verified,
	u.image AS user_image, u.role::text AS user_role, u.auth_epoch AS user_epoch, u.created_at AS user_created_at, u.updated_at AS user_updated_at`

func (r sessionWithUser) user() User {
	return User{ID: r.UserID, Name: r.UserName, Email: r.UserEmail, EmailVerified: r.UserVerified,
		Image: r.UserImage, Role: r.UserRole, AuthEpoch: r.UserEpoch, CreatedAt: r.UserCreatedAt, UpdatedAt: r.UserUpdatedAt}
}

// readSession reads a session once for all who ask at the same moment, and
// notes that it was used. Who cannot wait until ctx ends gets [ErrUnavailable];
// the reading goes on for others.
func (s *Service) readSession(ctx context.Context, token string, id digest) (*cachedSession, error) {
	reading := s.loads.DoChan(string(id[:]), func() (any, error) {
		// One asker's leaving must not fail the others.
		ctx := context.WithoutCancel(ctx)
		readAt := s.now()
		r, err := dbscope.One[sessionWithUser](ctx, s.db, system(),
			`UPDATE auth.sessions AS s SET last_activity_at = now()
			 FROM auth.users AS u
			 WHERE s.token IN ($1, $2) AND s.kind = 'browser' AND s.revoked_at IS NULL AND s.expires_at > now()
			   AND u.id = s.user_id AND `+usable+`
			 RETURNING `+sessionColumns+`, `+userOfSession, storedToken(token), token)
		if err != nil {
			return nil, notFound(err, ErrNoSession)
		}
		return s.remember(id, packSession(r.user(), r.Session, readAt)), nil
	})
	select {
	case <-ctx.Done():
		return nil, errors.Join(ErrUnavailable, ctx.Err())
	case r := <-reading:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*cachedSession), nil
	}
}

func (s *Service) remember(id digest, c *cachedSession) *cachedSession {
	until := c.readTime().Add(recheckAfter + trustDuring)
	if end := c.expires(); end.Before(until) {
		until = end
	}
	s.sessions.put(id, c, until, s.now())
	return c
}

// recheck reads a cached session again. A database that is away leaves the
// entry as it is, until its time is over.
func (s *Service) recheck(ctx context.Context, token string, id digest, old *cachedSession) {
	defer old.release(rechecking)
	_, err := s.readSession(ctx, token, id)
	if errors.Is(err, ErrNoSession) {
		s.sessions.drop(id)
	}
}

// renewable tells whether the session has been used for long enough that its
// end should move. One the browser forgets on closing does not live longer.
func (s *Service) renewable(c *cachedSession, now time.Time) bool {
	if !c.has(persistent) || now.Before(c.expires().Add(renewAfter-s.cfg.SessionTTL)) {
		return false
	}
	return s.renewedEnd(c, now).Sub(c.expires()) > time.Minute
}

func (s *Service) renewedEnd(c *cachedSession, now time.Time) time.Time {
	end, last := now.Add(s.cfg.SessionTTL), time.UnixMicro(c.createdAt).Add(s.cfg.SessionMaxAge)
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
	who, _ := old.subject()
	n, err := s.db.Exec(ctx, system(),
		`UPDATE auth.sessions SET expires_at = $1::timestamptz, updated_at = now()
		 WHERE id = $2 AND revoked_at IS NULL AND expires_at < $1::timestamptz - interval '30 seconds'`,
		s.renewedEnd(old, s.now()), who.sessionID)
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
	who, _ := b.entry.subject()
	if have := b.entry.bearer.Load(); have != nil && have.reusable(s.now(), s.cfg.AccessTokenTTL) && !s.stale(b.entry) {
		claims := have.claims(s, who)
		return joinToken(have.kid, claims, have.signature[:]), claims, nil
	}
	k, err := s.signer()
	if err != nil {
		return "", Claims{}, err
	}
	claims := s.newClaims(who)
	token, signature, err := signTokenApart(k, claims)
	if err != nil {
		return "", Claims{}, err
	}
	b.entry.bearer.Store(packBearer(k.ID, claims, signature))
	return token, claims, nil
}
