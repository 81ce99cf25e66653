package session

import "errors"

// ErrNotFound means that there is no such session, or that it has ended.
var ErrNotFound = errors.New("Session not found")
