package fingerprint

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Body marks the body of a request while it streams to the upstream.
// Nothing of the body is kept.
type Body struct {
	body   io.ReadCloser
	length int64 // that the client announced, -1 for none

	mu       sync.Mutex // the upstream may read on while its response is here
	read     int64
	complete bool
	digest   *digest
	text     io.WriteCloser // writes to digest, without boundaries
}

// Take makes the body of the request mark itself.
func Take(r *http.Request) *Body {
	b := &Body{length: r.ContentLength, digest: newDigest()}
	b.text = withoutBoundary(r.Header, b.digest)
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		b.end()
		return b
	}
	b.body, r.Body = r.Body, b
	return b
}

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.complete {
		b.read += int64(n)
		_, _ = b.text.Write(p[:n])
		if errors.Is(err, io.EOF) || b.read == b.length {
			b.end()
		}
	}
	return n, err
}

// Close implements [io.Closer].
func (b *Body) Close() error { return b.body.Close() }

func (b *Body) end() {
	b.complete = true
	_ = b.text.Close()
}

// Fingerprint says what has been read.
func (b *Body) Fingerprint() Fingerprint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.digest.fingerprint(b.complete)
}
