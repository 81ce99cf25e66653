package issuer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mana.how/edge/authcore/jwks"
	"mana.how/edge/authcore/token"
)

const (
	patience  = 3 * time.Second // for the key set, its body included
	maxHeader = 64 << 10        // bytes
	// renewAfter is how old the set may become before it is fetched again, off the
	// requests' path, so that a key that was taken out is not taken for ever.
	renewAfter = 10 * time.Minute
)

// Config names another issuer.
type Config struct {
	// Issuer is the iss claim of its tokens, letter by letter.
	Issuer string
	// JWKS is the URL of its key set (RFC 7517, section 5).
	JWKS string
}

// Faults lists what is wrong with it.
func (c Config) Faults() (faults []error) {
	if c.Issuer == "" {
		faults = append(faults, errors.New("the issuer is missing"))
	}
	u, err := url.Parse(c.JWKS)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		faults = append(faults, errors.New("the key set is not an http or https URL"))
	case u.User != nil:
		faults = append(faults, errors.New("the URL of the key set must not hold a password"))
	}
	return faults
}

// Exposed reports whether the key set comes over http from another machine, so that
// whoever stands between may write it.
func (c Config) Exposed() bool {
	u, err := url.Parse(c.JWKS)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback())
}

// Peer is another issuer with the keys it was last seen with. It is safe for concurrent
// use.
type Peer struct {
	config Config
	client *http.Client
	now    func() time.Time
	set    *jwks.Set[*seen]
	none   *token.KeySet
}

// seen is a key set and when it was fetched.
type seen struct {
	keys    *token.KeySet
	at      time.Time
	renewed atomic.Bool // its renewal has begun
}

// New makes one of a configuration without faults; nothing is fetched. transport may
// be nil.
func New(c Config, now func() time.Time, transport http.RoundTripper) *Peer {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes, own.MaxConnsPerHost = maxHeader, 2
		transport = own
	}
	p := &Peer{
		config: c, now: now, none: token.NewKeySet(nil),
		client: &http.Client{
			Transport: transport, Timeout: patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the answer is a redirect") },
		},
	}
	p.set = jwks.New(c.JWKS, p.client, func(list []jose.JSONWebKey) (*seen, error) {
		keys, err := verifying(list)
		return &seen{keys: keys, at: p.now()}, err
	})
	return p
}

// Issuer is the iss claim of its tokens.
func (p *Peer) Issuer() string { return p.config.Issuer }

// Keys are those it was last seen with. It asks memory only.
func (p *Peer) Keys() *token.KeySet {
	if s := p.set.Current(); s != nil {
		return s.keys
	}
	return p.none
}

// Due reports, once a set, whether it is time for [Peer.Fetch] in the background.
func (p *Peer) Due() bool {
	s := p.set.Current()
	return s != nil && p.now().Sub(s.at) > renewAfter && !s.renewed.Swap(true)
}

// Fetch reads the key set anew, once for all who wait for it. Where that was done just
// now, it does nothing. On an error the keys stay as they were.
func (p *Peer) Fetch(ctx context.Context) error {
	err := p.set.Fetch(ctx)
	if s := p.set.Current(); s != nil && err != nil && ctx.Err() == nil {
		s.renewed.Store(false)
	}
	return err
}

// verifying are the Ed25519 keys of a set. Others, and keys that are not for
// signatures, are left out.
func verifying(list []jose.JSONWebKey) (*token.KeySet, error) {
	var keys []token.Key
	named := make(map[string]bool)
	for _, k := range list {
		if k.KeyID == "" || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != string(token.EdDSA) {
			continue
		}
		public, ok := k.Key.(ed25519.PublicKey)
		if !ok {
			continue
		}
		if named[k.KeyID] {
			return nil, fmt.Errorf("the key set has two keys of the id %q", k.KeyID)
		}
		named[k.KeyID] = true
		keys = append(keys, token.Key{ID: k.KeyID, Algorithm: token.EdDSA, Public: public})
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set has no Ed25519 key")
	}
	return token.NewKeySet(keys), nil
}

// Close lets go of connections.
func (p *Peer) Close() { p.client.CloseIdleConnections() }
