package manaid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

const (
	// maxKeySet bounds a key set, in bytes.
	maxKeySet = 1 << 20
	// refetchAfter is how long a key set must have been there before a key that is not
	// in it has it fetched again: who makes key ids up costs one fetch in that time.
	refetchAfter = 5 * time.Second
	// keysLife is how long a key set is believed: one that was revoked counts no longer.
	keysLife = 5 * time.Minute
	// fetchWait is how long a fetch may take.
	fetchWait = 5 * time.Second
)

// errUnknownKey means that the key set has no such key.
var errUnknownKey = errors.New("unknown key")

// keySet is the public keys of an issuer (RFC 7517), fetched when they are needed.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	set     jwk.Set
	fetched time.Time // when it was tried last
	good    time.Time // when the set came
}

// find is the Ed25519 key of an id. It fetches the set where there is none, where it
// is old, and for an id never seen.
func (k *keySet) find(ctx context.Context, kid string) (jwk.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	key, known := k.lookup(kid)
	stale := k.set == nil || now.Sub(k.good) > keysLife
	var failed error
	if (stale || !known) && (k.set == nil && k.fetched.IsZero() || now.Sub(k.fetched) >= refetchAfter) {
		k.fetched = now
		if failed = k.fetch(ctx); failed == nil {
			k.good = now
			key, known = k.lookup(kid)
		}
	}
	switch {
	case known && now.Sub(k.good) <= keysLife:
		return key, nil
	case failed != nil:
		return nil, failed
	case k.set == nil || known:
		return nil, errors.New("the key set could not be fetched")
	}
	return nil, errUnknownKey
}

func (k *keySet) lookup(kid string) (jwk.Key, bool) {
	if k.set == nil || kid == "" {
		return nil, false
	}
	key, ok := k.set.LookupKeyID(kid)
	if !ok || key.KeyType() != jwa.OKP() {
		return nil, false
	}
	return key, true
}

func (k *keySet) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return fmt.Errorf("fetch the key set: %w", err)
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	if err != nil {
		return fmt.Errorf("fetch the key set: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch the key set: status %d", resp.StatusCode)
	}
	set, err := jwk.Parse(doc)
	if err != nil {
		return fmt.Errorf("read the key set: %w", err)
	}
	k.set = set
	return nil
}
