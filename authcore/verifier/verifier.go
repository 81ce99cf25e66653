package verifier

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"mana.how/edge/authcore/cookie"
	"mana.how/edge/authcore/grant"
	"mana.how/edge/authcore/issuer"
	"mana.how/edge/authcore/keyring"
	"mana.how/edge/authcore/revocation"
	"mana.how/edge/authcore/session"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

// Deps is what a [Verifier] works with. Publish, TokenCache and SessionCache may be
// nil.
type Deps struct {
	DB       dbscope.DB
	Store    *session.Store
	Log      *slog.Logger
	Now      func() time.Time
	Cookies  cookie.Codec
	Peers    map[string]*issuer.Peer // accepted issuers
	Keys     *atomic.Pointer[token.KeySet]
	Ring     *keyring.Ring
	Revoked  *revocation.List
	Watchers *revocation.Watchers
	// Unheard is until when, in Unix microseconds, changes of accounts may have been
	// missed.
	Unheard    *atomic.Int64
	Background *sync.WaitGroup // short tasks that use the pool or Redis

	Issuer, Audience     string
	AccessTokenTTL       time.Duration
	SessionTTL           time.Duration
	SessionMaxAge        time.Duration
	SecondFactorRequired bool

	// ClientAccess is what an access token of an OpenID client stands for.
	ClientAccess func(ctx context.Context, text, jti string) (grant.Grant, error)
	// Publish tells other edges what was revoked.
	Publish                  func([]revocation.Revocation)
	TokenCache, SessionCache func(hit bool)
}

// Verifier tells who requests act for. In steady state it asks memory only.
type Verifier struct {
	with         Deps
	tokenSeed    maphash.Seed
	tokens       *otter.Cache[uint64, *verifiedToken]
	sessions     *otter.Cache[digest, *cachedSession]
	dead         *otter.Cache[digest, time.Time] // until when a signed cookie without a live session, or an unknown API key, is not asked for
	apiKeys      *otter.Cache[digest, *cachedKey]
	clientTokens *otter.Cache[digest, *clientToken]
	profiles     *otter.Cache[string, *cachedProfile]
	keyLookups   chan struct{} // a place each: who tries keys does not keep the pool busy
	bearers      bearerRing
	loads        singleflight.Group
}

// New makes a verifier that has nothing in memory.
func New(with Deps) *Verifier {
	s := &Verifier{with: with}
	s.makeCaches()
	return s
}

// Close ends what caches do in the background.
func (s *Verifier) Close() {
	s.tokens.StopAllGoroutines()
	s.sessions.StopAllGoroutines()
	s.dead.StopAllGoroutines()
	s.apiKeys.StopAllGoroutines()
	s.clientTokens.StopAllGoroutines()
	s.profiles.StopAllGoroutines()
	for _, p := range s.with.Peers {
		p.Close()
	}
}

// Forget makes this edge read the user's browser sessions again, so that a
// changed name or a proven address shows at once. The database tells the other
// edges; where that is lost, they follow within recheckAfter.
func (s *Verifier) Forget(userID string) { s.with.Revoked.Change(userID, s.with.Now()) }

func (s *Verifier) makeCaches() {
	s.tokenSeed = maphash.MakeSeed()
	s.tokens = newCache[uint64](128<<10, s.with.Now, (*verifiedToken).end)
	s.sessions = newCache[digest](256<<10, s.with.Now, (*cachedSession).end)
	s.apiKeys = newCache[digest](16<<10, s.with.Now, (*cachedKey).end)
	s.clientTokens = newCache[digest](16<<10, s.with.Now, (*clientToken).end)
	s.profiles = newCache[string](64<<10, s.with.Now, (*cachedProfile).end)
	s.keyLookups = make(chan struct{}, maxKeyLookups)
	s.dead = newCache[digest](64<<10, s.with.Now, func(end time.Time) time.Time { return end })
}
