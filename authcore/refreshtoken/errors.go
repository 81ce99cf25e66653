package refreshtoken

import "errors"

// ErrInvalid means that a refresh token is none, or good no more.
var ErrInvalid = errors.New("Invalid refresh token")
