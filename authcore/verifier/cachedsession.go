package verifier

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unique"
	"weak"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/principal"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
)

// cachedSession is a browser session in memory. There may be hundreds of
// thousands, so it is packed, and user and session unpack it. It is immutable
// but for the flags and the upstream bearer; a newer reading replaces it.
type cachedSession struct {
	texts packedTexts
	agent unique.Handle[string] // the zero one where there is none: thousands share one browser
	flags atomic.Uint32
	epoch int32 // of the user

	// Unix microseconds, as PostgreSQL counts.
	readAt, createdAt, updatedAt, expiresAt, lastActivityAt int64
	userCreatedAt, userUpdatedAt                            int64

	bearer atomic.Pointer[bearer]
}

// The flags of a cached session.
const (
	persistent uint32 = 1 << iota
	emailVerified
	secondFactor
	rechecking
	renewing // once an entry: a renewal that fails is tried again after the next reading
)

// claim raises a flag and reports whether this caller did.
func (c *cachedSession) claim(flag uint32) bool { return c.flags.Or(flag)&flag == 0 }

func (c *cachedSession) release(flag uint32) { c.flags.And(^flag) }

func (c *cachedSession) has(flag uint32) bool { return c.flags.Load()&flag != 0 }

// packSession packs a live browser session of a usable account.
func packSession(u account.User, s session.Session, readAt time.Time) *cachedSession {
	role, methods, authenticated := string(u.Role), string(s.Methods), packSeconds(s.AuthenticatedAt)
	organizationRole := (*string)(s.OrganizationRole)
	c := &cachedSession{
		// What every request asks for comes first.
		texts: packTexts(&u.ID, &s.ID, &role, &u.Email, s.ActiveOrganizationID, organizationRole, &methods, &authenticated,
			&u.Name, u.Image, s.ParentID, s.IPAddress, s.DeviceID, s.DeviceName),
		readAt: readAt.UnixMicro(), createdAt: s.CreatedAt.UnixMicro(), updatedAt: s.UpdatedAt.UnixMicro(),
		expiresAt: s.ExpiresAt.UnixMicro(), lastActivityAt: s.LastActivityAt.UnixMicro(),
		userCreatedAt: u.CreatedAt.UnixMicro(), userUpdatedAt: u.UpdatedAt.UnixMicro(), epoch: u.AuthEpoch,
	}
	if s.UserAgent != nil {
		c.agent = unique.Make(*s.UserAgent)
	}
	if s.Persistent {
		c.claim(persistent)
	}
	if u.EmailVerified {
		c.claim(emailVerified)
	}
	if u.SecondFactor {
		c.claim(secondFactor)
	}
	return c
}

func (c *cachedSession) readTime() time.Time { return time.UnixMicro(c.readAt) }

// end is until when the entry is believed.
func (c *cachedSession) end() time.Time {
	end := c.readTime().Add(recheckAfter + trustDuring)
	if c.expires().Before(end) {
		return c.expires()
	}
	return end
}

func (c *cachedSession) expires() time.Time { return time.UnixMicro(c.expiresAt) }

func (c *cachedSession) userID() string {
	rest := c.texts
	return rest.text()
}

// subject reads what every request asks for, and leaves the rest.
func (c *cachedSession) subject() (who subject, rest packedTexts) {
	rest = c.texts
	who.userID, who.sessionID, who.role = rest.text(), rest.text(), principal.Role(rest.text())
	who.email, who.organizationID, who.organizationRole = rest.text(), rest.text(), organization.Role(rest.text())
	who.methods = principal.Methods(rest.text())
	who.authenticatedAt = unpackSeconds(rest.text())
	who.epoch, who.verified, who.secondFactor = c.epoch, c.has(emailVerified), c.has(secondFactor)
	return who, rest
}

func (c *cachedSession) user() account.User {
	who, rest := c.subject()
	return account.User{
		ID: who.userID, Role: who.role, AuthEpoch: who.epoch, Email: who.email, EmailVerified: who.verified, SecondFactor: who.secondFactor,
		Name: rest.text(), Image: rest.optional(),
		CreatedAt: time.UnixMicro(c.userCreatedAt), UpdatedAt: time.UnixMicro(c.userUpdatedAt),
	}
}

func (c *cachedSession) session() session.Session {
	who, rest := c.subject()
	_, _ = rest.take() // the name
	_, _ = rest.take() // the image
	s := session.Session{
		ID: who.sessionID, UserID: who.userID, Token: who.sessionID, Kind: session.Web, Persistent: c.has(persistent),
		ParentID: rest.optional(), IPAddress: rest.optional(), DeviceID: rest.optional(), DeviceName: rest.optional(),
		CreatedAt: time.UnixMicro(c.createdAt), UpdatedAt: time.UnixMicro(c.updatedAt),
		ExpiresAt: time.UnixMicro(c.expiresAt), LastActivityAt: time.UnixMicro(c.lastActivityAt),
		AuthenticatedAt: who.authenticatedAt, Methods: who.methods,
	}
	if who.organizationID != "" {
		s.ActiveOrganizationID, s.OrganizationRole = &who.organizationID, &who.organizationRole
	}
	if c.agent != (unique.Handle[string]{}) {
		agent := c.agent.Value()
		s.UserAgent = &agent
	}
	return s
}

// packSeconds keeps a time of this century in four bytes, without its fraction of
// a second.
func packSeconds(t time.Time) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(min(max(t.Unix(), 0), math.MaxUint32))))
}

func unpackSeconds(text string) time.Time {
	seconds := binary.BigEndian.Uint32([]byte(text))
	if seconds == 0 {
		return time.Time{} // not known
	}
	return time.Unix(int64(seconds), 0)
}

// packedTexts are texts one after the other, each behind its length plus one
// as a varint; zero stands for nil. Reading takes the first one off.
type packedTexts string

func packTexts(list ...*string) packedTexts {
	var packed []byte
	for _, text := range list {
		if text == nil {
			packed = append(packed, 0)
			continue
		}
		packed = append(binary.AppendUvarint(packed, uint64(len(*text))+1), *text...)
	}
	return packedTexts(packed)
}

func (p *packedTexts) take() (text string, ok bool) {
	rest, n := *p, 0
	for shift := 0; ; shift += 7 {
		b := rest[0]
		rest = rest[1:]
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	if n == 0 {
		*p = rest
		return "", false
	}
	*p = rest[n-1:]
	return string(rest[:n-1]), true
}

// text reads a text; nil is empty.
func (p *packedTexts) text() string {
	text, _ := p.take()
	return text
}

func (p *packedTexts) optional() *string {
	if text, ok := p.take(); ok {
		return &text
	}
	return nil
}

// bearer is an access token for a session, with the key that signed it.
type bearer struct {
	token  string
	kid    string
	claims token.Claims
}

// bearerRing bounds how many sessions keep a token, for a token is several
// times as long as its session: where there are more, the one that got its own
// longest ago loses it, and is given another when it is used again.
type bearerRing struct {
	mu    sync.Mutex
	slots [8 << 10]weak.Pointer[cachedSession]
	next  int
}

// keep gives the session a token.
func (r *bearerRing) keep(c *cachedSession, b *bearer) {
	had := c.bearer.Swap(b) != nil
	if had {
		return // its place is that of the one before
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.slots[r.next].Value(); old != nil {
		old.bearer.Store(nil)
	}
	r.slots[r.next] = weak.Make(c)
	r.next = (r.next + 1) % len(r.slots)
}
