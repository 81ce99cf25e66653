package endpoint

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint/decode"
)

const (
	// MaxBody bounds a request body, in bytes.
	MaxBody = 100 << 10
	// MaxRaw bounds the body of a route that takes it as it is, in bytes.
	MaxRaw = 1 << 20
)

// readBody reads a JSON object (RFC 8259) or a form, of at most limit bytes. A body without a single
// byte is an object without fields, whatever it says of its type. It fails
// with a [*Error] of status 400, 413 or 415.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (decode.Body, error) {
	raw, err := readAll(w, r, limit)
	if err != nil || len(raw) == 0 {
		return decode.Body{}, err
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return decode.Body{}, Unsupported("Content-Encoding must be identity")
	}
	contentType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		contentType = ""
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return decode.Body{}, Unsupported("charset must be utf-8")
	}
	switch contentType {
	case "application/json":
		return decode.JSON(raw)
	case "application/x-www-form-urlencoded":
		return decode.Form(string(raw))
	}
	return decode.Body{}, Unsupported("Content-Type must be application/json or application/x-www-form-urlencoded")
}

// readAll reads a body of at most limit bytes as it is. It fails with a
// [*Error] of status 400 or 413.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, TooLarge(limit)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, TooLarge(limit)
	case err != nil:
		return nil, decode.MalformedError("the request body ended early")
	}
	return raw, nil
}
