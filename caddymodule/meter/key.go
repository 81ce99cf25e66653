package meter

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"mana.how/edge/caddymodule/request"
)

// keyError is an Idempotency-Key that is none. Its text goes to the client.
type keyError string

func (e keyError) Error() string { return string(e) }

// idempotencyKey is the client's key, empty where it sends none. It fails with
// a keyError. A tunnel takes no key: what goes through it is no request that
// could be told from another one.
func idempotencyKey(r *http.Request) (string, error) {
	values, ok := r.Header[request.IdempotencyKeyHeader]
	if !ok {
		return "", nil
	}
	if err := request.CheckIdempotencyKey(values...); err != nil {
		return "", keyError(request.IdempotencyKeyHeader + " " + err.Error())
	}
	if opensTunnel(r) {
		return "", nil
	}
	return values[0], nil
}

// opensTunnel reports whether the upstream may take the connection over (RFC
// 9110, sections 7.8 and 9.3.6).
func opensTunnel(r *http.Request) bool {
	return r.Method == http.MethodConnect ||
		len(r.Header["Upgrade"]) > 0 && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
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

// requestLine is what a key stands for beside the body: method, host, path and
// query, as the client sent them, also after handle_path or rewrite.
func requestLine(r *http.Request) string {
	original := request.Original(r)
	return strings.Join([]string{original.Method, strings.ToLower(r.Host), original.URL.EscapedPath(), original.URL.RawQuery}, "\n")
}
