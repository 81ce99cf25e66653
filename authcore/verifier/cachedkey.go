package verifier

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"mana.how/edge/authcore/account"
	"mana.how/edge/authcore/apikey"
	"mana.how/edge/authcore/organization"
	"mana.how/edge/authcore/token"
	"mana.how/edge/internal/dbscope"
)

const (
	deadKeyDuring = 30 * time.Second // how long an unknown key is not asked for again
	maxKeyLookups = 8                // at once
)

// cachedKey is a live API key in memory. It is immutable but for the flags and
// the upstream bearer; a newer reading replaces it.
type cachedKey struct {
	apikey.Holder
	networks []netip.Prefix // of allowed addresses; nil for any
	readAt   time.Time
	rechecks atomic.Bool
	touched  atomic.Bool
	bearer   atomic.Pointer[bearer]
}

// end is until when the entry is believed.
func (k *cachedKey) end() time.Time {
	end := k.readAt.Add(recheckAfter + trustDuring)
	if k.ExpiresAt != nil && k.ExpiresAt.Before(end) {
		return *k.ExpiresAt
	}
	return end
}

// allows reports whether the key may be used from an address.
func (k *cachedKey) allows(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return k.networks == nil || slices.ContainsFunc(k.networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

func (k *cachedKey) subject() subject {
	return subject{
		userID: k.UserID, sessionID: apikey.SessionOf(k.ID), role: k.Role, epoch: k.AuthEpoch,
		email: k.Email, verified: k.EmailVerified, organizationID: idOf(k.OrganizationID), organizationRole: organization.Role(k.OrganizationRole),
	}
}

func idOf(id *string) string {
	if id == nil {
		return ""
	}
	return *id
}

// APIKey is a live key that was shown.
type APIKey struct{ entry *cachedKey }

// Key is the key as it was when it was read.
func (k APIKey) Key() apikey.Key { return k.entry.Key }

// ID is Key().ID, in less time.
func (k APIKey) ID() string { return k.entry.ID }

// Rate is how often the key may be used.
func (k APIKey) Rate() (requests int, window time.Duration) { return k.entry.Rate() }

// UserID is whom the key acts for.
func (k APIKey) UserID() string { return k.entry.UserID }

// AuthenticateKey finds the live key of a secret that is used from an address;
// the zero address is none, from which a key that is bound to addresses is
// refused. In steady state it asks memory only. It fails with [apikey.ErrInvalid],
// [apikey.ErrAddress], or [account.ErrUnavailable] when only the database could tell.
func (s *Verifier) AuthenticateKey(ctx context.Context, secret string, addr netip.Addr) (APIKey, error) {
	k, err := s.apiKey(ctx, secret)
	if err != nil {
		return APIKey{}, err
	}
	if !k.allows(addr) {
		return APIKey{}, apikey.ErrAddress
	}
	if !k.touched.Swap(true) {
		s.with.Background.Go(func() { s.touchKey(context.WithoutCancel(ctx), k.ID) })
	}
	return APIKey{k}, nil
}

// KeyBearer gives an access token for the key, to be sent upstream, and what it
// says. It is signed once and handed out again until a third of its life is left.
func (s *Verifier) KeyBearer(key APIKey) (string, token.Claims, error) {
	k := key.entry
	if have := k.bearer.Load(); have != nil && s.reusable(have) {
		return have.token, have.claims, nil
	}
	signer, err := s.with.Ring.Signer()
	if err != nil {
		return "", token.Claims{}, err
	}
	claims := s.newClaims(k.subject())
	claims.APIKeyID, claims.Scopes = k.ID, k.Grants()
	if k.ExpiresAt != nil && k.ExpiresAt.Before(claims.Expires) {
		claims.Expires = k.ExpiresAt.Truncate(time.Second)
	}
	signed, err := token.Sign(signer, claims)
	if err != nil {
		return "", token.Claims{}, err
	}
	k.bearer.Store(&bearer{token: signed, kid: signer.ID, claims: claims})
	return signed, claims, nil
}

// apiKey finds a live key in memory, else in the database.
func (s *Verifier) apiKey(ctx context.Context, secret string) (*cachedKey, error) {
	if !apikey.WellFormed(secret) {
		return nil, apikey.ErrInvalid
	}
	id := digestOf(secret)
	now := s.with.Now()
	if k, hit := s.apiKeys.GetIfPresent(id); hit {
		if s.keyStale(k) {
			s.apiKeys.Invalidate(id)
		} else {
			if age := now.Sub(k.readAt); (age > recheckAfter || age < 0) && !k.rechecks.Swap(true) {
				s.with.Background.Go(func() { s.recheckKey(context.WithoutCancel(ctx), id, secret, k) })
			}
			return k, nil
		}
	} else if _, dead := s.dead.GetIfPresent(id); dead {
		return nil, apikey.ErrInvalid
	}
	return s.readKey(ctx, id, secret)
}

// keyStale reports whether a revocation or a change of the account overtook the
// entry, or may have done so unheard, or its time is over.
func (s *Verifier) keyStale(k *cachedKey) bool {
	return k.readAt.UnixMicro() <= s.with.Unheard.Load() || !s.with.Now().Before(k.end()) ||
		s.with.Revoked.Overtakes(apikey.SessionOf(k.ID), k.UserID, k.AuthEpoch, k.readAt)
}

// readKey reads a key once for all who ask for it at the same moment. Who cannot
// wait until ctx ends gets [account.ErrUnavailable]; the reading goes on for others.
func (s *Verifier) readKey(ctx context.Context, id digest, secret string) (*cachedKey, error) {
	reading := s.loads.DoChan("api key "+string(id[:]), func() (any, error) {
		// One asker's leaving must not fail the others.
		return s.selectKey(context.WithoutCancel(ctx), id, secret)
	})
	select {
	case <-ctx.Done():
		return nil, errors.Join(account.ErrUnavailable, ctx.Err())
	case r := <-reading:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*cachedKey), nil
	}
}

func (s *Verifier) selectKey(ctx context.Context, id digest, secret string) (*cachedKey, error) {
	place := time.NewTimer(dbscope.Wait)
	defer place.Stop()
	select {
	case s.keyLookups <- struct{}{}:
		defer func() { <-s.keyLookups }()
	case <-place.C:
		return nil, account.ErrUnavailable
	}
	readAt := s.with.Now()
	h, err := apikey.Find(ctx, s.with.DB, secret)
	if errors.Is(err, apikey.ErrInvalid) {
		s.dead.Set(id, s.with.Now().Add(deadKeyDuring))
	}
	if err != nil {
		return nil, err
	}
	k := &cachedKey{Holder: h, networks: h.Networks(), readAt: readAt}
	s.apiKeys.Set(id, k)
	return k, nil
}

// recheckKey reads a key in memory again. A database that is away leaves the
// entry as it is, until its time is over.
func (s *Verifier) recheckKey(ctx context.Context, id digest, secret string, old *cachedKey) {
	defer old.rechecks.Store(false)
	_, err := s.readKey(ctx, id, secret)
	if errors.Is(err, apikey.ErrInvalid) {
		s.apiKeys.Invalidate(id)
	}
}

func (s *Verifier) touchKey(ctx context.Context, id string) {
	if err := apikey.Touch(ctx, s.with.DB, id); err != nil && !errors.Is(err, account.ErrUnavailable) {
		s.with.Log.Warn("note the use of an API key", "error", err)
	}
}
