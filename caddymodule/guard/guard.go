package guard

import "net/http"

// Check reports why the request may not go on, as [ErrMethod] or [ErrTarget].
// One that may is left without what it may not carry: an expectation, and an
// upgrade to anything but a WebSocket.
func Check(r *http.Request) error {
	if err := checkMethod(r); err != nil {
		return err
	}
	if err := checkTarget(r); err != nil {
		return err
	}
	clean(r)
	return nil
}
