package mail

import (
	"context"
	"net"
)

// LinkLike reports whether a text holds something like a link.
func LinkLike(text string) bool { return linkLike(text) }

// Dial replaces how the server is reached.
func (s *SMTP) Dial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	s.dial = dial
}
