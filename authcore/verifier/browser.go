package verifier

import (
	"context"
	"errors"
	"slices"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/cookie"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

const (
	renewAfter   = 24 * time.Hour // of use, before the cookie's end is moved on
	renewWait    = time.Second
	recheckAfter = time.Minute      // a cached session is read again, off the request's path
	trustDuring  = 15 * time.Minute // how long a cached session is believed while the database is away
	deadDuring   = 5 * time.Minute  // how long a cookie without a live session is not asked for again
)

// sessionKey is where the session of a cookie stands in memory. It is made of
// token and signature, so that finding an entry proves the signature: entries
// are made under verified ones only.
func sessionKey(signed *cookie.Signed) digest { return digestOf(signed[:]) }

// maxUnknown bounds the cookies of one request that the database is asked
// about.
const maxUnknown = 4

// candidate is a signed cookie of a request. entry is its session where that is
// in memory.
type candidate struct {
	token string
	id    digest
	entry *cachedSession
}

// BrowserSession finds the first live session among the SSO cookies of raw
// Cookie headers. In steady state it asks memory only, and at most once the
// database. It fails with [ErrNoSession], of which [ErrNoCookie] is one, with
// [ErrSessionConflict] where another live one is another user's, or with
// [account.ErrUnavailable] when only the database could tell.
func (s *Verifier) BrowserSession(ctx context.Context, cookieHeaders []string) (BrowserSession, error) {
	now := s.with.Now()
	var few [maxUnknown]candidate
	all, err := s.candidates(few[:0], cookieHeaders)
	read := false
	if unknown := unread(all); len(unknown) > 0 {
		var found []candidate
		if found, err = s.readSessions(ctx, unknown); err == nil {
			err, read = ErrNoSession, true
			place(found, all)
		}
	}
	var first candidate
	for _, c := range all {
		switch {
		case c.entry == nil:
		case first.entry == nil:
			first = c
		case c.entry.userID() != first.entry.userID():
			return BrowserSession{}, ErrSessionConflict
		}
	}
	if first.entry == nil {
		return BrowserSession{}, err
	}
	if s.with.SessionCache != nil {
		s.with.SessionCache(!read)
	}
	return s.browserSession(ctx, first, !read, now), nil
}

// candidates adds the cookies that may name a live session to list, in their
// order: with their session where memory has it, and the first few others. err
// says why a request without any has none.
func (s *Verifier) candidates(list []candidate, cookieHeaders []string) (_ []candidate, err error) {
	err = ErrNoCookie
	unknown := 0
	for value := range s.with.Cookies.Values(cookieHeaders) {
		signed, ok := cookie.Parse(value)
		if !ok {
			continue
		}
		id := sessionKey(&signed)
		entry, hit := s.cachedSession(id)
		if !hit {
			if _, dead := s.dead.GetIfPresent(id); dead {
				err = ErrNoSession
				continue
			}
			if unknown == maxUnknown || !s.with.Cookies.Signs(&signed) ||
				slices.ContainsFunc(list, func(c candidate) bool { return c.id == id }) {
				continue
			}
			unknown++
		}
		list = append(list, candidate{signed.Token(), id, entry})
	}
	return list, err
}

// unread are those of the candidates that only the database can tell of.
func unread(all []candidate) (unknown []candidate) {
	for _, c := range all {
		if c.entry == nil {
			unknown = append(unknown, c)
		}
	}
	return unknown
}

// place puts the sessions that were found where they were asked for.
func place(found, all []candidate) {
	for _, f := range found {
		for i := range all {
			if all[i].id == f.id {
				all[i].entry = f.entry
			}
		}
	}
}

// cachedSession looks into memory. An entry that a revocation has overtaken is
// read again.
func (s *Verifier) cachedSession(id digest) (*cachedSession, bool) {
	entry, hit := s.sessions.GetIfPresent(id)
	if hit && s.stale(entry) {
		s.sessions.Invalidate(id)
		return nil, false
	}
	return entry, hit
}

// browserSession renews a session where it is time to, and has one that was in
// memory for long read again.
func (s *Verifier) browserSession(ctx context.Context, c candidate, hit bool, now time.Time) BrowserSession {
	if s.renewable(c.entry, now) && c.entry.claim(renewing) {
		next, err := s.renew(ctx, c)
		if err == nil {
			return BrowserSession{Token: c.token, Renewed: true, entry: next}
		}
		if !errors.Is(err, ErrNoSession) {
			s.with.Log.Warn("renew a browser session", "error", err)
		}
	}
	if age := now.Sub(c.entry.readTime()); hit && (age > recheckAfter || age < 0) && c.entry.claim(rechecking) {
		s.with.Background.Go(func() { s.recheck(context.WithoutCancel(ctx), c) })
	}
	return BrowserSession{Token: c.token, entry: c.entry}
}

// stale reports whether a revocation or a change of the account overtook the
// entry, or may have done so unheard.
func (s *Verifier) stale(c *cachedSession) bool {
	if c.readAt <= s.with.Unheard.Load() {
		return true
	}
	if s.with.Revoked.None() {
		return false
	}
	who, _ := c.subject()
	return s.with.Revoked.Overtakes(who.sessionID, who.userID, who.epoch, c.readTime())
}

// readSessions reads the sessions of tokens in one statement, once for all who
// ask for the same at the same moment, and notes that they were used. What is
// not live has no entry, and that is remembered for a while. Who cannot wait
// until ctx ends gets [account.ErrUnavailable]; the reading goes on for others.
func (s *Verifier) readSessions(ctx context.Context, asked []candidate) ([]candidate, error) {
	var name []byte
	for _, c := range asked {
		name = append(name, c.id[:]...)
	}
	reading := s.loads.DoChan(string(name), func() (any, error) {
		// One asker's leaving must not fail the others.
		return s.selectSessions(context.WithoutCancel(ctx), asked)
	})
	select {
	case <-ctx.Done():
		return nil, errors.Join(account.ErrUnavailable, ctx.Err())
	case r := <-reading:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]candidate), nil
	}
}

