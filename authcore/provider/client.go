package provider

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	patience    = 5 * time.Second // for one request, its body included
	maxBody     = 1 << 20
	maxHeader   = 64 << 10
	maxParallel = 32 // connections to one host
)

var (
	errTooLarge = errors.New("the answer is larger than 1 MB")
	errRedirect = errors.New("the answer is a redirect")
)

// newClient asks a provider: no redirects, and answers within bounds.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxResponseHeaderBytes, own.MaxConnsPerHost = maxHeader, maxParallel
		transport = own
	}
	return &http.Client{
		Timeout: patience, Transport: bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}
}

// bounded fails to read more of an answer than maxBody.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, maxBody}
	}
	return resp, err
}

// CloseIdleConnections is that of the transport, which [http.Client] looks for.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return n + b.left, errTooLarge
	}
	return n, err
}
