package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"
)

var (
	// ErrNotFound means that there is no object with a key.
	ErrNotFound = errors.New("no such object")
	// ErrKey means that a key or prefix is not valid, see [ValidKey].
	ErrKey = errors.New("the key is not valid")
	// ErrType means that the content type is not that of the key's extension, or
	// not one of a picture.
	ErrType = errors.New("the content type does not fit the key")
)

// Info is what is known of an object.
type Info struct {
	ContentType string
	Size        int64 // bytes
	ModTime     time.Time
}

// Store keeps objects. Its methods may be called at once. Errors name the
// operation and the key, and no secret.
type Store interface {
	// Put writes an object, or replaces it. Others see the old one or the new
	// one, never a part. It fails with [ErrKey] or [ErrType].
	Put(ctx context.Context, key, contentType string, body []byte) error
	// Get opens an object. It fails with [ErrNotFound] or [ErrKey]. Close body.
	Get(ctx context.Context, key string) (body io.ReadCloser, info Info, err error)
	// Delete removes an object. That there is none is no error.
	Delete(ctx context.Context, key string) error
	// DeletePrefix removes all objects whose keys begin with the segments of
	// prefix: "avatars/a" means avatars/a/1.jpg, but not avatars/ab/1.jpg. It
	// returns how many it removed, also with an error.
	DeletePrefix(ctx context.Context, prefix string) (n int, err error)
	// URL is where everybody may get an object; empty for a key that is not valid.
	URL(key string) string
	// Check reports what is wrong with the store, if anything.
	Check(ctx context.Context) error
}

// CacheControl is the header to serve objects with.
const CacheControl = "public, max-age=31536000, immutable"

const (
	maxKey     = 512 // bytes; S3 takes 1024
	maxSegment = 255 // bytes, as most file systems take
)

// ValidKey reports whether a key is made of segments, one slash between each
// two, of letters and digits of ASCII, dots, underscores and hyphens, that do
// not begin with a dot. A key has at most 512 bytes, a segment 255.
func ValidKey(key string) bool {
	if len(key) > maxKey {
		return false
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment[0] == '.' || len(segment) > maxSegment {
			return false
		}
		for i := range len(segment) {
			c := segment[i]
			if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '.' && c != '_' && c != '-' {
				return false
			}
		}
	}
	return true
}

// typeOf is the content type of the extension of a key, empty for those that
// are not of pictures.
func typeOf(key string) string {
	switch path.Ext(key) {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	}
	return ""
}

// checkObject reports whether an object may be put.
func checkObject(key, contentType string) error {
	if !ValidKey(key) {
		return ErrKey
	}
	if want := typeOf(key); want == "" || want != contentType {
		return fmt.Errorf("%w: %q", ErrType, contentType)
	}
	return nil
}

// parsePrefix returns a prefix without a slash at its end.
func parsePrefix(prefix string) (string, error) {
	prefix = strings.TrimSuffix(prefix, "/")
	if !ValidKey(prefix) {
		return "", ErrKey
	}
	return prefix, nil
}

// failed names what failed. Keys that are not valid may be long or hold anything.
func failed(operation, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("objectstore: %s %.200q: %w", operation, key, err)
}

// checkBase reports what is wrong with the URL that keys are appended to. It
// does not repeat it, for it could hold a password.
func checkBase(base string) error {
	u, err := url.Parse(base)
	switch {
	case base == "":
		return errors.New("is missing")
	case err != nil:
		return errors.New("is no URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("must begin with http:// or https:// and a host")
	case u.User != nil:
		return errors.New("must not have a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must not have a query or fragment")
	}
	return nil
}

// Join is the URL of a key below a base.
func Join(base, key string) string {
	if !ValidKey(key) {
		return ""
	}
	return strings.TrimRight(base, "/") + "/" + key
}
