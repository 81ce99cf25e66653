package refreshtoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"

	"mana.how/edge/authcore/secret"
	"mana.how/edge/internal/ids"
)

// prefix makes refresh tokens easy to find in leaked text, and no
// token a JSON literal: clients read stored ones through JSON.parse.
const prefix = "mrt_"

const (
	generationSize  = 8
	maxFamilyLength = 64
)

// segments is strict, so that a token has one spelling.
var segments = base64.RawURLEncoding.Strict()

// A refresh token is prefix and base64url of
//
//	generation, 8 bytes big-endian ‖ MAC, 32 bytes ‖ family id
//
// It is not stored: who holds the secret can derive each generation of a
// family, so that concurrent presenters of one token get the same successor.

// Make derives the token of a generation of a family.
func Make(s secret.Keys, familyID string, generation int64) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(generation))
	raw = append(raw, tag(s.Refresh, familyID, generation)...)
	raw = append(raw, familyID...)
	return prefix + segments.EncodeToString(raw)
}

// Open takes a token apart that this service made, also under an
// older encryption key.
func Open(s secret.Keys, token string) (familyID string, generation int64, ok bool) {
	familyID, generation, mac, ok := parse(token)
	if !ok || !s.Set() {
		return "", 0, false
	}
	own := hmac.Equal(mac, tag(s.Refresh, familyID, generation))
	for _, key := range s.OlderRefresh {
		own = own || hmac.Equal(mac, tag(key, familyID, generation))
	}
	return familyID, generation, own
}

// importedLength is that of the refresh tokens of the replaced service.
const importedLength = 64

// Imported reports whether a token may be one of the replaced service, which only the
// database knows: 64 characters of A-Z, a-z, 0-9, - and _.
func Imported(token string) bool {
	if len(token) != importedLength {
		return false
	}
	for i := range len(token) {
		if c := token[i]; c != '-' && c != '_' && !ids.Alphanumeric(token[i:i+1]) {
			return false
		}
	}
	return true
}

// tag is HMAC-SHA256 of the generation and the family id.
func tag(key []byte, familyID string, generation int64) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(generation)))
	mac.Write([]byte(familyID))
	return mac.Sum(nil)
}

// parse takes a token apart. Nothing in it is to be trusted until
// the MAC has been compared with [tag], in constant time.
func parse(token string) (familyID string, generation int64, mac []byte, ok bool) {
	encoded, found := strings.CutPrefix(token, prefix)
	if !found || len(encoded) > segments.EncodedLen(generationSize+sha256.Size+maxFamilyLength) ||
		strings.ContainsAny(encoded, "\r\n") {
		return "", 0, nil, false
	}
	raw, err := segments.DecodeString(encoded)
	if err != nil || len(raw) <= generationSize+sha256.Size {
		return "", 0, nil, false
	}
	n := binary.BigEndian.Uint64(raw)
	familyID = string(raw[generationSize+sha256.Size:])
	if n > math.MaxInt64 || !ids.Alphanumeric(familyID) {
		return "", 0, nil, false
	}
	return familyID, int64(n), raw[generationSize : generationSize+sha256.Size], true
}