// readSession is readSessions of one token. It fails with [ErrNoSession] where
// that names none that is live.
func (s *Verifier) readSession(ctx context.Context, c candidate) (*cachedSession, error) {
	c.entry = nil
	read, err := s.readSessions(ctx, []candidate{c})
	if err != nil {
		return nil, err
	}
	if read[0].entry == nil {
		return nil, ErrNoSession
	}
	return read[0].entry, nil
}

// sessionOfToken is the row of [Verifier.selectSessions].
type sessionOfToken struct {
	session.WithUser
	StoredToken string
}

// selectSessions gives what was asked for, each with its session where that is
// live.
func (s *Verifier) selectSessions(ctx context.Context, asked []candidate) ([]candidate, error) {
	tokens := make([]string, 0, 2*len(asked))
	for _, c := range asked {
		tokens = append(tokens, session.StoredToken(c.token), c.token)
	}
	readAt := s.with.Now()
	list, err := dbscope.List[sessionOfToken](ctx, s.with.DB, dbscope.System(),
		`UPDATE auth.sessions AS s SET last_activity_at = now()
		 FROM auth.users AS u
		 WHERE s.token = ANY($1::text[]) AND s.kind = 'browser' AND s.revoked_at IS NULL AND s.expires_at > now()
		   AND u.id = s.user_id AND `+account.Usable+`
		 RETURNING `+session.Columns+`, `+session.UserColumns+`, s.token AS stored_token`, tokens)
	if err != nil {
		return nil, err
	}
	read := slices.Clone(asked)
	for i, c := range read {
		for _, r := range list {
			if r.StoredToken == tokens[2*i] || r.StoredToken == tokens[2*i+1] {
				read[i].entry = s.remember(c.id, packSession(r.User(), r.Session, readAt))
			}
		}
		if read[i].entry == nil {
			s.dead.Set(c.id, s.with.Now().Add(deadDuring))
		}
	}
	return read, nil
}

