// Package appdata asks the back ends of apps what they keep of a user, and has
// them delete it: GET and DELETE <url>/api/v1/admin/user-data/<user id>, with the
// key of the back ends in X-Service-Key.
package appdata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	perBackend  = 5 * time.Second
	allTogether = 12 * time.Second
	maxAnswer   = 1 << 20 // bytes
)

// Backend is the back end of an app. Key may be empty. It prints without it.
type Backend struct {
	ID  string
	URL string // scheme, host and perhaps a path
	Key string
}

// String implements [fmt.Stringer].
func (b Backend) String() string { return b.ID + " " + b.URL }

// GoString implements [fmt.GoStringer].
func (b Backend) GoString() string { return b.String() }

// Entity is one kind of things that an app keeps of a user.
type Entity struct {
	Entity string `json:"entity"`
	Count  int64  `json:"count"`
	Label  string `json:"label"`
}

// Kept is what an app keeps of a user. Error says why that is not known.
type Kept struct {
	Backend        Backend
	Error          string
	Entities       []Entity
	TotalCount     int64
	LastActivityAt *string // as the app writes it
}

// Deleted is what became of a deletion. Count is how many things the app says it
// deleted.
type Deleted struct {
	Backend Backend
	Err     error
	Count   int64
}

// Client asks back ends. Its zero value asks none.
type Client struct {
	Backends []Backend
	HTTP     *http.Client // [http.DefaultClient] where nil
}

// Kept asks all back ends at once, each for five seconds and all together for
// twelve, and answers in their order.
func (c Client) Kept(ctx context.Context, userID string) []Kept {
	list := make([]Kept, len(c.Backends))
	c.each(ctx, func(ctx context.Context, i int, b Backend) {
		list[i] = Kept{Backend: b, Entities: []Entity{}}
		var said struct {
			Entities       []Entity `json:"entities"`
			TotalCount     int64    `json:"totalCount"`
			LastActivityAt *string  `json:"lastActivityAt"`
		}
		if err := c.call(ctx, b, http.MethodGet, userID, &said); err != nil {
			list[i].Error = err.Error()
			return
		}
		if said.Entities != nil {
			list[i].Entities = said.Entities
		}
		list[i].TotalCount, list[i].LastActivityAt = said.TotalCount, said.LastActivityAt
	})
	return list
}

// Delete has all back ends delete what they keep, as [Client.Kept] asks them.
func (c Client) Delete(ctx context.Context, userID string) []Deleted {
	list := make([]Deleted, len(c.Backends))
	c.each(ctx, func(ctx context.Context, i int, b Backend) {
		n, err := c.DeleteFrom(ctx, b, userID)
		list[i] = Deleted{Backend: b, Err: err, Count: n}
	})
	return list
}

// DeleteFrom has one back end delete what it keeps, and returns how many things
// that were. What it does not know it has deleted.
func (c Client) DeleteFrom(ctx context.Context, b Backend, userID string) (int64, error) {
	var said struct {
		TotalDeleted int64 `json:"totalDeleted"`
	}
	err := c.call(ctx, b, http.MethodDelete, userID, &said)
	var status statusError
	if errors.As(err, &status) && (status == http.StatusNotFound || status == http.StatusGone) {
		return 0, nil
	}
	return said.TotalDeleted, err
}

// Find is the back end of an id.
func (c Client) Find(id string) (Backend, bool) {
	for _, b := range c.Backends {
		if b.ID == id {
			return b, true
		}
	}
	return Backend{}, false
}

func (c Client) each(ctx context.Context, ask func(context.Context, int, Backend)) {
	ctx, cancel := context.WithTimeout(ctx, allTogether)
	defer cancel()
	var all sync.WaitGroup
	for i, b := range c.Backends {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, perBackend)
			defer cancel()
			ask(ctx, i, b)
		})
	}
	all.Wait()
}

var (
	errOffline = errors.New("Backend offline")
	errTimeout = errors.New("Backend timed out")
)

// statusError is an answer other than a success.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("Backend answered %d", int(e)) }

// call makes one request. Its errors are short and quote nothing of the answer:
// they are shown to the user.
func (c Client) call(ctx context.Context, b Backend, method, userID string, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(b.URL, "/")+"/api/v1/admin/user-data/"+url.PathEscape(userID), nil)
	if err != nil {
		return fmt.Errorf("Backend address is wrong: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	if b.Key != "" {
		r.Header.Set("X-Service-Key", b.Key)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	// A key does not go where a back end sends it.
	stays := *client
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := stays.Do(r)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return errOffline
	case err != nil:
		return errors.Join(errOffline, ctx.Err())
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return statusError(answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return errTimeout
	}
	if len(body) == 0 || json.Unmarshal(body, into) != nil && method == http.MethodDelete {
		return nil // deleted, and nothing said of it
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errors.New("Backend answered what cannot be read")
	}
	return nil
}
