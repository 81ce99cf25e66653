package caddymodule

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"mana.how/edge/caddymodule/request"
)

const (
	headerKey  = "Idempotency-Key"
	longestKey = 255 // characters
	// markedBody is how much of a body tells requests apart.
	markedBody = 1 << 20
)

// keyError is an Idempotency-Key that is none. Its text goes to the client.
type keyError string

func (e keyError) Error() string { return string(e) }

// idempotencyKey is the client's key, empty where it sends none. It fails with
// a keyError.
func idempotencyKey(h http.Header) (string, error) {
	values, ok := h[headerKey]
	switch {
	case !ok:
		return "", nil
	case len(values) > 1:
		return "", keyError(headerKey + " must not be repeated")
	case values[0] == "":
		return "", keyError(headerKey + " should not be empty")
	case !utf8.ValidString(values[0]):
		return "", keyError(headerKey + " must be valid UTF-8")
	case utf8.RuneCountInString(values[0]) > longestKey:
		return "", keyError(headerKey + " must be shorter than or equal to " + strconv.Itoa(longestKey) + " characters")
	}
	return values[0], nil
}

// keyOfMeter is the key at the nth meter of a request: each has a charge of
// its own.
func keyOfMeter(key string, n int) string {
	if n == 1 {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "meter-" + strconv.Itoa(n) + ":" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// requestMark is what a key stands for: method, host, path, query and the
// beginning of the body, which it reads and puts back, but not that of a
// tunnel (RFC 9110, section 9.3.6), which has no end. It is the client's
// request line, also after handle_path or rewrite.
//
// Upgrade tells nothing: whoever asks for one in vain is answered as without
// it, and what has been upgraded came without a body.
func requestMark(r *http.Request) (string, error) {
	original := request.Original(r)
	mark := []string{original.Method, strings.ToLower(r.Host), original.URL.EscapedPath(), original.URL.RawQuery}
	if r.Body == nil || r.Body == http.NoBody || r.Method == http.MethodConnect {
		return strings.Join(mark, "\n"), nil
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, markedBody))
	if err != nil {
		var handler caddyhttp.HandlerError
		if errors.As(err, &handler) || r.Context().Err() != nil {
			return "", err
		}
		return "", caddyhttp.Error(http.StatusBadRequest, err)
	}
	r.Body = rejoined{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	sum := sha256.Sum256(withoutBoundary(r.Header, head))
	mark = append(mark, base64.RawURLEncoding.EncodeToString(sum[:]))
	if len(head) == markedBody {
		mark = append(mark, strconv.FormatInt(r.ContentLength, 10))
	}
	return strings.Join(mark, "\n"), nil
}

// rejoined is a body whose beginning was read before.
type rejoined struct {
	io.Reader
	io.Closer
}

// withoutBoundary removes what browsers make up anew each time they send a
// form, from the lines that it delimits parts with (RFC 2046, section 5.1.1):
// anywhere else the same text is content.
func withoutBoundary(h http.Header, body []byte) []byte {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(mediaType, "multipart/") || params["boundary"] == "" {
		return body
	}
	lines := append([]byte("\r\n"), body...) // the first one, too, begins a line
	return bytes.ReplaceAll(lines, []byte("\r\n--"+params["boundary"]), []byte("\r\n--"))
}