func (s *Verifier) remember(id digest, c *cachedSession) *cachedSession {
	s.sessions.Set(id, c)
	return c
}

// recheck reads a cached session again. A database that is away leaves the
// entry as it is, until its time is over.
func (s *Verifier) recheck(ctx context.Context, old candidate) {
	defer old.entry.release(rechecking)
	_, err := s.readSession(ctx, old)
	if errors.Is(err, ErrNoSession) {
		s.sessions.Invalidate(old.id)
	}
}

// renewable reports whether the session has been used for long enough that its
// end should move. One the browser forgets on closing does not live longer.
func (s *Verifier) renewable(c *cachedSession, now time.Time) bool {
	if !c.has(persistent) || now.Before(c.expires().Add(renewAfter-s.with.SessionTTL)) {
		return false
	}
	return s.renewedEnd(c, now).Sub(c.expires()) > time.Minute
}

func (s *Verifier) renewedEnd(c *cachedSession, now time.Time) time.Time {
	end, last := now.Add(s.with.SessionTTL), time.UnixMicro(c.createdAt).Add(s.with.SessionMaxAge)
	if last.Before(end) {
		return last
	}
	return end
}

// renew moves a session's end. Only the caller that moved it reports so, and
// so the cookie is sent once.
func (s *Verifier) renew(ctx context.Context, old candidate) (*cachedSession, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewWait)
	defer cancel()
	who, _ := old.entry.subject()
	n, err := s.with.DB.Exec(ctx, dbscope.System(),
		`UPDATE auth.sessions SET expires_at = $1::timestamptz, updated_at = now()
		 WHERE id = $2 AND revoked_at IS NULL AND expires_at < $1::timestamptz - interval '30 seconds'`,
		s.renewedEnd(old.entry, s.with.Now()), who.sessionID)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrNoSession // another edge, or another request, was first
	}
	return s.readSession(ctx, old)
}

// Bearer gives an access token for the session, to be sent upstream, and what
// it says. It is signed once and handed out again until a third of its life is
// left.
func (s *Verifier) Bearer(_ context.Context, b BrowserSession) (string, token.Claims, error) {
	if have := b.entry.bearer.Load(); have != nil && s.reusable(have) && !s.stale(b.entry) {
		return have.token, have.claims, nil
	}
	k, err := s.with.Ring.Signer()
	if err != nil {
		return "", token.Claims{}, err
	}
	who, _ := b.entry.subject()
	claims := s.newClaims(who)
	signed, err := token.Sign(k, claims)
	if err != nil {
		return "", token.Claims{}, err
	}
	s.bearers.keep(b.entry, &bearer{token: signed, kid: k.ID, claims: claims})
	return signed, claims, nil
}

// reusable reports whether more than a third of the token's life is left, and
// its key verifies still.
func (s *Verifier) reusable(b *bearer) bool {
	now := s.with.Now()
	_, ok := s.with.Keys.Load().Verifier(b.kid, now)
	return ok && now.Before(b.claims.Expires.Add(-s.with.AccessTokenTTL/3))
}

// BrowserSession is a live session of the SSO cookie. Renewed asks the caller
// to send the cookie again, because the session's end has moved.
type BrowserSession struct {
	Token   string // the cookie's
	Renewed bool
	entry   *cachedSession
}

// NewBrowserSession is a session that has just begun.
func NewBrowserSession(token string, u account.User, ses session.Session, now time.Time) BrowserSession {
	return BrowserSession{Token: token, entry: packSession(u, ses, now)}
}

// User is the account as it was when the session was read.
func (b BrowserSession) User() account.User { return b.entry.user() }

// Session is the session as it was when it was read.
func (b BrowserSession) Session() session.Session { return b.entry.session() }

// UserID is User().ID, in less time.
func (b BrowserSession) UserID() string { return b.entry.userID() }
