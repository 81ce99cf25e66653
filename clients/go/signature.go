package manaid

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// maxToken bounds a token, in bytes.
const maxToken = 8 << 10

// ErrInvalid is wrapped by every error of a token, assertion or receipt that does not
// verify.
var ErrInvalid = errors.New("invalid token")

// open is the payload of a JWS in compact form (RFC 7515, section 7.1) that a key of
// the set has signed. It fails with an error that wraps [ErrInvalid], or with that of a
// key set that could not be fetched.
func (k *keySet) open(ctx context.Context, token string, isType func(string) bool) ([]byte, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("%w: too long", ErrInvalid)
	}
	if !canonical(token) {
		return nil, fmt.Errorf("%w: malformed", ErrInvalid)
	}
	found := keyOf{ctx: ctx, keys: k, isType: isType}
	payload, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithCritValidation(true), jws.WithKeyProvider(&found))
	if found.failed != nil {
		return nil, found.failed
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return payload, nil
}

// canonical reports whether a token is three parts of base64url in the one form that
// each has: the signature is over the first two as they are written, but the last would
// have several spellings.
func canonical(token string) bool {
	parts := strings.Split(token, ".")
	for _, part := range parts {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(raw) != part {
			return false
		}
	}
	return len(parts) == 3
}

// keyOf finds the key of a token by its kid. The algorithm is EdDSA, whatever the
// token says (RFC 8725, section 3.1).
type keyOf struct {
	ctx    context.Context
	keys   *keySet
	isType func(string) bool
	failed error // for want of a key set
}

// FetchKeys implements [jws.KeyProvider].
func (k *keyOf) FetchKeys(_ context.Context, sink jws.KeySink, signature *jws.Signature, _ *jws.Message) error {
	header := signature.ProtectedHeaders()
	if alg, ok := header.Algorithm(); !ok || alg != jwa.EdDSA() {
		return errors.New("another algorithm than EdDSA")
	}
	if typ, _ := header.Type(); !k.isType(typ) {
		return errors.New("another type of token")
	}
	kid, _ := header.KeyID()
	key, err := k.keys.find(k.ctx, kid)
	if err != nil && !errors.Is(err, errUnknownKey) {
		k.failed = err
	}
	if err != nil {
		return err
	}
	sink.Key(jwa.EdDSA(), key)
	return nil
}
