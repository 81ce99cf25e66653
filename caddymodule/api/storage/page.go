package storage

import (
	"context"
	"slices"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
)

// Take stores the picture of a form, its field file, and returns the URL of it.
func (r Pictures) Take(ctx context.Context, c *endpoint.Call) (url string, err error) {
	stored, err := r.take(ctx, c)
	return stored.URL, err
}

// Available reports whether there is a place for pictures.
func (r Pictures) Available(ctx context.Context) bool {
	_, err := r.open(ctx)
	return err == nil
}

// Path is where this site itself shows a picture of the caller, empty for one that
// is not ours: a page shows nothing of other sites.
func (r Pictures) Path(ctx context.Context, c *endpoint.Call, url string) string {
	if key := r.key(ctx, c, url); key != "" {
		return "/files/" + key
	}
	return ""
}

// Forget removes a picture of the caller. One that is not ours stays where it is.
func (r Pictures) Forget(ctx context.Context, c *endpoint.Call, url string) error {
	key := r.key(ctx, c, url)
	if key == "" {
		return nil
	}
	store, err := r.open(ctx)
	if err != nil {
		return err
	}
	return store.Objects.Delete(ctx, key)
}

// key is where a picture of the caller lies, empty for one that is not ours.
func (r Pictures) key(ctx context.Context, c *endpoint.Call, url string) string {
	prefix := "avatars/" + c.UserID + "/"
	at := strings.LastIndex(url, prefix)
	if at < 0 {
		return ""
	}
	store, err := r.open(ctx)
	key := url[at:]
	if err != nil || strings.Contains(key[len(prefix):], "/") || store.Objects.URL(key) != url {
		return ""
	}
	return key
}

// Mappings answer the errors of pictures, for routes that take one.
func Mappings() []endpoint.Mapping { return mappings }

// Refusals are the other answers to who brings a picture.
func Refusals() []*endpoint.Error {
	return slices.Concat(refusals, []*endpoint.Error{errNoFile})
}
