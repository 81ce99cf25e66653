package meter

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// meteredBody marks the body of a request while it streams to the upstream.
// Nothing of the body is kept.
type meteredBody struct {
	body   io.ReadCloser
	length int64 // that the client announced, -1 for none

	mu       sync.Mutex // the upstream may read on while its response is here
	read     int64
	complete bool
	digest   *bodyDigest
	text     io.WriteCloser // writes to digest, without boundaries
}

// meterBody makes the body of the request mark itself.
func meterBody(r *http.Request) *meteredBody {
	b := &meteredBody{length: r.ContentLength, digest: newBodyDigest()}
	b.text = withoutBoundary(r.Header, b.digest)
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		b.end()
		return b
	}
	b.body, r.Body = r.Body, b
	return b
}

// Read implements [io.Reader].
func (b *meteredBody) Read(p []byte) (int, error) {
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
func (b *meteredBody) Close() error { return b.body.Close() }

func (b *meteredBody) end() {
	b.complete = true
	_ = b.text.Close()
}

// mark says what has been read.
func (b *meteredBody) mark() bodyMark {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.digest.mark(b.complete)
}
