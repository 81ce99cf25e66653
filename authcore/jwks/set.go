package jwks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	maxBody      = 256 << 10 // bytes
	maxKeys      = 100
	fetchEvery   = 10 * time.Second // a key id that is not known makes the set be fetched again
	fetchesAhead = 3                // so often at once
)

// Set is a key set of another service in the form T, which is zero until it was
// fetched. It is safe for concurrent use.
type Set[T any] struct {
	url     string
	client  *http.Client
	read    func([]jose.JSONWebKey) (T, error)
	fetches *rate.Limiter
	loading singleflight.Group
	seen    atomic.Pointer[T]
}

// New makes a set that is fetched from a URL by a client, which bounds how long that
// takes. read makes of the public keys, of kinds that are known, what is kept of them;
// its error leaves what was kept before.
func New[T any](url string, client *http.Client, read func([]jose.JSONWebKey) (T, error)) *Set[T] {
	s := &Set[T]{url: url, client: client, read: read, fetches: rate.NewLimiter(rate.Every(fetchEvery), fetchesAhead)}
	s.seen.Store(new(T))
	return s
}

// Current is what was fetched last.
func (s *Set[T]) Current() T { return *s.seen.Load() }

// Fetch reads the set anew, unless that was done just now.
func (s *Set[T]) Fetch(ctx context.Context) error {
	loading := s.loading.DoChan("", func() (any, error) {
		if !s.fetches.Allow() {
			return nil, nil
		}
		// One asker's leaving must not fail the others.
		set, err := s.load(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		s.seen.Store(&set)
		return nil, nil
	})
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r := <-loading:
		return r.Err
	}
}

func (s *Set[T]) load(ctx context.Context) (set T, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return set, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return set, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return set, fmt.Errorf("the key set: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return set, err
	}
	if len(body) > maxBody {
		return set, fmt.Errorf("the key set is larger than %d bytes", maxBody)
	}
	keys, err := parse(body)
	if err != nil {
		return set, err
	}
	return s.read(keys)
}

// parse reads the public keys of a set. Those of a kind that is not known are left
// out.
func parse(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the key set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && key.IsPublic() {
			keys = append(keys, key)
		}
	}
	return keys, nil
}
