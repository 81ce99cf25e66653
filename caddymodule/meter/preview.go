package meter

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/meter/fingerprint"
	"mana.how/edge/creditcore"
)

const (
	// longestPreview is how much of a body is read before the request is passed on.
	longestPreview = 64 << 10
	// mostPreviews bounds how many bodies are kept so at once, 16 MiB together.
	mostPreviews = 256
)

// previews has a place for each body that was read before its time.
var previews = make(chan struct{}, mostPreviews)

// preview reads the body of a request with a key ahead of the upstream where it
// is short, and keeps it until done. A repeated request is compared with what
// its key stands for, known, as far as that can be told without keeping a
// client or the memory busy. It fails with [creditcore.ErrKeyReused]. What
// cannot be told now is told when the body has been read.
func preview(r *http.Request, body *fingerprint.Body, known fingerprint.Fingerprint) (done func(), err error) {
	done = func() {}
	if known.Complete() && r.ContentLength >= 0 && fingerprint.BoundaryOf(r.Header) == "" && uint64(r.ContentLength) != known.Length() {
		return done, creditcore.ErrKeyReused
	}
	if 0 < r.ContentLength && r.ContentLength <= longestPreview {
		select {
		case previews <- struct{}{}:
			done = func() { <-previews }
		default:
			return done, nil
		}
		text, err := io.ReadAll(io.LimitReader(body, longestPreview))
		if err != nil {
			return done, unreadable(r, err)
		}
		r.Body = previewed{bytes.NewReader(text), body}
	}
	if known.Contradicts(body.Fingerprint()) {
		return done, creditcore.ErrKeyReused
	}
	return done, nil
}

// unreadable is the answer to a body that breaks off.
func unreadable(r *http.Request, err error) error {
	var handler caddyhttp.HandlerError
	if errors.As(err, &handler) || r.Context().Err() != nil {
		return err
	}
	return caddyhttp.Error(http.StatusBadRequest, err)
}

// previewed is a body that was read before.
type previewed struct {
	io.Reader
	io.Closer
}
